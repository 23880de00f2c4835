"""The large hosted APIs: OpenAI, Azure, Gemini, and Anthropic's models behind LiteLLM."""

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.zoo import rules
from tests.zoo.mind import Said
from tests.zoo.vendor import ALWAYS, DONE, SAMPLING, USAGE, Body, Delta, Made, Request, Vendor


class OpenAI(Vendor):
    """A reasoning model: `max_tokens` and a `temperature` other than 1 are refused, its reasoning is not shown.

    https://platform.openai.com/docs/guides/reasoning. `obfuscation` and `service_tier` come with each chunk:
    https://platform.openai.com/docs/api-reference/chat-streaming/streaming
    """

    title = "OpenAI"

    def check(self, request: Request) -> None:
        body = request.body
        if "max_tokens" in body:
            text = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens'"
            raise rules.Broken(f"{text} instead.")
        if body.get("temperature", 1) != 1:
            text = f"Unsupported value: 'temperature' does not support {body['temperature']} with this model."
            raise rules.Broken(f"{text} Only the default (1) value is supported.")
        super().check(request)

    def data(self, chunk: Any) -> bytes:
        return super().data({"service_tier": "default", "usage": None, "obfuscation": "Xq3", **chunk})


class Azure(Vendor):
    """The key in `api-key`, an `api-version`, the deployment in the path, and content filters around the answer.

    https://learn.microsoft.com/azure/ai-foundry/openai/reference; the first chunk has no choices but the prompt's
    filter results, some chunks hold annotations alone:
    https://learn.microsoft.com/azure/ai-foundry/openai/concepts/content-streaming
    """

    title = "Azure"
    key_header = "api-key"
    fields = ALWAYS | SAMPLING | {"stream_options", "max_tokens", "max_completion_tokens", "parallel_tool_calls"}

    def check(self, request: Request) -> None:
        url = urlsplit(request.path)
        if not url.path.startswith("/openai/deployments/") or "api-version" not in parse_qs(url.query):
            raise rules.Broken("Resource not found", 404)
        super().check(request)

    def stream(self, said: Said, body: Body) -> Iterator[bytes]:
        filtered = {"hate": {"filtered": False, "severity": "safe"}, "jailbreak": {"filtered": False}}
        results = [{"prompt_index": 0, "content_filter_results": filtered}]
        yield self.data({"id": "", "object": "", "created": 0, "choices": [], "prompt_filter_results": results})
        yield from super().stream(said, body)

    def event(self, delta: Delta, finish: str | None = None, **more: Any) -> bytes:
        offsets = {"check_offset": 44, "start_offset": 44, "end_offset": 121}
        return super().event(delta, finish, content_filter_results={}, content_filter_offsets=offsets, **more)

    def closing(self, said: Said, body: Body) -> Iterator[bytes]:
        annotation = {"index": 0, "finish_reason": None, "content_filter_results": {"hate": {"filtered": False}}}
        yield self.data({"choices": [annotation]})
        yield from super().closing(said, body)


