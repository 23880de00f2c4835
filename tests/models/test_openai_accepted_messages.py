"""Which messages a provider is sent: by what it refused before, in whatever words it did."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from autogen_core import FunctionCall
from autogen_core.models import (
    AssistantMessage,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    SystemMessage,
    UserMessage,
)
from autogen_core.tools import ToolSchema

from aiostream_server.errors import ModelFailed
from aiostream_server.models.families import MessageRule
from aiostream_server.models.openai.accepted_messages import AcceptedMessages
from aiostream_server.models.openai.provider import OpenAIProvider
from aiostream_server.models.provider import ExtraFields, KeptAnswer, ModelRequest, TextDelta
from tests.kit.scripted_provider import HttpError, Raw, Reply, ScriptedAnswer, ScriptedProvider
from tests.models.recording import config_of

PAIR: Sequence[LLMMessage] = [UserMessage(content="Hi", source="user"), UserMessage(content="Ho", source="Writer")]
JOINED = [{"role": "user", "content": "user said:\nHi\n\nWriter said:\nHo"}]
CALLED: Sequence[LLMMessage] = [
    UserMessage(content="Hi", source="user"),
    AssistantMessage(content=[FunctionCall(id="c1", arguments="{}", name="add")], thought="Hm", source="Me"),
    FunctionExecutionResultMessage(
        content=[FunctionExecutionResult(content="3", name="add", call_id="c1", is_error=False)]
    ),
]
ADD: ToolSchema = {"name": "add", "description": "Add.", "parameters": {"type": "object", "properties": {}}}
KEPT = {1: KeptAnswer("", ExtraFields({"reasoning_content": "Hm", "mood": "good"}, {0: {"extra_content": {"a": 1}}}))}


def refusal(text: str, status: int = 400) -> HttpError:
    return HttpError(status, {"error": {"message": text}})


def in_stream(text: str) -> Raw:
    event = json.dumps({"error": {"code": "server_error", "message": text}}).encode()
    return Raw([b"data: " + event + b"\n\n", b"data: [DONE]\n\n"])


async def ask(request: ModelRequest, *replies: Reply, times: int = 1, **settings: Any) -> list[dict[str, Any] | str]:
    """The bodies that were sent, then the failures there were."""
    async with ScriptedProvider() as scripted:
        scripted.script(*replies)
        provider = OpenAIProvider(config_of(scripted, **settings))
        failures = []
        for _ in range(times):
            try:
                async for _batch in provider.stream(request):
                    pass
            except ModelFailed as failure:
                failures.append(str(failure))
        await provider.close()
        return [*(exchange.body for exchange in scripted.exchanges), *failures]


def messages_of(body: dict[str, Any] | str) -> Any:
    assert isinstance(body, dict), body
    return body["messages"]


@pytest.mark.parametrize(
    "refused",
    [
        refusal("Conversation roles must alternate user/assistant/user/assistant/..."),
        refusal("Template error: Conversation roles must alternate user/assistant/...", 422),
        refusal("While executing CallExpression: Jinja Exception: conversation roles must alternate", 500),
        refusal("litellm.BadRequestError: messages: roles must alternate, found multiple \"user\" roles in a row"),
        refusal("deepseek-reasoner does not support successive user or assistant messages"),
        refusal("Please ensure that multiturn requests alternate between user and model."),
        refusal("A conversation must alternate between user and assistant roles. Make sure to alternate roles."),
        in_stream("Error rendering prompt with jinja template: \"conversation roles must alternate user\""),
    ],
)  # fmt: skip
async def test_a_refusal_is_learned_with_one_more_request(refused: Reply) -> None:
    """And remembered: the next call is right at once."""
    answers = (ScriptedAnswer("a"), ScriptedAnswer("b"))
    first, *others = await ask(ModelRequest(PAIR), refused, *answers, times=2)
    assert [message["content"] for message in messages_of(first)] == ["Hi", "Ho"]
    assert [messages_of(body) for body in others] == [JOINED, JOINED]


async def test_an_answer_that_has_begun_is_not_asked_for_again() -> None:
    words = json.dumps({"choices": [{"index": 0, "delta": {"content": "Hi"}}]}).encode()
    error = json.dumps({"error": {"message": "conversation roles must alternate"}}).encode()
    broken = Raw([b"data: " + words + b"\n\n", b"data: " + error + b"\n\n"])
    _, failure = await ask(ModelRequest(PAIR), broken, ScriptedAnswer("a"))
    assert isinstance(failure, str)
    assert "roles must alternate" in failure


@pytest.mark.parametrize(
    "refused",
    [
        refusal("The model is not found", 404),
        refusal("tools: each name must be unique, cannot be empty"),
        refusal("temperature must be at most 2"),
        refusal("This model's maximum context length is 10 tokens; system messages not supported beyond"),
        refusal("roles must alternate", 401),
    ],
)
async def test_what_teaches_nothing_about_these_messages_is_told_at_once(refused: HttpError) -> None:
    sent = await ask(ModelRequest([PAIR[0]]), refused, ScriptedAnswer("a"))
    assert [type(one) for one in sent] == [dict, str]


async def test_a_setting_that_sends_everything_learns_no_order() -> None:
    sent = await ask(ModelRequest(PAIR), refusal("roles must alternate"), ScriptedAnswer("a"), messages="any")
    assert [type(one) for one in sent] == [dict, str]
    (body,) = await ask(ModelRequest(PAIR), ScriptedAnswer("a"), messages="alternate")
    assert messages_of(body) == JOINED


async def test_runs_that_were_refused_together_are_both_put_right() -> None:
    def reply(body: Mapping[str, Any]) -> Reply:
        return ScriptedAnswer("a") if len(body["messages"]) == 1 else refusal("roles must alternate")

    async with ScriptedProvider() as scripted:
        scripted.script(reply)
        provider = OpenAIProvider(config_of(scripted))

        async def one() -> str:
            batches = [batch async for batch in provider.stream(ModelRequest(PAIR))]
            return "".join(delta.text for batch in batches for delta in batch if isinstance(delta, TextDelta))

        assert await asyncio.gather(*[one() for _ in range(5)]) == ["a"] * 5
        await provider.close()


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        ("Unexpected role 'user' after role 'tool'", MessageRule.ROLES_ALTERNATE),
        ("messages: first message must use the \"user\" role", MessageRule.ROLES_ALTERNATE),
        ("Invalid first message. Should always start with 'role'='user' for Bedrock", MessageRule.ROLES_ALTERNATE),
        ("After the (optional) system message(s), user and assistant roles should be alternating.",
         MessageRule.ROLES_ALTERNATE),
        ("System message must be at the beginning.", MessageRule.SYSTEM_FIRST),
        ("Unexpected role 'system' after role 'user'", MessageRule.SYSTEM_FIRST),
        (
            "GenerateContentRequest.contents[2].parts[0].function_response.name: Name cannot be empty.",
            MessageRule.RESULTS_NAMED,
        ),
        ("Tool message must have a 'name' field.", MessageRule.RESULTS_NAMED),
        ("System role not supported", MessageRule.NO_SYSTEM),
        ("Developer instruction is not enabled for models/gemma-3-27b-it", MessageRule.NO_SYSTEM),
        ("Unsupported value: 'messages[0].role' does not support 'system' with this model.", MessageRule.NO_SYSTEM),
        ("Expected last role User or Tool (or Assistant with prefix True) for serving but got assistant",
         MessageRule.USER_LAST),
        ("Last message must have role `user`.", MessageRule.USER_LAST),
        ("This model does not support assistant message prefill. The conversation must end with a user message.",
         MessageRule.USER_LAST),
        ("No user query found in messages.", MessageRule.HAS_USER),
        ("bedrock requires at least one non-system message", MessageRule.HAS_USER),
        ("messages.2: text content blocks must be non-empty", MessageRule.NOT_EMPTY),
        ("messages: text content blocks must contain non-whitespace text", MessageRule.NOT_EMPTY),
        ("The text field in the ContentBlock object at messages.0.content.0 is blank.", MessageRule.NOT_EMPTY),
        ("Invalid request: the message at position 2 with role 'tool' must not be empty", MessageRule.NOT_EMPTY),
        ("Assistant message must have either content or tool_calls, but not none.", MessageRule.NOT_EMPTY),
        ("Not the same number of function calls and responses", MessageRule.CALLS_ANSWERED),
        ("An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'.",
         MessageRule.CALLS_ANSWERED),
        ("messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.",
         MessageRule.CALLS_ANSWERED),
        ("tool_use ids were found without tool_result blocks immediately after: toolu_1", MessageRule.CALLS_ANSWERED),
        ("Tool call id was call_1 but must be a-z, A-Z, 0-9, with a length of 9.", MessageRule.SHORT_IDS),
        ("Cannot pass both content and thinking in an assistant message with tool calls!",
         MessageRule.TEXT_OR_THOUGHT),
        ("the `tools=` param must be passed in when messages contain tool calls", MessageRule.TOOLS_NAMED),
        ("Anthropic expects the `tools=` param to be passed in. Pass `tools=` OR set modify_params",
         MessageRule.TOOLS_NAMED),
        ("The toolConfig field must be defined when using toolUse and toolResult content blocks.",
         MessageRule.TOOLS_NAMED),
        ("Requests which include `tool_use` or `tool_result` blocks must define tools", MessageRule.TOOLS_NAMED),
    ],
)  # fmt: skip
def test_real_words(words: str, rule: MessageRule) -> None:
    """Each is one kind of refusal, and no other."""
    accepted = AcceptedMessages("m", "auto")
    failure = ModelFailed("refused")
    assert accepted.learn(accepted.dialect, ModelRequest(PAIR), failure, {"error": {"message": words, "code": 400}})
    assert accepted.dialect.rules == rule


async def test_a_field_that_is_not_taken_back_is_left_out() -> None:
    """DeepSeek's R1, Cerebras, Mistral: the refusal names it, and only what was sent is left out."""
    request = ModelRequest(CALLED, tools=[ADD], kept=KEPT)
    of_r1 = "The reasoning_content is an intermediate result. Please remove the reasoning_content from your message."
    for text in (of_r1, "property 'messages.1.assistant.reasoning_content' is unsupported"):
        first, second = await ask(request, refusal(text), ScriptedAnswer("a"))
        assert (messages_of(first)[1]["reasoning_content"], messages_of(first)[1]["mood"]) == ("Hm", "good")
        assert set(messages_of(second)[1]) == {"role", "content", "tool_calls", "mood"}
    detail = {
        "loc": ["body", "messages", 1, "assistant", "mood"],
        "msg": "Extra inputs are not permitted",
        "input": "x",
    }
    body = {"object": "error", "message": {"detail": [{"type": "extra_forbidden", **detail}]}}
    _, second = await ask(request, HttpError(422, body), ScriptedAnswer("a"))
    assert set(messages_of(second)[1]) == {"role", "content", "tool_calls", "reasoning_content"}


