"""Any sequence that AutoGen or a client can produce becomes one that strict templates take, and nothing of it is lost.

The templates are written anew, from the sources that each names; each refuses in its own words.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final, TypeAlias

import pytest
from autogen_core import FunctionCall, Image
from autogen_core.models import (
    AssistantMessage,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    SystemMessage,
    UserMessage,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PillowImage

from aiostream_server.config.providers import MessageNames
from aiostream_server.errors import ModelFailed
from aiostream_server.models.families import MessageRule, message_rules_of
from aiostream_server.models.openai.accepted_messages import AcceptedMessages, MessageDialect
from aiostream_server.models.openai.messages import wire_messages
from aiostream_server.models.openai.request import request_body
from aiostream_server.models.provider import ModelRequest

Wire: TypeAlias = Mapping[str, Any]
Template: TypeAlias = Callable[[Mapping[str, Any]], None]

PICTURE: Final = Image(PillowImage.new("RGB", (2, 2)))
FAILED: Final = ModelFailed("refused")


class Refused(Exception):
    pass


def demand(holds: bool, words: str) -> None:
    if not holds:
        raise Refused(words)


def text_of(message: Wire) -> str:
    content = message.get("content") or ""
    return content if isinstance(content, str) else "\n".join(part.get("text", "") for part in content)


def calls_of(message: Wire) -> Sequence[Wire]:
    return message.get("tool_calls") or ()


def alternate(messages: Sequence[Wire], words: str) -> None:
    for at, message in enumerate(messages):
        demand((message["role"] == "user") == (at % 2 == 0), words)


def after_system(messages: Sequence[Wire]) -> Sequence[Wire]:
    return messages[1:] if messages[0]["role"] == "system" else messages


def mistral_template(body: Mapping[str, Any]) -> None:
    """https://huggingface.co/mistralai/Mistral-7B-Instruct-v0.3/blob/main/tokenizer_config.json"""
    rest = after_system(body["messages"])
    talk = [message for message in rest if message["role"] != "tool" and not calls_of(message)]
    alternate(talk, "After the optional system message, conversation roles must alternate user/assistant/user/...")
    ids = [call["id"] for message in rest for call in calls_of(message)]
    ids += [message["tool_call_id"] for message in rest if message["role"] == "tool"]
    known = all(re.fullmatch("[a-zA-Z0-9]{9}", call_id) for call_id in ids)
    demand(known, "Tool call IDs should be alphanumeric strings with length 9!")
    roles = {message["role"] for message in rest}
    demand(roles <= {"user", "assistant", "tool"}, "Only user and assistant roles are supported, with the exception of "
           "an initial optional system message!")  # fmt: skip


def mistral_api(body: Mapping[str, Any]) -> None:
    """https://github.com/mistralai/mistral-common/blob/main/src/mistral_common/protocol/instruct/validator.py"""
    messages = body["messages"]
    follows = {
        "system": {"user", "assistant", "system"},
        "user": {"assistant", "system", "user"},
        "assistant": {"assistant", "user", "tool"},
        "tool": {"assistant", "tool"},
    }
    for before, after in pairwise(messages):
        said = f"Unexpected role '{after['role']}' after role '{before['role']}'"
        demand(after["role"] in follows[before["role"]], said)
    last = messages[-1]["role"]
    words = f"Expected last role User or Tool (or Assistant with prefix True) for serving but got {last}"
    demand(last in ("user", "tool"), words)
    open_calls = 0
    for message in messages:
        if message["role"] == "assistant":
            demand(bool(text_of(message) or calls_of(message)), "Assistant message must have either content or "
                   "tool_calls, but not none.")  # fmt: skip
        if message["role"] == "tool":
            open_calls -= 1
        else:
            demand(open_calls == 0, "Not the same number of function calls and responses")
            open_calls = len(calls_of(message))
    demand(open_calls == 0, "Not the same number of function calls and responses")


def gemma_template(body: Mapping[str, Any]) -> None:
    """https://huggingface.co/google/gemma-3-12b-it/blob/main/chat_template.json; no tools: TGI issue 3198."""
    alternate(after_system(body["messages"]), "Conversation roles must alternate user/assistant/user/assistant/...")


def gemma_2_template(body: Mapping[str, Any]) -> None:
    """https://huggingface.co/google/gemma-2-9b-it/blob/main/tokenizer_config.json"""
    demand(body["messages"][0]["role"] != "system", "System role not supported")
    alternate(body["messages"], "Conversation roles must alternate user/assistant/user/assistant/...")


