"""How an answer is shown: the header decides, else the model's id, else the key, else the team."""

from pathlib import Path
from typing import Any

import aiohttp
import pytest

from aiostream_server.config.model import AuthConfig, Config, OpenWebUIConfig, Presentation, ServerConfig
from aiostream_server.intake.key_file import add_key
from aiostream_server.intake.keys import new_key
from tests.kit.scripted_provider import ScriptedAnswer, ScriptedProvider, Think
from tests.kit.serving import Server, ask, config_for, get_json, sample_team, serving

PAGE = {"X-OpenWebUI-User-Id": "u1"}


def served(provider: ScriptedProvider, **sections: Any) -> Config:
    provider.script(lambda _: ScriptedAnswer(Think(["hm"]), "Hello."))
    teams = sample_team("solo"), sample_team("with_tool", presentation="answer")
    return config_for(provider.base_url, *teams, **sections)


async def presented(server: Server, model: str, **headers: str) -> str:
    """The presentation in which the answer came, streamed and whole."""
    answer = await ask(server.url, "hi", model=model, headers=headers)
    reasoning = "".join(_reasoning(frame["choices"][0]["delta"]) for frame in answer.frames if frame.get("choices"))
    body = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{server.url}/v1/chat/completions", json=body, headers=headers) as response,
    ):
        whole = await response.json()
    message = whole["choices"][0]["message"]
    assert (message["content"], message.get("reasoning_content", "")) == (answer.text, reasoning)
    assert whole["model"] == answer.frames[0]["model"] == model
    if reasoning:
        return "reasoning"
    return "answer" if answer.text == "Hello." else "transcript"


def _reasoning(delta: dict[str, str]) -> str:
    return delta.get("reasoning_content", "")


@pytest.mark.parametrize(
    ("model", "header", "key", "expected"),
    [
        ("solo", None, None, "transcript"),
        ("with-tool", None, None, "answer"),
        ("solo", None, "reasoning", "reasoning"),
        ("with-tool", None, "transcript", "transcript"),
        ("solo:answer", None, None, "answer"),
        ("solo:answer", None, "reasoning", "answer"),
        ("auto:answer", None, "transcript", "answer"),
        ("autogen-agents:reasoning", None, None, "reasoning"),
        ("with-tool:transcript", None, None, "transcript"),
        ("solo:answer", "reasoning", "transcript", "reasoning"),
    ],
)
async def test_who_decides(
    tmp_path: Path, model: str, header: str | None, key: Presentation | None, expected: str
) -> None:
    record, text = new_key("program", presentation=key)
    add_key(tmp_path / "keys.json", record)
    headers = {"Authorization": f"Bearer {text.get_secret_value()}"}
    if header is not None:
        headers["X-Presentation"] = header
    async with ScriptedProvider() as provider:
        config = served(provider, auth=AuthConfig(keys_file=tmp_path / "keys.json"))
        async with serving(config, tmp_path) as server:
            assert await presented(server, model, **headers) == expected


async def test_an_answer_that_comes_in_one_piece_stands_once_in_each_presentation(tmp_path: Path) -> None:
    """Data, pictures, and what agents say that do not stream, are no work of the team."""
    team = sample_team("only_runs", answer_from=["Batch"])
    async with serving(config_for("http://127.0.0.1:9/v1", team), tmp_path) as server:
        for model, shown in {
            "only-runs": ("✅ **Batch**\n\nall at once", ""),
            "only-runs:reasoning": ("all at once", ""),
            "only-runs:answer": ("all at once", ""),
        }.items():
            answer = await ask(server.url, "hi", model=model)
            reasoning = "".join(_reasoning(frame["choices"][0]["delta"]) for frame in answer.frames)
            assert (answer.text, reasoning) == shown, model


@pytest.mark.parametrize("model", ["solo:loud", "solo:", "auto:Answer"])
async def test_another_word_is_not_found_and_the_error_names_the_three(tmp_path: Path, model: str) -> None:
    async with ScriptedProvider() as provider, serving(served(provider), tmp_path) as server:
        body = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{server.url}/v1/chat/completions", json=body) as response,
        ):
            assert response.status == 404
            error = (await response.json())["error"]
    assert error["code"] == "model_not_found"
    assert "transcript, reasoning, answer" in error["message"]


async def test_a_key_for_one_model_may_use_it_in_every_presentation_and_no_other(tmp_path: Path) -> None:
    record, text = new_key("program", models=["solo"])
    add_key(tmp_path / "keys.json", record)
    headers = {"Authorization": f"Bearer {text.get_secret_value()}"}
    async with ScriptedProvider() as provider:
        config = served(provider, auth=AuthConfig(keys_file=tmp_path / "keys.json"))
        async with serving(config, tmp_path) as server:
            assert await presented(server, "solo:answer", **headers) == "answer"
            body = {"model": "with-tool:answer", "messages": [{"role": "user", "content": "hi"}]}
            async with (
                aiohttp.ClientSession(headers=headers) as session,
                session.post(f"{server.url}/v1/chat/completions", json=body) as response,
            ):
                assert response.status == 404


