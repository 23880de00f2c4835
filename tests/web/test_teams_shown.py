"""What each kind of team looks like to a client."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from aiostream_server.config.load import load_config
from aiostream_server.config.model import Config, OpenAIModelConfig
from tests.kit.scripted_provider import Call, HttpError, ScriptedAnswer, ScriptedProvider
from tests.kit.serving import ask, config_for, sample_team, serving


async def test_autogens_own_streaming_shows_nothing_twice(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("a ", "draft"), ScriptedAnswer("a ", "verdict"))
        async with serving(config_for(provider.base_url, sample_team("pair_of_streamers")), tmp_path) as server:
            answer = await ask(server.url, "hi", model="pair-of-streamers")
    assert answer.text == "💬 **Writer**\n\na draft\n\n🛡 **Reviewer**\n\na verdict"


async def test_tool_call_and_result_are_one_block_each_in_order(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        provider.script(
            ScriptedAnswer("Let me look. ", Call("weather", {"city": "Kraków"})), ScriptedAnswer("It ", "rains.")
        )
        async with serving(config_for(provider.base_url, sample_team("with_tool")), tmp_path) as server:
            answer = await ask(server.url, "hi", model="with-tool")
    assert answer.text == (
        "✅ **Worker**\n\nLet me look. "
        "\n\n<details>\n<summary>⚡ weather</summary>\n\n```text\nKraków\n```\n\n</details>"
        "\n\n<details>\n<summary>📦 weather: rain in Kraków</summary>\n\n```text\nrain in Kraków\n```\n\n</details>"
        "\n\n✅ **Worker**\n\nIt rains."
    )
    blocks = [frame for frame in answer.frames if "details" in str(frame)]
    assert len(blocks) == 2  # never half a block


async def test_a_tools_raw_result_as_the_answer(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer(Call("dice")))
        async with serving(config_for(provider.base_url, sample_team("blind_result")), tmp_path) as server:
            answer = await ask(server.url, "hi", model="blind-result")
    assert answer.text.endswith("✅ **Worker**\n\nfour")
    assert "<summary>📦 dice: four</summary>" in answer.text


async def test_nested_team_speaks_under_its_own_names(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("in", "ner"), ScriptedAnswer("the ", "society"), ScriptedAnswer("out", "er"))
        async with serving(config_for(provider.base_url, sample_team("nested")), tmp_path) as server:
            answer = await ask(server.url, "hi", model="nested")
    assert answer.text == "💬 **Inner**\n\ninner\n\n💬 **Society**\n\nthe society\n\n💬 **Outer**\n\nouter"


async def test_a_selectors_words_are_not_shown(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("Beta"), ScriptedAnswer("hello ", "from Beta"))
        async with serving(config_for(provider.base_url, sample_team("selected")), tmp_path) as server:
            answer = await ask(server.url, "hi", model="selected", stream_options={"include_usage": True})
    ended = "📌 *The team ended: Maximum number of messages 2 reached, current message count: 2*"
    assert answer.text == f"💬 **Beta**\n\nhello from Beta\n\n{ended}"
    assert answer.frames[-1]["usage"]["completion_tokens"] == 14  # what the selector cost is counted all the same


async def test_a_team_that_can_only_run_still_works(tmp_path: Path) -> None:
    async with serving(config_for("http://127.0.0.1:9/v1", sample_team("only_runs")), tmp_path) as server:
        answer = await ask(server.url, "hi", model="only-runs")
    assert answer.text == "💬 **Batch**\n\nall at once"
    assert answer.finish_reasons == ["stop"]


async def test_agents_without_a_description_are_classified_by_their_words(tmp_path: Path) -> None:
    async with serving(config_for("http://127.0.0.1:9/v1", sample_team("undescribed")), tmp_path) as server:
        answer = await ask(server.url, "hi", model="undescribed")
    assert answer.text == "🛡 **One** Validating the draft now.\n\n📊 **Two**\n\nIn conclusion, it is fine."


async def test_configured_roles_decide(tmp_path: Path) -> None:
    team = sample_team("pair", roles={"Writer": "thinking", "Reviewer": "analysis"})
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("hm"), ScriptedAnswer("so"))
        async with serving(config_for(provider.base_url, team), tmp_path) as server:
            answer = await ask(server.url, "hi", model="pair")
    assert answer.text == "🤔 **Writer**\n\nhm\n\n📊 **Reviewer**\n\nso"


async def test_unpaced_answers_keep_their_order(tmp_path: Path) -> None:
    """What one agent said stands before what the next one says, also when no agent ever waits."""

    def weather_man(body: Mapping[str, Any]) -> ScriptedAnswer:
        if body["messages"][-1]["role"] == "tool":
            return ScriptedAnswer("It ", "rains.")
        return ScriptedAnswer("Let me look. ", Call("weather", {"city": "X"}))

    async with ScriptedProvider() as provider:
        provider.script(weather_man)
        async with serving(config_for(provider.base_url, sample_team("with_tool")), tmp_path) as server:
            answers = await asyncio.gather(*(ask(server.url, "hi", model="with-tool") for _ in range(10)))
    assert len({answer.text for answer in answers}) == 1


@pytest.mark.parametrize(
    ("reply", "words", "code"),
    [
        (HttpError(401, {"error": {"message": "bad key"}}), "answered 401 Unauthorized", "provider_refused"),
        (HttpError(501, "<html>oops</html>"), "501", "model_failed"),
    ],
)
async def test_a_failing_provider_is_one_readable_line(tmp_path: Path, reply: HttpError, words: str, code: str) -> None:
    async with ScriptedProvider() as provider:
        provider.script(reply)
        async with serving(config_for(provider.base_url, sample_team("pair")), tmp_path) as server:
            answer = await ask(server.url, "hi", model="pair")
    (error,) = answer.errors
    assert words in error["message"]
    assert error["code"] == code
    assert "\n" not in error["message"]
    assert answer.text == f"❌ {error['message']}"
    assert answer.finish_reasons == ["error"]
    assert answer.done


async def test_an_unreachable_provider_is_one_readable_line(tmp_path: Path) -> None:
    model = OpenAIModelConfig(provider="openai", model="scripted", base_url="http://127.0.0.1:9/v1", max_retries=0)
    config = Config(models={"default": model}, teams=(sample_team("solo"),))
    async with serving(config, tmp_path) as server:
        answer = await ask(server.url, "hi", model="solo")
    (error,) = answer.errors
    message = error["message"]
    assert message == "the model provider of [models.default] cannot be reached: connection refused"
    assert answer.done


async def test_a_failing_agent_tells_no_path_and_no_traceback(tmp_path: Path) -> None:
    async with serving(config_for("http://127.0.0.1:9/v1", sample_team("failing")), tmp_path) as server:
        answer = await ask(server.url, "hi", model="failing")
    (error,) = answer.errors
    assert error["message"] == "the team failed: OSError: cannot open …"
    assert error["code"] == "team_failed"


async def test_a_routed_question_is_shown_as_its_team_is(tmp_path: Path) -> None:
    teams = (
        sample_team("solo", description="Writes poems about the sea.", examples=("Write a poem",)),
        sample_team("pair", presentation="answer", answer_from=("Reviewer",), description="Translates texts."),
    )
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("a draft"), ScriptedAnswer("le ", "texte"))
        async with serving(config_for(provider.base_url, *teams), tmp_path) as server:
            answer = await ask(server.url, "translates texts", model="auto")
    assert answer.text == "le texte"


async def test_a_follow_up_stays_with_the_team_that_answered(tmp_path: Path) -> None:
    """And what comes back of our own transcript reaches the agents without its decoration."""
    async with serving(load_config(None, {}), tmp_path) as server:
        first = await ask(server.url, "Which region had the highest total sales?")
        history = [
            {"role": "user", "content": "Which region had the highest total sales?"},
            {"role": "assistant", "content": first.text},
            {"role": "user", "content": "And the lowest?"},
        ]
        second = await ask(server.url, history)
    assert "→ Data analysis (rules, 99 %): goes on: asks for totals of sales" in second.text
