"""Images of a question: to models that see, as images; for others, refused; from elsewhere, never."""

import base64
import json
from io import BytesIO
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from typing import Any

import PIL.Image
import pytest

from aiostream_server.config.model import Config, LimitsConfig, OpenAIModelConfig, TeamConfig
from tests.kit.pictures import png
from tests.kit.scripted_provider import ScriptedAnswer, ScriptedProvider
from tests.kit.serving import ask, asking, sample_team, serving


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


@pytest.mark.parametrize("kept", [0, 3, 8, 30, 60], ids=str)
@pytest.mark.parametrize("stream", [True, False])
async def test_a_damaged_image_is_400_before_a_run_starts(tmp_path: Path, kept: int, stream: bool) -> None:
    content = base64.b64decode(png().partition(",")[2])[:kept] if kept else b"no picture"
    url = "data:image/png;base64," + base64.b64encode(content).decode()
    async with (
        serving(config("http://127.0.0.1:9/v1", vision=True), tmp_path) as server,
        asking(server.url, with_image(url), model="solo", stream=stream) as answer,
    ):
        assert answer.response.status == 400
        assert "X-Run-Id" not in answer.response.headers
        error = (await answer.response.json())["error"]
    assert error["param"] == "messages[0].content[1].image_url.url"
    assert "the image is damaged" in error["message"]


def earlier(url: str) -> list[dict[str, Any]]:
    """The image in the history, and once more in the question."""
    return [*with_image(url), {"role": "assistant", "content": "Red."}, *with_image(url)]


@pytest.mark.parametrize("limits", [{"max_image_pixels": 1}, {"max_image_bytes": 100}])
async def test_all_images_of_a_request_share_one_budget(tmp_path: Path, limits: dict[str, int]) -> None:
    bounded = config("http://127.0.0.1:9/v1", vision=True).model_copy(update={"limits": LimitsConfig(**limits)})
    async with (
        serving(bounded, tmp_path) as server,
        asking(server.url, earlier(png()), model="solo") as answer,
    ):
        assert answer.response.status == 400
        error = (await answer.response.json())["error"]
    assert error["param"] == "messages"
    assert "all messages together" in error["message"]


def bomb(side: int) -> str:
    """A PNG of many pixels and few bytes."""
    buffer = BytesIO()
    PIL.Image.new("1", (side, side)).save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


async def test_many_pixels_in_few_bytes_are_refused_by_their_header(tmp_path: Path) -> None:
    async with serving(config("http://127.0.0.1:9/v1", vision=True), tmp_path) as server:
        for question in (with_image(bomb(11_000)), earlier(bomb(8_000))):
            async with asking(server.url, question, model="solo") as answer:
                assert answer.response.status == 400


async def test_an_image_is_not_decoded_on_its_way(tmp_path: Path) -> None:
    """Nor on its way into the state of a conversation, and out of it: decoded, these would take 190 MB each time."""
    big = bomb(8_000)
    headers = {"X-Conversation-Id": "pictures"}
    async with ScriptedProvider() as provider:
        provider.script(lambda _: ScriptedAnswer("Black."))
        async with serving(config(provider.base_url, vision=True), tmp_path) as server:
            await ask(server.url, with_image(big), model="solo", headers=headers)
            before = getrusage(RUSAGE_SELF).ru_maxrss
            await ask(server.url, with_image(big), model="solo", headers=headers)
            await ask(server.url, "And now?", model="solo", headers=headers)
            grown_kib = getrusage(RUSAGE_SELF).ru_maxrss - before
        sent = json.dumps(provider.exchanges[-1].body)
    assert sent.count(big) == 2
    assert grown_kib < 100 * 1024


@pytest.mark.parametrize("said", ["image/jpeg", "image/jpg", "IMAGE/WEBP"])
async def test_the_bytes_say_what_kind_of_image_it_is(tmp_path: Path, said: str) -> None:
    """Clients often call a JPEG a PNG; providers refuse that."""
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("A red pixel."))
        async with serving(config(provider.base_url, vision=True), tmp_path) as server:
            await ask(server.url, with_image(png().replace("image/png", said)), model="solo")
        sent = provider.exchanges[0].body["messages"][-1]
    assert sent["content"][1]["image_url"]["url"] == png()