class Gemini(Vendor):
    """Signatures of thoughts beside tool calls, which the current turn must bring back; a narrow dialect of schemas.

    https://ai.google.dev/gemini-api/docs/openai and .../thought-signatures: of calls made together the first has the
    signature. Calls come whole, without `index`, and end with `stop`: googleapis/python-genai#2868. A result without
    its function's name is refused: NousResearch/hermes-agent#16482, vectorize-io/hindsight#187. Schemas:
    zed-industries/zed#44875; names: https://ai.google.dev/api/caching#FunctionDeclaration. Errors are a list:
    FuzzAnything/PromptFuzz#42.
    """

    title = "Gemini"
    fields = ALWAYS | SAMPLING | {"stream_options", "max_tokens", "max_completion_tokens", "parallel_tool_calls"}
    message_fields = frozenset({"role", "content", "name", "tool_calls", "tool_call_id", "extra_content"})
    call_fields = None

    def refusal(self, broken: rules.Broken) -> Any:
        return [{"error": {"code": 400, "message": str(broken), "status": "INVALID_ARGUMENT"}}]

    def check_tools(self, body: Body) -> None:
        refused = ("const", "$ref", "$defs", "oneOf", "allOf", "$schema", "prefixItems")
        rules.tools_are_valid(body, name=r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}", refused=refused)

    def check_messages(self, messages: rules.Messages, body: Body) -> None:
        super().check_messages(messages, body)
        rules.nothing_is_empty(messages, "Unable to submit request because it must have a text parameter.")
        rules.has_a_question(messages, "contents is not specified")
        self._signatures(messages)
        for at, message in enumerate(messages):
            if message["role"] == "tool" and not message.get("name"):
                text = f"GenerateContentRequest.contents[{at}].parts[0].function_response.name: Name cannot be empty."
                raise rules.Broken(text)

    def _signatures(self, messages: rules.Messages) -> None:
        last_question = max(at for at, message in enumerate(messages) if message["role"] == "user")
        for at, message in enumerate(messages):
            for number, call in enumerate(rules.calls_of(message)):
                found = ((call.get("extra_content") or {}).get("google") or {}).get("thought_signature")
                text = "Function call is missing a thought_signature in functionCall parts."
                if number == 0 and (found is not None or at > last_question):
                    self.wants(found, self.made.get(call["id"]), text)

    def calling(self, calls: Sequence[Made]) -> Iterator[Delta]:
        for call in calls:
            yield {"tool_calls": [self.call(call)]}

    def call(self, call: Made, *, arguments: str | None = None) -> dict[str, Any]:
        whole = super().call(call)
        if call.number == 0:
            whole["extra_content"] = {"google": {"thought_signature": self.made[call.call_id]}}
        return whole

    def opening(self) -> Iterator[Delta]:
        return iter(())

    def closing(self, said: Said, body: Body) -> Iterator[bytes]:
        yield self.event({"extra_content": {"google": {"thought_signature": "c2lnbmF0dXJl"}}}, "stop")
        yield DONE

    def data(self, chunk: Any) -> bytes:
        return super().data({**chunk, "usage": USAGE})


class LiteLLM(Vendor):
    """Anthropic's models, thinking, behind LiteLLM's proxy.

    https://docs.litellm.ai/docs/reasoning_content: signed `thinking_blocks` in deltas and messages. Anthropic wants
    them back before tool calls (BerriAI/litellm#15601), no empty text, no assistant with the last word (langchain-ai/
    deepagents#1585), and LiteLLM the tools wherever messages hold calls. LiteLLM itself joins neighbours of one role
    and lifts system messages out.
    """

    title = "Anthropic, LiteLLM"
    fields = (
        ALWAYS
        | {"stream_options", "max_tokens", "max_completion_tokens", "parallel_tool_calls"}
        | {
            "reasoning_effort",
            "thinking",
        }
    )
    message_fields = None
    call_fields = None
    thinks = True

    def refusal(self, broken: rules.Broken) -> Any:
        text = f"litellm.BadRequestError: AnthropicException - {broken}"
        return {"error": {"message": text, "type": "invalid_request_error", "param": None, "code": "400"}}

    def call_id(self, number: int, name: str) -> str:
        return f"toolu_{number:024d}"

    def check_messages(self, messages: rules.Messages, body: Body) -> None:
        super().check_messages(messages, body)
        text = "the `tools=` param must be passed in when messages contain tool calls"
        rules.names_tools_again(body, f"litellm.UnsupportedParamsError: {text}")
        rules.nothing_is_empty(messages)
        turns = [message for message in messages if message["role"] != "system"]
        if not turns:
            raise rules.Broken("messages: at least one message is required")
        text = "This model does not support assistant message prefill. The conversation must end with a user message."
        rules.ends_with_a_question(turns, text)
        for at, message in enumerate(turns):
            for call in rules.calls_of(message)[:1]:
                blocks = message.get("thinking_blocks")
                text = (
                    f"messages.{at}.content.0.type: Expected `thinking` or `redacted_thinking`, but found `tool_use`."
                )
                self.wants(blocks, [self._block(self.made.get(call["id"], ""))], text)

    @staticmethod
    def _block(thought: str) -> dict[str, Any]:
        return {"type": "thinking", "thinking": thought, "signature": f"signed {thought}"}

    def thinking(self, said: Said, calls: Sequence[Made]) -> Iterator[Delta]:
        half = len(said.thought) // 2
        for text, signature in (
            (said.thought[:half], None),
            (said.thought[half:], None),
            ("", f"signed {said.thought}"),
        ):
            block = {"type": "thinking", "thinking": text, "signature": signature}
            beside = {"provider_specific_fields": {"thinking_blocks": [block]}}
            yield {"content": "", "reasoning_content": text, "thinking_blocks": [block], **beside}

    def thought(self, said: Said, calls: Sequence[Made]) -> dict[str, Any]:
        return {"reasoning_content": said.thought, "thinking_blocks": [self._block(said.thought)]}