def qwen_template(body: Mapping[str, Any]) -> None:
    """https://huggingface.co/Qwen/Qwen3.5-27B/blob/main/chat_template.jinja"""
    messages = body["messages"]
    later = [message["role"] for message in messages[1:]]
    demand("system" not in later, "System message must be at the beginning.")
    demand(any(message["role"] == "user" for message in messages), "No user query found in messages.")


def deepseek_api(body: Mapping[str, Any]) -> None:
    """microsoft/autogen#5965; https://api-docs.deepseek.com/guides/reasoning_model"""
    messages = body["messages"]
    for at, (before, after) in enumerate(pairwise(messages)):
        words = (
            f"deepseek-reasoner does not support successive user or assistant messages (messages[{at}] and "
            f"messages[{at + 1}] in your input). You should interleave the user/assistant messages in the sequence."
        )
        demand(before["role"] != after["role"] or before["role"] in ("tool", "system"), words)
    words = "The last message of deepseek-reasoner must be a user message, or an assistant message with prefix mode on."
    demand(messages[-1]["role"] in ("user", "tool"), words)


def anthropic_api(body: Mapping[str, Any]) -> None:
    """https://docs.claude.com/en/api/messages, behind LiteLLM (microsoft/autogen#6328)."""
    talk = [message for message in body["messages"] if message["role"] != "system"]
    demand(bool(talk), "messages: at least one message is required")
    for at, message in enumerate(talk):
        words = f"messages.{at}: text content blocks must be non-empty"
        demand(bool(calls_of(message)) or bool(text_of(message).strip()) or _has_picture(message), words)
    words = "This model does not support assistant message prefill. The conversation must end with a user message."
    demand(talk[-1]["role"] in ("user", "tool"), words)
    open_calls: set[str] = set()
    for message in talk:
        if message["role"] == "tool":
            words = f"messages.1.content.0: unexpected `tool_use_id` found in `tool_result` blocks: {open_calls}"
            demand(message["tool_call_id"] in open_calls, words)
            open_calls.discard(message["tool_call_id"])
            continue
        words = "`tool_use` ids were found without `tool_result` blocks immediately after: toolu_1."
        demand(not open_calls, words)
        open_calls = {call["id"] for call in calls_of(message)}
    demand(not open_calls, "`tool_use` ids were found without `tool_result` blocks immediately after: toolu_1.")
    called = any(calls_of(message) for message in talk)
    demand(not called or "tools" in body, "the `tools=` param must be passed in when messages contain tool calls")


def openai_api(body: Mapping[str, Any]) -> None:
    """https://platform.openai.com/docs/guides/function-calling"""
    open_calls: set[str] = set()
    for message in body["messages"]:
        if message["role"] == "tool":
            words = "messages with role 'tool' must be a response to a preceeding message with 'tool_calls'."
            demand(message["tool_call_id"] in open_calls, words)
            open_calls.discard(message["tool_call_id"])
            continue
        words = "An assistant message with 'tool_calls' must be followed by tool messages responding to each one."
        demand(not open_calls, words)
        open_calls = {call["id"] for call in calls_of(message)}
    demand(not open_calls, "An assistant message with 'tool_calls' must be followed by tool messages.")


def _has_picture(message: Wire) -> bool:
    content = message.get("content")
    return isinstance(content, list) and any(part["type"] == "image_url" for part in content)


TEMPLATES: Final[Mapping[str, Sequence[Template]]] = {
    "mistral-small-latest": [mistral_template, mistral_api],
    "Qwen3.5-27B": [qwen_template],
    "deepseek-reasoner": [deepseek_api],
    "anthropic/claude-sonnet-4": [anthropic_api],
}
ALL: Final = (
    *(mistral_template, mistral_api, gemma_template, gemma_2_template),
    *(qwen_template, deepseek_api, anthropic_api, openai_api),
)

words = st.sampled_from(["alpha", "beta", "gamma", "delta", "two\nlines"])
texts = st.one_of(words, st.sampled_from(["", " \n"]))
speakers = st.sampled_from(["user", "Writer", "Critic"])
call_ids = st.sampled_from(["call_0", "call_1", "abcdefghi"])
calls = st.builds(FunctionCall, id=call_ids, arguments=st.just("{}"), name=st.sampled_from(["add", "query"]))
results = st.builds(
    FunctionExecutionResult, content=texts, name=st.just("add"), call_id=call_ids, is_error=st.just(False)
)
messages = st.lists(
    st.one_of(
        st.builds(SystemMessage, content=texts),
        st.builds(UserMessage, content=st.lists(st.one_of(texts, st.just(PICTURE)), max_size=3), source=speakers),
        st.builds(UserMessage, content=texts, source=speakers),
        st.builds(AssistantMessage, content=texts, source=st.just("Me")),
        st.builds(
            AssistantMessage,
            content=st.lists(calls, min_size=1, max_size=2, unique_by=lambda call: call.id),
            thought=st.one_of(st.none(), texts),
            source=st.just("Me"),
        ),
        st.builds(FunctionExecutionResultMessage, content=st.lists(results, min_size=1, max_size=2)),
    ),
    min_size=1,
    max_size=8,
)


