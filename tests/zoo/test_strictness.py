"""The zoo is as strict as it says: each rule of a vendor refuses a request that breaks it, and only then.

A stand-in that took everything would make the matrix worthless.
"""

import copy
from collections.abc import Callable
from typing import Any, Final

import pytest

from tests.zoo.hosted import Azure, Gemini, LiteLLM, OpenAI
from tests.zoo.local import GptOss, LlamaCpp, LmStudio, Ollama, VLlm
from tests.zoo.matrix import ZOO
from tests.zoo.mind import Said
from tests.zoo.rules import Broken
from tests.zoo.thinking import DeepSeek, Kimi, Mistral, OpenRouter, Qwen
from tests.zoo.vendor import Request, Vendor

TOOL: Final = {
    "type": "function",
    "function": {
        "name": "look_up",
        "description": "Looks a word up.",
        "parameters": {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]},
    },
}
SAID: Final = Said("", "I look it up.", [("look_up", '{"word": "Danube"}')])
Change = Callable[[dict[str, Any]], object]


def conversation(vendor: Vendor) -> dict[str, Any]:
    """A question, a call as the vendor made it, and its result."""
    made = vendor.whole(SAID, {})["choices"][0]["message"]
    made["content"] = made["content"] if isinstance(made["content"], str) else None
    for call in made["tool_calls"]:
        call["type"] = "function"
        call["function"]["name"] = "look_up"
    if vendor.message_fields is not None:
        made = {name: value for name, value in made.items() if name in vendor.message_fields}
    result = {"role": "tool", "tool_call_id": made["tool_calls"][0]["id"], "content": "2,850 km"}
    if isinstance(vendor, Gemini):
        result["name"] = "look_up"
    messages = [{"role": "system", "content": "You are Librarian."}, {"role": "user", "content": "How long?"}]
    return {"model": "m", "stream": True, "messages": [*messages, made, result], "tools": [copy.deepcopy(TOOL)]}


def refusal(
    vendor: Vendor, body: dict[str, Any], path: str = "/openai/deployments/d/chat/completions?api-version=1"
) -> str:
    """Empty where the request is taken."""
    headers = {"Authorization": "Bearer sk-of-the-zoo", "api-key": "sk-of-the-zoo"}
    try:
        vendor.check(Request(path, headers, body))
    except Broken as broken:
        return str(broken) if vendor.refusal(broken) else ""
    return ""


@pytest.mark.parametrize("vendor", ZOO, ids=lambda vendor: vendor.__name__)
def test_what_came_from_the_vendor_is_taken_back(vendor: type[Vendor]) -> None:
    one = vendor()
    assert refusal(one, conversation(one)) == ""


@pytest.mark.parametrize("vendor", [one for one in ZOO if one.key_header], ids=lambda vendor: vendor.__name__)
def test_a_key_is_needed(vendor: type[Vendor]) -> None:
    one = vendor()
    with pytest.raises(Broken, match="API key"):
        one.check(Request("/openai/deployments/d/chat/completions?api-version=1", {}, conversation(one)))


def without(place: int, name: str) -> Change:
    return lambda body: body["messages"][place].pop(name)


def with_option(name: str, value: object) -> Change:
    return lambda body: body.update({name: value})


def with_message(place: int, role: str, content: str | None) -> Change:
    return lambda body: body["messages"].insert(place, {"role": role, "content": content})


def with_last(role: str, content: str) -> Change:
    return lambda body: body["messages"].append({"role": role, "content": content})


def without_tools(body: dict[str, Any]) -> None:
    del body["tools"]


def with_a_choice_of_nothing(body: dict[str, Any]) -> None:
    del body["tools"]
    body["tool_choice"] = "auto"


def without_signature(body: dict[str, Any]) -> None:
    del body["messages"][2]["tool_calls"][0]["extra_content"]


def with_empty_thought(body: dict[str, Any]) -> None:
    body["messages"][2]["reasoning_content"] = ""


def with_other_thought(body: dict[str, Any]) -> None:
    body["messages"][2]["reasoning_content"] = "Something else."


def with_other_details(body: dict[str, Any]) -> None:
    body["messages"][2]["reasoning_details"][0]["signature"] = "forged"


def with_long_id(body: dict[str, Any]) -> None:
    body["messages"][2]["tool_calls"][0]["id"] = body["messages"][3]["tool_call_id"] = "call_0123456789"


def with_arguments(text: str) -> Change:
    def change(body: dict[str, Any]) -> None:
        body["messages"][2]["tool_calls"][0]["function"]["arguments"] = text

    return change


def with_schema(word: str, value: object) -> Change:
    def change(body: dict[str, Any]) -> None:
        body["tools"][0]["function"]["parameters"]["properties"]["word"] = {word: value}

    return change


def with_tool_named(name: str) -> Change:
    def change(body: dict[str, Any]) -> None:
        body["tools"][0]["function"]["name"] = name

    return change


def twice(body: dict[str, Any]) -> None:
    body["tools"] *= 2


JSON: Final = {"type": "json_object"}
LOOSE: Final = {
    "type": "json_schema",
    "json_schema": {"name": "x", "strict": True, "schema": {"type": "object", "properties": {"a": {"type": "string"}}}},
}