@pytest.mark.parametrize(
    "words",
    [
        "Missing `reasoning_content` field in the assistant message at message index 1.",
        "The `reasoning_content` in the thinking mode must be passed back to the API.",
        "thinking is enabled but reasoning_content is missing in assistant tool call message at index 1",
    ],
)
async def test_reasoning_that_is_not_known_any_more(words: str) -> None:
    """Of a conversation that began elsewhere: Kimi takes a space, and no empty text."""
    said = AssistantMessage(content="Yes.", source="Me")
    _, second = await ask(ModelRequest([*CALLED, said]), refusal(words), ScriptedAnswer("a"))
    assert [message.get("reasoning_content") for message in messages_of(second)] == [None, " ", None, " "]
    assert messages_of(second)[1]["content"] == "Hm"


async def test_a_signature_that_is_not_known_any_more() -> None:
    """https://ai.google.dev/gemini-api/docs/thought-signatures documents a value for calls of other models."""
    words = "Function call is missing a thought_signature in functionCall parts."
    _, second = await ask(
        ModelRequest(CALLED), HttpError(400, json.dumps([{"error": {"message": words}}])), ScriptedAnswer("a")
    )
    (call,) = messages_of(second)[1]["tool_calls"]
    assert call["extra_content"] == {"google": {"thought_signature": "skip_thought_signature_validator"}}