def pieces(messages: Sequence[LLMMessage], *, with_results: bool) -> list[str]:
    """Every text, call and picture that must arrive, in order."""
    found: list[str] = []
    for message in messages:
        match message:
            case AssistantMessage(content=list() as called):
                found += [message.thought or "", *(call.name for call in called if isinstance(call, FunctionCall))]
            case FunctionExecutionResultMessage():
                found += [result.content for result in message.content if with_results]
            case UserMessage(content=list() as parts):
                found += [part if isinstance(part, str) else "data:image" for part in parts]
            case _:
                found.append(str(message.content))
    return [piece.strip() for piece in found if piece.strip()]


def told(messages: Sequence[Wire]) -> str:
    """Everything that the model reads, as one text."""
    told: list[str] = []
    for message in messages:
        content = message.get("content") or ""
        parts: list[dict[str, Any]] = [{"text": content}] if isinstance(content, str) else content
        told += [part["text"] if "text" in part else part["image_url"]["url"][:10] for part in parts]
        told += [call["function"]["name"] for call in calls_of(message)]
    return "\n".join(told)


def arrives(sent: Sequence[LLMMessage], messages: Sequence[Wire]) -> bool:
    """Whether every piece stands behind the one before it. Results that answer no call may stand a little later."""
    rest = whole = told(messages)
    for piece in pieces(sent, with_results=False):
        _, found, rest = rest.partition(piece)
        if not found:
            return False
    all_pieces = pieces(sent, with_results=True)
    return all(whole.count(piece) >= all_pieces.count(piece) for piece in all_pieces)


def body_of(sent: Sequence[LLMMessage], dialect: MessageDialect, names: MessageNames = "none") -> dict[str, Any]:
    body: dict[str, Any] = json.loads(request_body("m", {}, ModelRequest(sent), names, dialect))
    return body


@pytest.mark.parametrize("model", TEMPLATES)
@settings(max_examples=50)
@given(sent=messages, names=st.sampled_from(["none", "field", "prefix"]))
def test_a_known_family_is_sent_what_it_takes(model: str, sent: list[LLMMessage], names: MessageNames) -> None:
    body = body_of(sent, AcceptedMessages(model, "auto").dialect, names)
    for template in TEMPLATES[model]:
        template(body)
    assert arrives(sent, body["messages"])


@pytest.mark.parametrize("template", ALL)
@settings(max_examples=50)
@given(sent=messages)
def test_any_strict_template_is_learned_from_its_own_words(template: Template, sent: list[LLMMessage]) -> None:
    """Each refusal teaches something, and the first one is the usual case: `body` is sent anew after each."""
    accepted = AcceptedMessages("unknown", "auto")
    for _ in range(8):
        dialect = accepted.dialect
        body = body_of(sent, dialect)
        try:
            template(body)
        except Refused as refused:
            said = f"Jinja Exception: {refused}"
        else:
            break
        error = {"error": {"message": said, "type": "server_error", "code": 500}}
        assert accepted.learn(dialect, ModelRequest(sent), FAILED, error), said
    else:
        pytest.fail("refused again and again")
    assert arrives(sent, body["messages"])


@settings(max_examples=50)
@given(sent=messages, names=st.sampled_from(["none", "field", "prefix"]))
def test_what_takes_everything_is_sent_everything(sent: list[LLMMessage], names: MessageNames) -> None:
    """As AutoGen has it, message for message, but for empty ones and the leading system messages."""
    body = body_of(sent, AcceptedMessages("gpt-4.1", "auto").dialect, names)["messages"]
    roles = [message["role"] for message in body]
    expected = [one["role"] for message in sent for one in wire_messages([message], names) if _is_said(one)]
    while expected[:2] == ["system", "system"]:
        expected.pop(0)
    if any(role != "system" for role in expected):
        assert roles == expected
    assert arrives(sent, body)


def _is_said(message: Wire) -> bool:
    is_call = message["role"] == "tool" or bool(calls_of(message))
    return is_call or bool(text_of(message).strip()) or _has_picture(message)


def user(text: str, source: str = "user") -> UserMessage:
    return UserMessage(content=text, source=source)


def sent_as(model: str, *messages: LLMMessage) -> list[tuple[str, Any]]:
    body = wire_messages(messages, dialect=AcceptedMessages(model, "auto").dialect)
    return [(message["role"], message["content"]) for message in body]


