"""Images of a question: to models that see, as images; for others, refused; from elsewhere, never."""

import base64
import json
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest

from aiostream_server.config.model import Config, OpenAIModelConfig, TeamConfig
from tests.kit.scripted_provider import ScriptedAnswer, ScriptedProvider
from tests.kit.serving import ask, asking, sample_team, serving


def png() -> str:
    """One red pixel, as a data URL."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    pixels = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(b"\0\xff\0\0"))
    content = b"\x89PNG\r\n\x1a\n" + pixels + chunk(b"IEND", b"")
    return "data:image/png;base64," + base64.b64encode(content).decode()


def config(base_url: str, *, vision: bool) -> Config:
    info = {
        "vision": vision,
        "function_calling": True,
        "json_output": True,
        "structured_output": False,
        "family": "unknown",
    }
    model = OpenAIModelConfig.model_validate(
        {"provider": "openai", "model": "scripted", "base_url": base_url, "model_info": info}
    )
    return Config(models={"default": model}, teams=(sample_team("solo"),))


def with_image(url: str, text: str = "What is this?") -> list[dict[str, Any]]:
    parts = [{"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": url}}]
    return [{"role": "user", "content": parts}]


async def test_a_seeing_model_gets_the_image(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("A red pixel."))
        async with serving(config(provider.base_url, vision=True), tmp_path) as server:
            answer = await ask(server.url, with_image(png()), model="solo")
        sent = provider.exchanges[0].body["messages"][-1]
    assert "A red pixel." in answer.text
    kinds = [part["type"] for part in sent["content"]]
    assert kinds == ["text", "image_url"]
    assert sent["content"][0]["text"] == "What is this?"
    assert sent["content"][1]["image_url"]["url"] == png()


@pytest.mark.parametrize("model", ["solo", "auto"])
async def test_a_question_with_an_image_for_a_blind_model_is_refused(tmp_path: Path, model: str) -> None:
    async with (
        serving(config("http://127.0.0.1:9/v1", vision=False), tmp_path) as server,
        asking(server.url, with_image(png()), model=model) as answer,
    ):
        assert answer.response.status == 400
        error = (await answer.response.json())["error"]
        assert len(server.state.registry) == 0
    assert "cannot see images" in error["message"]
    assert ("'solo'" in error["message"]) is (model == "solo")


async def test_auto_sends_a_question_with_an_image_to_a_team_that_sees(tmp_path: Path) -> None:
    seeing = config("http://127.0.0.1:9/v1", vision=True).models["default"]
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("A red pixel."))
        blind = config(provider.base_url, vision=False).models["default"]
        models = {"default": blind, "seeing": seeing.model_copy(update={"base_url": provider.base_url})}
        teams = (
            sample_team("solo", description="Sales, revenue and orders by region"),
            TeamConfig(id="eyes", factory="tests.kit.sample_teams:solo", model="seeing"),
        )
        async with serving(Config(models=models, teams=teams), tmp_path) as server:
            answer = await ask(server.url, with_image(png(), "total sales by region?"))
    assert "A red pixel." in answer.text
    assert "eyes" in answer.text


async def test_of_an_earlier_image_a_blind_model_is_told(tmp_path: Path) -> None:
    """It was another model's to see; the conversation may go on without."""
    history = [*with_image(png()), {"role": "assistant", "content": "Red."}, {"role": "user", "content": "And now?"}]
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("I cannot see it."))
        async with serving(config(provider.base_url, vision=False), tmp_path) as server:
            answer = await ask(server.url, history, model="solo")
        sent = provider.exchanges[0].body
    assert "I cannot see it." in answer.text
    assert png() not in json.dumps(sent)
    assert "an image (image/png) that this model cannot see" in json.dumps(sent)


async def test_a_question_may_be_an_image_alone(tmp_path: Path) -> None:
    question = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": png()}}]}]
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("ok"))
        async with serving(config(provider.base_url, vision=True), tmp_path) as server:
            assert "ok" in (await ask(server.url, question, model="solo")).text
        seen = provider.exchanges[0].body["messages"][-1]["content"]
    assert png() in json.dumps(seen)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1:9/secret.png", "does not fetch"),
        ("HTTPS://example.com/a.png", "does not fetch"),
        ("file:///etc/passwd", "data URL"),
        ("data:text/html;base64,AAAA", "PNG"),
        ("data:image/svg+xml;base64,AAAA", "PNG"),
        ("data:image/png,AAAA", "data URL"),
        ("data:image/png;base64,!!!", "base64"),
        ("", "data URL"),
    ],
)
async def test_an_image_from_elsewhere_or_of_another_kind_is_400(tmp_path: Path, url: str, words: str) -> None:
    async with (
        serving(config("http://127.0.0.1:9/v1", vision=True), tmp_path) as server,
        asking(server.url, with_image(url), model="solo") as answer,
    ):
        assert answer.response.status == 400
        error = (await answer.response.json())["error"]
    assert error["param"] == "messages[0].content[1].image_url.url"
    assert words in error["message"]


async def test_what_is_no_image_behind_its_first_bytes_is_the_models_to_refuse(tmp_path: Path) -> None:
    """Nothing here decodes pictures: a hostile one meets no parser of ours."""
    url = "data:image/png;base64," + base64.b64encode(b"no picture at all").decode()
    async with ScriptedProvider() as provider:
        provider.script(lambda _: ScriptedAnswer("fine"))
        async with serving(config(provider.base_url, vision=True), tmp_path) as server:
            answer = await ask(server.url, with_image(url), model="solo")
    assert answer.done