@pytest.mark.parametrize(
    "words",
    [
        "messages.1.content.0: Invalid `signature` in `thinking` block",
        "Thought signature is not valid.",
        "Corrupted thought signature.",
        "The encrypted content for item rs_1 could not be verified.",
    ],
)
async def test_a_signature_of_another_model_behind_the_same_name(words: str) -> None:
    """The request goes on without it. Those of other conversations are still sent."""
    replies = (refusal(words), ScriptedAnswer("a"), ScriptedAnswer("b"))
    first, second, third = await ask(ModelRequest(CALLED, kept=KEPT), *replies, times=2)
    assert messages_of(first) == messages_of(third)
    assert set(messages_of(second)[1]) == {"role", "content", "tool_calls"}
    assert "extra_content" not in messages_of(second)[1]["tool_calls"][0]


async def test_refusals_without_end() -> None:
    """A provider that refuses a field and its absence is not asked for ever."""
    replies = [refusal("Missing `reasoning_content` field"), refusal("reasoning_content is not supported, remove it")]
    sent = await ask(ModelRequest(CALLED, kept=KEPT), *replies * 9)
    assert len([body for body in sent if isinstance(body, dict)]) <= 3


async def test_tools_are_named_again_where_messages_hold_calls() -> None:
    """Those of the call before, and what is known of others; the model must not call them."""
    words = "the `tools=` param must be passed in when messages contain tool calls"
    first, second, third = await ask(
        ModelRequest(CALLED, offered=[{"name": "query"}]),
        refusal(words),
        ScriptedAnswer("a"),
        ScriptedAnswer("b"),
        times=2,
    )
    assert isinstance(first, dict)
    assert isinstance(second, dict)
    assert "tools" not in first
    assert [tool["function"]["name"] for tool in second["tools"]] == ["query", "add"]
    assert second["tool_choice"] == "none"
    assert second == third
    (plain,) = await ask(ModelRequest(PAIR, offered=[ADD]), ScriptedAnswer("a"), model="claude-sonnet-4")
    assert "tools" not in plain
    replies = (refusal("Unsupported parameter: 'tool_choice' is not supported with this model"), ScriptedAnswer("a"))
    _, free = await ask(ModelRequest(CALLED, offered=[ADD]), *replies, model="claude-sonnet-4")
    assert isinstance(free, dict)
    assert "tools" in free
    assert "tool_choice" not in free


