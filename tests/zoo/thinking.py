"""Vendors of models that think aloud, and want their thoughts back: DeepSeek, Kimi, Qwen, Mistral, OpenRouter."""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, Final

from tests.zoo import rules
from tests.zoo.mind import Said
from tests.zoo.vendor import ALWAYS, DONE, SAMPLING, USAGE, Body, Delta, Made, Request, Vendor

_OPTIONS: Final = SAMPLING | {"stream_options", "max_tokens", "thinking", "reasoning_effort", "parallel_tool_calls"}


class DeepSeek(Vendor):
    """Where a turn has tool calls, each of its assistant messages must bring its `reasoning_content` back.

    https://api-docs.deepseek.com/guides/thinking_mode. No JSON schemas, only JSON objects:
    https://api-docs.deepseek.com/guides/json_mode. Comments keep the connection alive:
    https://api-docs.deepseek.com/quick_start/rate_limit. Usage comes with the last choice.
    """

    title = "DeepSeek"
    fields = ALWAYS | _OPTIONS
    message_fields = None
    thinks = True

    def check(self, request: Request) -> None:
        if (request.body.get("response_format") or {}).get("type") == "json_schema":
            raise rules.Broken("This response_format type is unavailable now")
        super().check(request)

    def check_messages(self, messages: rules.Messages, body: Body) -> None:
        super().check_messages(messages, body)
        for segment in _between_questions(messages):
            if any(rules.calls_of(message) for message in segment):
                self._thoughts(segment)

    def _thoughts(self, segment: rules.Messages) -> None:
        text = "The `reasoning_content` in the thinking mode must be passed back to the API."
        for message in segment:
            if message["role"] != "assistant":
                continue
            found = message.get("reasoning_content")
            for call in rules.calls_of(message):
                self.wants(found, self.made.get(call["id"]), text)
            if not rules.calls_of(message) and found not in self.spoken.get(rules.text_of(message).strip(), {found}):
                raise rules.Broken(f"{text} (another one came: {found!r})")
            if not found:
                raise rules.Broken(text)

    def call_id(self, number: int, name: str) -> str:
        return f"call_00_{number:022d}"

    def opening(self) -> Iterator[Delta]:
        yield {"role": "assistant", "content": None, "reasoning_content": ""}

    def thinking(self, said: Said, calls: Sequence[Made]) -> Iterator[Delta]:
        for delta in super().thinking(said, calls):
            yield {"content": None, **delta}

    def stream(self, said: Said, body: Body) -> Iterator[bytes]:
        yield b": keep-alive\n\n"
        yield from super().stream(said, body)

    def closing(self, said: Said, body: Body) -> Iterator[bytes]:
        choice = {"index": 0, "delta": {"content": "", "reasoning_content": None}, "finish_reason": self.finish(said)}
        yield self.data({"choices": [choice], "usage": USAGE})
        yield DONE


class Kimi(Vendor):
    """An assistant message with tool calls and without `reasoning_content` is refused, as is an empty one.

    https://platform.moonshot.ai/docs/guide/use-kimi-k2-thinking-model, mastra-ai/mastra#12592. Tool call ids have the
    function's name and a number that counts through the conversation. Usage stands in the choice:
    https://platform.moonshot.ai/docs/api/chat. Sampling is fixed: https://platform.moonshot.ai/docs/api/chat#model-parameters
    """

    title = "Kimi"
    fields = ALWAYS | {"stream_options", "max_tokens", "max_completion_tokens", "thinking", "stop", "n"}
    message_fields = frozenset(
        {"role", "content", "name", "tool_calls", "tool_call_id", "reasoning_content", "partial"}
    )
    call_fields = frozenset({"id", "type", "function", "index"})
    thinks = True

    def check(self, request: Request) -> None:
        if request.body.get("temperature", 1) != 1:
            raise rules.Broken("invalid temperature: only 1 is allowed for this model")
        if request.body.get("tool_choice") not in (None, "auto", "none"):
            raise rules.Broken("tool_choice 'required' is incompatible with thinking enabled")
        super().check(request)

    def check_tools(self, body: Body) -> None:
        rules.tools_are_valid(body, name=r"[a-zA-Z][a-zA-Z0-9_-]{0,63}")

    def check_messages(self, messages: rules.Messages, body: Body) -> None:
        super().check_messages(messages, body)
        rules.nothing_is_empty(messages, "Invalid request: the message at position {at} must not be empty")
        for at, message in enumerate(messages):
            for call in rules.calls_of(message):
                text = "thinking is enabled but reasoning_content is missing in assistant tool call message at index"
                self.wants(message.get("reasoning_content") or None, self.made.get(call["id"]), f"{text} {at}")

    def call_id(self, number: int, name: str) -> str:
        return f"functions.{name}:{number}"

    def closing(self, said: Said, body: Body) -> Iterator[bytes]:
        yield self.event({}, self.finish(said), usage=USAGE)
        yield DONE