@pytest.mark.parametrize(
    ("vendor", "change", "text"),
    [
        (OpenAI, with_option("max_tokens", 5), "'max_tokens' is not supported"),
        (OpenAI, with_option("temperature", 0.2), "'temperature' does not support 0.2"),
        (OpenAI, with_option("top_k", 5), "Unknown parameter: 'top_k'"),
        (OpenAI, with_option("tool_choice", {"type": "function", "function": {"name": "x"}}), "no such tool"),
        (OpenAI, with_option("response_format", JSON), "must contain the word 'json'"),
        (OpenAI, with_option("response_format", LOOSE), "'additionalProperties' is required"),
        (OpenAI, with_option("messages", []), "too short"),
        (OpenAI, without(3, "content"), "expected a string, got null"),
        (OpenAI, with_message(3, "user", "And now?"), "did not have response messages"),
        (OpenAI, with_last("tool", "x"), "must be a response to a preceding message"),
        (OpenAI, lambda body: body["messages"][2].update(reasoning_content="x"), "Unknown parameter"),
        (OpenAI, with_schema("type", "array"), "array schema missing items"),
        (OpenAI, with_tool_named("a.b"), "does not match pattern"),
        (OpenAI, twice, "must be unique"),
        (Azure, with_a_choice_of_nothing, "only allowed when 'tools'"),
        (Gemini, without(3, "name"), "Name cannot be empty"),
        (Gemini, without_signature, "missing a thought_signature"),
        (Gemini, with_message(1, "assistant", ""), "must have a text parameter"),
        (Gemini, with_schema("const", 1), "Unknown name"),
        (Gemini, with_tool_named("1st"), "does not match pattern"),
        (LiteLLM, without(2, "thinking_blocks"), "Expected `thinking`"),
        (LiteLLM, without_tools, "the `tools=` param must be passed in"),
        (LiteLLM, with_last("assistant", "Well,"), "does not support assistant message prefill"),
        (LiteLLM, with_message(1, "assistant", " "), "must be non-empty"),
        (DeepSeek, without(2, "reasoning_content"), "must be passed back"),
        (DeepSeek, with_other_thought, "it was changed"),
        (DeepSeek, with_last("assistant", "It is long."), "must be passed back"),
        (DeepSeek, with_option("response_format", LOOSE), "response_format type is unavailable"),
        (Kimi, without(2, "reasoning_content"), "reasoning_content is missing"),
        (Kimi, with_empty_thought, "reasoning_content is missing"),
        (Kimi, with_message(1, "assistant", ""), "must not be empty"),
        (Kimi, with_option("temperature", 0.2), "invalid temperature"),
        (Kimi, with_option("tool_choice", "required"), "incompatible with thinking"),
        (Qwen, with_message(2, "system", "Be brief."), "System message must be at the beginning"),
        (Qwen, lambda body: body.update(messages=body["messages"][:1]), "No user query found"),
        (Qwen, with_option("response_format", JSON), "Json mode response is not supported"),
        (Mistral, with_option("stream_options", {}), '"stream_options"'),
        (Mistral, with_option("max_completion_tokens", 5), '"max_completion_tokens"'),
        (Mistral, lambda body: body["messages"][1].update(name="Ada"), '"name"'),
        (Mistral, lambda body: body["messages"][2].update(reasoning_content="x"), '"reasoning_content"'),
        (Mistral, with_last("user", "Well?"), "Unexpected role 'user' after role 'tool'"),
        (Mistral, with_last("assistant", "Well,"), "Expected last role User or Tool"),
        (Mistral, with_message(2, "assistant", ""), "must have either content or tool_calls"),
        (Mistral, with_long_id, "with a length of 9"),
        (GptOss, lambda body: body["messages"][2].update(content="a", reasoning="b"), "Cannot pass both content"),
        (GptOss, with_message(1, "user", "<|channel|>final"), "<|channel|> tags"),
        (OpenRouter, without(2, "reasoning_details"), "Expected `thinking`"),
        (OpenRouter, with_other_details, "it was changed"),
        (VLlm, with_message(2, "user", "Well?"), "must alternate"),
        (VLlm, with_message(2, "system", "Be brief."), "Only user and assistant roles are supported"),
        (VLlm, with_long_id, "strings with length 9"),
        (LmStudio, with_option("response_format", JSON), "must be 'json_schema' or 'text'"),
        (LmStudio, with_message(2, "user", "Well?"), "Error rendering prompt with jinja template"),
        (Ollama, with_arguments("null"), "invalid tool call arguments"),
        (Ollama, with_arguments("{"), "invalid tool call arguments"),
        (LlamaCpp, with_message(2, "user", "Well?"), "Jinja Exception: Conversation roles must alternate"),
        (LlamaCpp, with_last("user", "Well?"), "Jinja Exception: Conversation roles must alternate"),
    ],
)  # fmt: skip
def test_each_rule_refuses(vendor: type[Vendor], change: Change, text: str) -> None:
    one = vendor()
    body = conversation(one)
    change(body)
    assert text in refusal(one, body)


def test_azure_wants_its_deployment_and_a_version() -> None:
    one = Azure()
    for path in ("/v1/chat/completions", "/openai/deployments/d/chat/completions"):
        assert refusal(one, conversation(one), path) == "Resource not found"


def test_pieces_of_reasoning_details_may_come_back_as_they_were_sent() -> None:
    """https://openrouter.ai/docs/guides/best-practices/reasoning-tokens: one after the other, or joined."""
    one = OpenRouter()
    body = conversation(one)
    body["messages"][2]["reasoning_details"] = [
        detail for delta in one.thinking(SAID, ()) for detail in delta["reasoning_details"]
    ]
    assert refusal(one, body) == ""