async def test_text_or_thought_beside_calls() -> None:
    kept = {1: KeptAnswer("I add.", KEPT[1].extra)}
    words = "Cannot pass both content and thinking in an assistant message with tool calls!"
    first, second = await ask(ModelRequest(CALLED, kept=kept), refusal(words), ScriptedAnswer("a"))
    assert messages_of(first)[1]["reasoning_content"] == "Hm"
    assert set(messages_of(second)[1]) == {"role", "content", "tool_calls", "mood"}


async def test_calls_as_text_where_a_template_knows_no_tools() -> None:
    """Gemma 3 on TGI: alternating messages are refused with the same words, because of the tool's."""
    words = "Template error: Conversation roles must alternate user/assistant/user/assistant/..."
    _, last = await ask(ModelRequest(CALLED), refusal(words), ScriptedAnswer("a"), model="gemma-3-12b-it")
    assert [(message["role"], message["content"]) for message in messages_of(last)] == [
        ("user", "Hi"),
        ("assistant", "Hm\n\nCall add: {}"),
        ("user", "Result of add:\n3"),
    ]


async def test_no_empty_message_is_sent_to_any_model() -> None:
    empty: list[LLMMessage] = [
        SystemMessage(content=" "),
        UserMessage(content="Hi", source="user"),
        AssistantMessage(content="", source="Me"),
        UserMessage(content=[" "], source="Writer"),
    ]
    (body,) = await ask(ModelRequest(empty), ScriptedAnswer("a"))
    assert messages_of(body) == [{"role": "user", "content": "Hi"}]
    (body,) = await ask(ModelRequest([UserMessage(content="", source="user")]), ScriptedAnswer("a"))
    assert messages_of(body) == [{"role": "user", "content": ""}]