class Qwen(Vendor):
    """Alibaba's own service, thinking; the messages go through the template of Qwen 3.5, which has one system message.

    https://www.alibabacloud.com/help/en/model-studio/qwen-function-calling: pieces of a call repeat an empty id.
    Template: https://huggingface.co/Qwen/Qwen3.5-27B/blob/main/chat_template.jinja (vllm-project/vllm#41114). White
    space comes between thoughts and calls: QwenLM/Qwen3#1755. No JSON mode while it thinks:
    https://www.alibabacloud.com/help/en/model-studio/error-code
    """

    title = "Qwen"
    fields = ALWAYS | _OPTIONS | {"enable_thinking", "thinking_budget", "max_completion_tokens"}
    message_fields = frozenset({"role", "content", "name", "tool_calls", "tool_call_id", "reasoning_content"})
    thinks = True

    def check(self, request: Request) -> None:
        if (request.body.get("response_format") or {"type": "text"})["type"] != "text":
            raise rules.Broken("Json mode response is not supported when enable_thinking is true")
        super().check(request)

    def refusal(self, broken: rules.Broken) -> Any:
        text = f"<400> InternalError.Algo.InvalidParameter: {broken}"
        return {"error": {"code": "invalid_parameter_error", "param": None, "message": text, "type": "invalid_request"}}

    def check_messages(self, messages: rules.Messages, body: Body) -> None:
        super().check_messages(messages, body)
        rules.system_comes_first(messages)
        rules.has_a_question(messages)

    def opening(self) -> Iterator[Delta]:
        yield {"role": "assistant", "content": None, "reasoning_content": ""}

    def thinking(self, said: Said, calls: Sequence[Made]) -> Iterator[Delta]:
        for delta in super().thinking(said, calls):
            yield {"content": None, **delta}

    def speaking(self, said: Said) -> Iterator[Delta]:
        if said.calls:
            yield {"content": "\n\n", "reasoning_content": None}
        yield from super().speaking(said)

    def calling(self, calls: Sequence[Made]) -> Iterator[Delta]:
        for call in calls:
            yield {"content": None, "tool_calls": [{"index": call.number, **self.call(call, arguments="")}]}
            for piece in (*call.pieces, ""):
                function = {"name": None, "arguments": piece}
                yield {"tool_calls": [{"index": call.number, "id": "", "type": "function", "function": function}]}