def test_joined_messages_say_who_said_what() -> None:
    question, draft, advice = user("Write."), user("A draft.", "Writer"), user("Shorter.", "Critic")
    answer = AssistantMessage(content="Mine.", source="Me")
    assert sent_as("mistral", question, draft, advice) == [
        ("user", "user said:\nWrite.\n\nWriter said:\nA draft.\n\nCritic said:\nShorter.")
    ]
    assert sent_as("mistral", question, user("Now.")) == [("user", "Write.\n\nNow.")]
    assert sent_as("mistral", question, answer, draft) == [
        ("user", "Write."),
        ("assistant", "Mine."),
        ("user", "A draft."),
    ]
    assert sent_as("gpt-4.1", question, draft) == [("user", "Write."), ("user", "A draft.")]


def test_pictures_survive() -> None:
    seen = UserMessage(content=["Look.", PICTURE], source="user")
    (content,) = [content for _, content in sent_as("mistral", seen, user("A cat.", "Writer"))]
    assert [part.get("text") or part["type"] for part in content] == [
        "user said:", "Look.", "image_url", "Writer said:\nA cat.",
    ]  # fmt: skip


def test_what_stands_where_a_template_has_no_place_for_it() -> None:
    call = AssistantMessage(content=[FunctionCall(id="abcdefghi", arguments="{}", name="add")], source="Me")
    result = FunctionExecutionResultMessage(
        content=[FunctionExecutionResult(content="3", name="add", call_id="abcdefghi", is_error=False)]
    )
    system = SystemMessage(content="Be brief.")
    assert sent_as("mistral", system, user("1 + 2?"), call, result, user("And?", "Critic"), system) == [
        ("system", "Be brief."),
        ("user", "1 + 2?"),
        ("assistant", None),
        ("tool", "3"),
        ("assistant", "OK."),
        ("user", "And?\n\nSystem message:\nBe brief."),
    ]
    assert sent_as("mistral", AssistantMessage(content="Hello.", source="Me")) == [
        ("user", "Begin."), ("assistant", "Hello."), ("user", "Continue."),
    ]  # fmt: skip
    assert sent_as("mistral", call, user("Well?")) == [
        ("user", "Begin."), ("assistant", None), ("tool", "(no result)"), ("assistant", "OK."), ("user", "Well?"),
    ]  # fmt: skip
    assert sent_as("gemma2", system, user("Hi")) == [("user", "Be brief.\n\nHi")]
    assert sent_as("mistral", system) == [("user", "Be brief.")]


def test_a_setting_wins_over_the_name() -> None:
    assert AcceptedMessages("mistral", "any").dialect.rules == MessageRule(0)
    assert MessageRule.ROLES_ALTERNATE in AcceptedMessages("gpt-4.1", "alternate").dialect.rules
    free = AcceptedMessages("mistral", "any")
    error = "Conversation roles must alternate user/assistant/..."
    assert not free.learn(free.dialect, ModelRequest([user("a")]), FAILED, error)


@pytest.mark.parametrize(
    ("model", "rule"),
    [
        ("mistralai/Mistral-7B-Instruct-v0.3", MessageRule.ROLES_ALTERNATE),
        ("devstral:24b", MessageRule.ROLES_ALTERNATE),
        ("gemma3:4b", MessageRule.ROLES_ALTERNATE),
        ("google/gemma-2-9b-it", MessageRule.NO_SYSTEM),
        ("gemma:7b", MessageRule.NO_SYSTEM),
        ("llama2:13b", MessageRule.ROLES_ALTERNATE),
        ("deepseek-reasoner", MessageRule.ROLES_ALTERNATE),
        ("sonar-pro", MessageRule.USER_LAST),
        ("qwen/Qwen3.5-27B", MessageRule.SYSTEM_FIRST),
        ("anthropic/claude-sonnet-4.5", MessageRule.TOOLS_NAMED),
        ("o1-mini", MessageRule.NO_SYSTEM),
        ("google/gemini-3-pro-preview", MessageRule.RESULTS_NAMED),
    ],
)
def test_families(model: str, rule: MessageRule) -> None:
    assert rule in message_rules_of(model)


@pytest.mark.parametrize("model", ["gpt-4.1", "o3", "llama3.3:70b", "qwen3:8b", "deepseek-chat", "m"])
def test_other_names_take_everything(model: str) -> None:
    assert message_rules_of(model) == MessageRule(0)


def test_gemma_3_has_a_system_message() -> None:
    assert MessageRule.NO_SYSTEM not in message_rules_of("gemma-3-12b-it") | message_rules_of("gemma3:12b")