async def test_the_ids_are_found_and_not_listed(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider, serving(served(provider), tmp_path) as server:
        listed = await get_json(f"{server.url}/v1/models")
        found = await get_json(f"{server.url}/v1/models/auto:answer")
    assert [model["id"] for model in listed["data"]] == ["auto", "solo", "with-tool"]
    assert found["id"] == "auto:answer"


@pytest.mark.parametrize(
    ("variants", "expected"),
    [
        (["reasoning"], ["auto:reasoning", "solo:reasoning", "with-tool:reasoning"]),
        (["answer"], ["auto:answer", "solo:answer"]),  # with-tool shows only the answer anyway
        (
            ["reasoning", "answer", "reasoning"],
            ["auto:reasoning", "auto:answer", "solo:reasoning", "solo:answer", "with-tool:reasoning"],
        ),
    ],
)
async def test_variants_are_listed_below_the_models_where_configured(
    tmp_path: Path, variants: list[Presentation], expected: list[str]
) -> None:
    """Each with a name of its own, and as it is found by its id."""
    async with ScriptedProvider() as provider:
        config = served(provider, open_webui=OpenWebUIConfig(variants=tuple(variants)))
        async with serving(config, tmp_path) as server:
            listed = (await get_json(f"{server.url}/v1/models"))["data"]
            found = [await get_json(f"{server.url}/v1/models/{model_id}") for model_id in expected]
            assert await presented(server, expected[-1]) == expected[-1].partition(":")[2]
    assert [model["id"] for model in listed] == ["auto", "solo", "with-tool", *expected]
    assert listed[3:] == found
    assert len({model["name"] for model in listed}) == len(listed)


async def test_a_key_is_shown_the_variants_of_its_models(tmp_path: Path) -> None:
    record, text = new_key("program", models=["solo"])
    add_key(tmp_path / "keys.json", record)
    headers = {"Authorization": f"Bearer {text.get_secret_value()}"}
    sections = {
        "auth": AuthConfig(keys_file=tmp_path / "keys.json"),
        "open_webui": OpenWebUIConfig(variants=("reasoning",)),
    }
    async with (
        ScriptedProvider() as provider,
        serving(served(provider, **sections), tmp_path) as server,
        aiohttp.ClientSession(headers=headers) as session,
        session.get(f"{server.url}/v1/models") as response,
    ):
        listed = (await response.json())["data"]
    assert [model["id"] for model in listed] == ["solo", "solo:reasoning"]


@pytest.mark.parametrize(
    ("model", "headers", "expected"),
    [
        ("solo", PAGE, "reasoning"),
        ("auto", PAGE, "reasoning"),
        ("with-tool", PAGE, "answer"),
        ("solo:transcript", PAGE, "transcript"),
        ("solo", {**PAGE, "X-Presentation": "transcript"}, "transcript"),
        ("solo", {}, "transcript"),
    ],
)
async def test_a_voice_call_of_the_page_hears_the_answer_alone(
    tmp_path: Path, model: str, headers: dict[str, str], expected: str
) -> None:
    """The page reads the content aloud: no transcript, unless the request asks for one."""
    voice = {"role": "system", "content": "You are in a live voice call.\n\nEverything you say will be spoken aloud."}
    body = {"model": model, "messages": [voice, {"role": "user", "content": "hi"}]}
    async with (
        ScriptedProvider() as provider,
        serving(served(provider), tmp_path) as server,
        aiohttp.ClientSession() as session,
        session.post(f"{server.url}/v1/chat/completions", json=body, headers=headers) as response,
    ):
        message = (await response.json())["choices"][0]["message"]
    shown = (
        "reasoning" if "reasoning_content" in message else "answer" if message["content"] == "Hello." else "transcript"
    )
    assert shown == expected, message


async def test_reasoning_in_both_fields(tmp_path: Path) -> None:
    server_config = ServerConfig(reasoning_fields=("reasoning_content", "reasoning"))
    async with ScriptedProvider() as provider, serving(served(provider, server=server_config), tmp_path) as server:
        answer = await ask(server.url, "hi", model="solo:reasoning")
        body = {"model": "solo:reasoning", "messages": [{"role": "user", "content": "hi"}]}
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{server.url}/v1/chat/completions", json=body) as response,
        ):
            message = (await response.json())["choices"][0]["message"]
    deltas = [frame["choices"][0]["delta"] for frame in answer.frames]
    told = [(delta["reasoning_content"], delta["reasoning"]) for delta in deltas if "reasoning" in delta]
    assert told
    assert all(one == other for one, other in told)
    assert "".join(one for one, _ in told) == message["reasoning"] == message["reasoning_content"]