class Mistral(Vendor):
    """Its own API with a Magistral model: thoughts and text are parts of a list; the validator knows an order of roles.

    Validator: mistralai/mistral-common, src/mistral_common/protocol/instruct/validator.py. Parts:
    https://docs.mistral.ai/capabilities/reasoning, BerriAI/litellm#16272. Unknown fields are refused with 422, also in
    messages: charmbracelet/crush#1590, editor-code-assistant/eca#231.
    """

    title = "Mistral"
    fields = (
        ALWAYS
        | {"max_tokens", "temperature", "top_p", "stop", "random_seed", "parallel_tool_calls", "n"}
        | {
            "presence_penalty",
            "frequency_penalty",
            "prompt_mode",
            "safe_prompt",
        }
    )
    message_fields = frozenset({"role", "content", "name", "tool_calls", "tool_call_id", "prefix"})
    call_fields = frozenset({"id", "type", "function", "index"})
    thinks = True

    def check(self, request: Request) -> None:
        for at, message in enumerate(request.body["messages"]):
            wrong = set(message) - self.message_fields or (
                set(message) & {"name"} if message["role"] != "tool" else set()
            )
            if wrong:
                raise rules.Broken(f'{{"loc":["body","messages",{at},"{message["role"]}","{min(wrong)}"]}}', 422)
        for name in request.body:
            if name not in self.fields:
                raise rules.Broken(f'{{"loc":["body","{name}"]}}', 422)
        super().check(request)

    def refusal(self, broken: rules.Broken) -> Any:
        if broken.status != 422:
            shape = {"object": "error", "type": "invalid_request_message_order", "param": None, "code": "3230"}
            return {**shape, "message": str(broken)}
        where = re.findall(r'"(\w+)"', str(broken))[1:]
        detail = {"type": "extra_forbidden", "loc": where, "msg": "Extra inputs are not permitted", "input": None}
        return {"object": "error", "message": {"detail": [detail]}, "type": "invalid_request_error", "code": None}

    def check_messages(self, messages: rules.Messages, body: Body) -> None:
        super().check_messages(messages, body)
        text = "Expected last role User or Tool (or Assistant with prefix True) for serving but got {role}"
        rules.ends_with_a_question(messages, text)
        for before, message in pairwise(messages):
            follows = {"assistant": {"assistant", "user", "tool"}, "tool": {"assistant", "tool"}}
            if message["role"] not in follows.get(before["role"], {"system", "user", "assistant"}):
                raise rules.Broken(f"Unexpected role '{message['role']}' after role '{before['role']}'")
        for message in messages:
            if message["role"] == "assistant" and not (rules.text_of(message) or rules.calls_of(message)):
                raise rules.Broken("Assistant message must have either content or tool_calls, but not none.")
            for call in rules.calls_of(message):
                if not re.fullmatch(r"[a-zA-Z0-9]{9}", call["id"]):
                    raise rules.Broken(f"Tool call id was {call['id']} but must be a-z, A-Z, 0-9, with a length of 9.")

    def call_id(self, number: int, name: str) -> str:
        return f"D68{number:06d}"

    def opening(self) -> Iterator[Delta]:
        yield {"role": "assistant", "content": ""}

    def thinking(self, said: Said, calls: Sequence[Made]) -> Iterator[Delta]:
        half = len(said.thought) // 2
        for piece in (said.thought[:half], said.thought[half:]):
            yield {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": piece}]}]}

    def speaking(self, said: Said) -> Iterator[Delta]:
        for at, piece in enumerate(said.pieces):
            yield {
                "content": piece
                if at
                else [{"type": "text", "text": piece}, {"type": "reference", "reference_ids": [1]}]
            }

    def calling(self, calls: Sequence[Made]) -> Iterator[Delta]:
        if calls:
            yield {"tool_calls": [{**self.call(call), "index": call.number} for call in calls]}

    def call(self, call: Made, *, arguments: str | None = None) -> dict[str, Any]:
        return {"id": call.call_id, "function": {"name": call.name, "arguments": call.arguments}}

    def closing(self, said: Said, body: Body) -> Iterator[bytes]:
        choice = {"index": 0, "delta": {"content": ""}, "finish_reason": self.finish(said)}
        yield self.data({"choices": [choice], "usage": USAGE})
        yield DONE

    def content(self, said: Said) -> Any:
        thought = {"type": "thinking", "thinking": [{"type": "text", "text": said.thought}]}
        return [thought, {"type": "text", "text": said.text}] if said.text else [thought]

    def thought(self, said: Said, calls: Sequence[Made]) -> dict[str, Any]:
        return {}


class OpenRouter(Vendor):
    """A model with signed reasoning: what came as `reasoning_details` goes back with the tool calls, unchanged.

    https://openrouter.ai/docs/guides/best-practices/reasoning-tokens: pieces of one block have one index. Comments
    while it waits, and a last chunk with usage and an empty choice: https://openrouter.ai/docs/api/reference/streaming
    """

    title = "OpenRouter"
    fields = None
    message_fields = None
    call_fields = None
    thinks = True

    def refusal(self, broken: rules.Broken) -> Any:
        metadata = {"raw": f'{{"error":{{"message":"{broken}"}}}}', "provider_name": "Anthropic"}
        return {"error": {"message": "Provider returned error", "code": 400, "metadata": metadata}}

    def check_messages(self, messages: rules.Messages, body: Body) -> None:
        super().check_messages(messages, body)
        rules.nothing_is_empty(messages)
        for at, message in enumerate(messages):
            for call in rules.calls_of(message)[:1]:
                text = (
                    f"messages.{at}.content.0.type: Expected `thinking` or `redacted_thinking`, but found `tool_use`."
                )
                found = message.get("reasoning_details")
                self.wants(_joined(found) if found else None, _details(self.made.get(call["id"], "")), text)

    def stream(self, said: Said, body: Body) -> Iterator[bytes]:
        yield b": OPENROUTER PROCESSING\n\n: OPENROUTER PROCESSING\n\n"
        yield from super().stream(said, body)

    def event(self, delta: Delta, finish: str | None = None, **more: Any) -> bytes:
        delta = {"role": "assistant", "content": "", **delta}
        return super().event(delta, finish, native_finish_reason=finish and "end_turn", **more)

    def data(self, chunk: Any) -> bytes:
        return super().data({"provider": "Anthropic", **chunk})

    def opening(self) -> Iterator[Delta]:
        yield {}

    def thinking(self, said: Said, calls: Sequence[Made]) -> Iterator[Delta]:
        half = len(said.thought) // 2
        shared = {"type": "reasoning.text", "format": "anthropic-claude-v1", "index": 0}
        for piece in (said.thought[:half], said.thought[half:]):
            yield {"reasoning": piece, "reasoning_details": [{**shared, "text": piece}]}
        yield {"reasoning": None, "reasoning_details": [{**shared, "signature": f"signed {said.thought}"}]}
        yield {"reasoning": None, "reasoning_details": _details(said.thought)[1:]}

    def closing(self, said: Said, body: Body) -> Iterator[bytes]:
        yield self.event({}, self.finish(said))
        choice = {"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}
        yield self.data({"choices": [choice], "usage": {**USAGE, "cost": 0.0001, "is_byok": False}})
        yield DONE

    def thought(self, said: Said, calls: Sequence[Made]) -> dict[str, Any]:
        return {"reasoning": said.thought, "reasoning_details": _details(said.thought)}


def _details(thought: str) -> list[dict[str, Any]]:
    form = {"format": "anthropic-claude-v1"}
    text = {"type": "reasoning.text", **form, "index": 0, "text": thought, "signature": f"signed {thought}"}
    return [text, {"type": "reasoning.encrypted", **form, "index": 1, "data": f"sealed {thought}", "id": "rs_1"}]


def _joined(details: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Pieces of one block as one: they may be sent back joined or as they came."""
    blocks: dict[Any, dict[str, Any]] = {}
    for piece in details:
        block = blocks.setdefault(piece.get("index"), {})
        text = block.get("text", "") + piece.get("text", "")
        block |= piece
        if "text" in block:
            block["text"] = text
    return list(blocks.values())


def _between_questions(messages: rules.Messages) -> Iterator[rules.Messages]:
    segment: list[rules.Message] = []
    for message in messages:
        if message["role"] == "user":
            yield segment
            segment = []
        segment.append(message)
    yield segment
