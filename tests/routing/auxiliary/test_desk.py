"""The model answers where it can; in time, or not at all."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
from autogen_core.models import ModelInfo, RequestUsage, SystemMessage, UserMessage
from autogen_ext.models.replay import ReplayChatCompletionClient
from pydantic import ValidationError
from structlog.testing import capture_logs

from aiostream_server.config.model import AuxiliaryConfig, OpenAIModelConfig
from aiostream_server.events.base import TokenCount
from aiostream_server.models.client import StreamingClient
from aiostream_server.models.openai.provider import OpenAIProvider
from aiostream_server.models.provider import Delta, End, ModelRequest, TextDelta
from aiostream_server.protocols.chat.request import ChatRequest, read_question
from aiostream_server.routing.auxiliary.desk import AuxiliaryAnswer, AuxiliaryDesk
from aiostream_server.routing.auxiliary.kinds import Auxiliary
from aiostream_server.routing.auxiliary.rules import answer_by_rules
from tests.kit.scripted_provider import HttpError, ScriptedAnswer, ScriptedProvider
from tests.kit.waiting import wait_for
from tests.routing.auxiliary.app_prompts import CHAT, PROMPTS, QUESTION, Message, system, user
from tests.routing.auxiliary.cases import recognised, rendered

_TITLE = recognised("0_12_4 generate_title short")
_INFO = ModelInfo(vision=False, function_calling=False, json_output=True, family="unknown", structured_output=False)
_BY_RULES = AuxiliaryAnswer('{"title": "What were our total sales by…"}', "rules")


async def _answer(written: str, auxiliary: Auxiliary = _TITLE) -> AuxiliaryAnswer:
    desk = AuxiliaryDesk(AuxiliaryConfig(), ReplayChatCompletionClient([written], _INFO))
    return await desk.answer(auxiliary)


class _Provider:
    """Says nothing until it is let go."""

    model_info = _INFO

    def __init__(self) -> None:
        self.requests: list[ModelRequest] = []
        self.go_on = asyncio.Event()
        self.closed = 0

    async def stream(self, request: ModelRequest) -> AsyncIterator[Sequence[Delta]]:
        self.requests.append(request)
        try:
            await self.go_on.wait()
            yield (TextDelta('{"title": "Sales"}'), End("stop", RequestUsage(5, 3)))
        finally:
            self.closed += 1

    async def close(self) -> None:
        """Nothing is open."""


async def test_without_a_model_rules_answer() -> None:
    desk = AuxiliaryDesk(AuxiliaryConfig())
    auxiliary = desk.recognise(rendered("0_12_4 generate_title short").question, None, is_streamed=False)
    assert auxiliary == _TITLE
    assert await desk.answer(auxiliary) == _BY_RULES


async def test_a_models_answer_is_brought_into_shape_and_its_tokens_are_told() -> None:
    provider = _Provider()
    provider.go_on.set()
    answer = await AuxiliaryDesk(AuxiliaryConfig(), StreamingClient(provider)).answer(_TITLE)
    assert answer == AuxiliaryAnswer('{"title": "Sales"}', "model", TokenCount(5, 3))
    assert provider.requests[0].json_output is True


@pytest.mark.parametrize("nonsense", ["", "Sales", '{"tags": ["Sales"]}', "{" * 60_000])
async def test_nonsense_is_answered_by_rules(nonsense: str) -> None:
    with capture_logs() as logs:
        assert await _answer(nonsense) == _BY_RULES
    assert [log["event"] for log in logs] == ["auxiliary_model_answer_unusable"]


async def test_half_a_text_is_answered_by_rules() -> None:
    async with ScriptedProvider() as scripted:
        scripted.script(ScriptedAnswer("Europe le", finish="length"))
        client = StreamingClient(
            OpenAIProvider(OpenAIModelConfig(provider="openai", model="m", base_url=scripted.base_url))
        )
        merge = recognised("0_12_4 generate_moa_response True short")
        try:
            with capture_logs():
                assert (await AuxiliaryDesk(AuxiliaryConfig(), client).answer(merge)).text == "Europe leads."
        finally:
            await client.close()


async def test_a_provider_that_fails_is_answered_by_rules() -> None:
    async with ScriptedProvider() as scripted:
        scripted.script(HttpError(401))
        client = StreamingClient(
            OpenAIProvider(OpenAIModelConfig(provider="openai", model="m", base_url=scripted.base_url))
        )
        try:
            with capture_logs() as logs:
                assert await AuxiliaryDesk(AuxiliaryConfig(), client).answer(_TITLE) == _BY_RULES
        finally:
            await client.close()
    assert {"event": "auxiliary_model_failed", "kind": "title_generation", "error": "ProviderRefused"}.items() <= logs[
        -1
    ].items()


async def test_a_slow_model_is_answered_by_rules_in_time_and_its_call_ends() -> None:
    provider = _Provider()
    desk = AuxiliaryDesk(AuxiliaryConfig(timeout_s=0.05), StreamingClient(provider))
    with capture_logs():
        assert await desk.answer(_TITLE) == _BY_RULES
    await wait_for(lambda: provider.closed, "the call has ended")


async def test_cancelling_is_not_swallowed() -> None:
    provider = _Provider()
    desk = AuxiliaryDesk(AuxiliaryConfig(), StreamingClient(provider))
    task = asyncio.create_task(desk.answer(_TITLE))
    await wait_for(lambda: provider.requests, "the model is asked")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_more_than_sixteen_calls_at_once_are_answered_by_rules() -> None:
    provider = _Provider()
    desk = AuxiliaryDesk(AuxiliaryConfig(), StreamingClient(provider))
    calls = [asyncio.create_task(desk.answer(_TITLE)) for _ in range(16)]
    await asyncio.sleep(0)
    assert (await desk.answer(_TITLE)).by == "rules"
    provider.go_on.set()
    assert {answer.by for answer in await asyncio.gather(*calls)} == {"model"}
    assert (await desk.answer(_TITLE)).by == "model"


async def test_the_model_gets_the_clients_prompt_without_our_decoration() -> None:
    client = ReplayChatCompletionClient(['{"title": "x"}'], _INFO)
    await AuxiliaryDesk(AuxiliaryConfig(), client).answer(_TITLE)
    (message,) = client.create_calls[0]["messages"]
    assert isinstance(message, UserMessage)
    assert isinstance(message.content, str)
    assert message.content.startswith(_TITLE.prompt.partition("<chat_history>")[0])
    assert message.content.endswith(
        "USER: What were our total sales by region last year?\nASSISTANT: Europe leads.\n</chat_history>"
    )


async def test_the_model_gets_the_clients_system_message() -> None:
    client = ReplayChatCompletionClient(['{"tool_calls": []}'], _INFO)
    tools = recognised("0_12_4 function_calling short")
    await AuxiliaryDesk(AuxiliaryConfig(), client).answer(tools)
    system, user = client.create_calls[0]["messages"]
    assert system == SystemMessage(content=tools.system)
    assert user.content == tools.prompt


async def test_long_messages_are_shortened_and_long_prompts_are_not_sent() -> None:
    client = ReplayChatCompletionClient(['{"title": "x"}', "merged"], _INFO)
    desk = AuxiliaryDesk(AuxiliaryConfig(), client)
    await desk.answer(Auxiliary("title_generation", f"<chat_history>\nUSER: {'x' * 100_000}\n</chat_history>"))
    assert len(client.create_calls[0]["messages"][0].content) < 5_000
    merge = Auxiliary("moa_response_generation", "x" * 300_000)
    with capture_logs():
        assert await desk.answer(merge) == AuxiliaryAnswer(answer_by_rules(merge), "rules")
    assert len(client.create_calls) == 1


def test_the_administrators_patterns_are_heeded() -> None:
    desk = AuxiliaryDesk(AuxiliaryConfig.model_validate({"patterns": ("title_of_my_own", "summarizing")}))
    found = desk.recognise(rendered("0_12_4 generate_title short").question, None, is_streamed=True)
    assert found is not None
    assert found.kind == "title_generation"


class TestPatternsOfEveryShape:
    """Prompts that no app of the corpus sends."""

    @pytest.mark.parametrize(
        ("entry", "messages", "kind", "answer"),
        [
            ("^Taufe (?P<plain_title>das)", [user(f"Taufe das: {QUESTION}")], "plain_title", None),
            (
                {"pattern": "^Taufe (?P<plain_title>es)", "place": "last", "answer": '{"name": "{}"}'},
                [*CHAT, user("Taufe es.")],
                "plain_title",
                f'{{"name": "{QUESTION}"}}',
            ),
            (
                {"pattern": "^Kurz (?P<context_compaction>gefasst)", "place": "last"},
                [*CHAT, system("Kurz gefasst.")],
                "context_compaction",
                f"- user: {QUESTION}\n- assistant: North.",
            ),
            (
                {"pattern": "Taufpate (?P<plain_title>)", "place": "system", "answer": "<name>{}</name>"},
                [system("Du bist Taufpate fuer alles."), *CHAT, user("Und?")],
                "plain_title",
                f"<name>{QUESTION}</name>",
            ),
            (
                {"pattern": "^Etiketten (?P<plain_tags>bitte)", "place": "last"},
                [*CHAT, user("Etiketten bitte")],
                "plain_tags",
                "General",
            ),
        ],
    )
    async def test_is_recognised_and_answered(
        self, entry: object, messages: list[Message], kind: str, answer: str | None
    ) -> None:
        question = read_question(ChatRequest.model_validate({"model": "auto", "messages": messages}))
        assert AuxiliaryDesk(AuxiliaryConfig()).recognise(question, None, is_streamed=True) is None
        desk = AuxiliaryDesk(AuxiliaryConfig.model_validate({"patterns": [entry]}))
        found = desk.recognise(question, None, is_streamed=True)
        assert found is not None
        assert found.kind == kind
        assert answer is None or (await desk.answer(found)).text == answer

    def test_elsewhere_is_a_turn(self) -> None:
        last = {"pattern": "^Taufe", "place": "last"}
        desk = AuxiliaryDesk(AuxiliaryConfig.model_validate({"patterns": [last]}))
        for messages in ([user("Taufe das.")], [user("Taufe das."), CHAT[1], user("Und jetzt?")]):
            question = read_question(ChatRequest.model_validate({"model": "auto", "messages": messages}))
            assert desk.recognise(question, None, is_streamed=False) is None

    def test_a_template_without_a_place_is_refused(self) -> None:
        with pytest.raises(ValidationError, match="the place of the answer"):
            AuxiliaryConfig.model_validate({"patterns": [{"pattern": "x", "answer": "<name></name>"}]})


class TestAnswersForApps:
    @pytest.mark.parametrize(
        ("name", "written", "answer"),
        [
            (
                "JSON with a language",
                '{"language": "French", "title": "Sales"}',
                '{"language": "English", "title": "Sales"}',
            ),
            ("XML", "<title>Sales by region</title>", "<title>Sales by region</title>"),
            ("opencode", '"Sales by region"', "Sales by region"),
            ("tags as a list", "sales, regions", "sales, regions"),
            ("tags as JSON", '{"tags": ["sales", "regions"]}', '{"tags": ["sales", "regions"]}'),
            ("NextChat, summary, en", "They spoke of sales.", "They spoke of sales."),
        ],
    )
    async def test_of_a_model_come_in_the_apps_format(self, name: str, written: str, answer: str) -> None:
        (prompt,) = (prompt for prompt in PROMPTS if prompt.name == name)
        question = read_question(ChatRequest.model_validate({"model": "auto", "messages": prompt.messages}))
        client = ReplayChatCompletionClient([written], _INFO)
        desk = AuxiliaryDesk(AuxiliaryConfig(), client)
        found = desk.recognise(question, None, is_streamed=False)
        assert found is not None
        answered = await desk.answer(found)
        assert (answered.text, answered.by) == (answer, "model")
        assert QUESTION in str(client.create_calls[0]["messages"][-1].content) or name == "tags as JSON"
