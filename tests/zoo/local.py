"""Servers that people run: a Mistral model on vLLM and LM Studio, gpt-oss on vLLM, Ollama, Gemma on llama.cpp."""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from tests.zoo import rules
from tests.zoo.mind import Said
from tests.zoo.vendor import USAGE, Body, Delta, Made, Request, Vendor


class VLlm(Vendor):
    """Mistral-7B with its own template, which wants user and assistant to alternate behind one system message.

    https://huggingface.co/mistralai/Mistral-7B-Instruct-v0.3/blob/main/tokenizer_config.json: calls and results do not
    count, ids have nine characters. vLLM ignores unknown fields and words a template's refusal as a 400:
    microsoft/autogen#1037. Chunks: vllm-project/vllm, vllm/entrypoints/openai/protocol.py
    """

    title = "vLLM"
    fields = None
    message_fields = None
    call_fields = None
    key_header = None

    def refusal(self, broken: rules.Broken) -> Any:
        return {"object": "error", "message": str(broken), "type": "BadRequestError", "param": None, "code": 400}

    def check_messages(self, messages: rules.Messages, body: Body) -> None:
        super().check_messages(messages, body)
        text = "conversation roles must alternate user/assistant/user/assistant/..."
        rules.system_comes_first(
            messages,
            "Only user and assistant roles are supported, with the exception of an initial optional system message!",
        )
        rules.roles_alternate(messages, f"After the optional system message, {text}", with_tools=True)
        for message in messages:
            for call in rules.calls_of(message):
                if not re.fullmatch(r"[a-zA-Z0-9]{9}", call["id"]):
                    raise rules.Broken("Tool call IDs should be alphanumeric strings with length 9!")

    def call_id(self, number: int, name: str) -> str:
        return f"vLm{number:06d}"

    def opening(self) -> Iterator[Delta]:
        yield {"role": "assistant", "content": ""}

    def event(self, delta: Delta, finish: str | None = None, **more: Any) -> bytes:
        return super().event(delta, finish, **({"stop_reason": None} if finish else {}), token_ids=None, **more)


class LmStudio(VLlm):
    """Devstral in LM Studio, with a template as strict; it refuses in the stream, with status 200.

    Objects cannot be asked for, only schemas: lmstudio-ai/lmstudio-bug-tracker#189. The template's refusal comes as an
    event when the stream has begun: zed-industries/zed#45379, sterlp/eclipse-peon-ai#75.
    """

    title = "LM Studio"

    def check(self, request: Request) -> None:
        if (request.body.get("response_format") or {}).get("type") == "json_object":
            raise rules.Broken("'response_format.type' must be 'json_schema' or 'text'")
        super().check(request)

    def refusal(self, broken: rules.Broken) -> Any:
        return {"error": {"message": str(broken)} if broken.status == rules.IN_STREAM else str(broken)}

    def check_messages(self, messages: rules.Messages, body: Body) -> None:
        try:
            super().check_messages(messages, body)
        except rules.Broken as broken:
            text = (
                f'Error rendering prompt with jinja template: "{broken}". This is usually an issue with the template.'
            )
            raise rules.Broken(text, rules.IN_STREAM) from broken

    def call_id(self, number: int, name: str) -> str:
        return f"{365174485 + number}"


class GptOss(Vendor):
    """gpt-oss on vLLM: `reasoning`, and marks of the harmony format that leak into names of tools.

    Template: https://huggingface.co/openai/gpt-oss-120b/blob/main/chat_template.jinja: a result needs its call before
    it, text and thoughts do not stand together beside a call, and no message holds channel marks. Leaking marks:
    vllm-project/vllm#22403; `functions.` before names: openai/harmony, docs/format.md
    """

    title = "gpt-oss"
    fields = None
    message_fields = None
    call_fields = None
    key_header = None
    thinks = True

    def refusal(self, broken: rules.Broken) -> Any:
        return {"error": {"message": str(broken), "type": "BadRequestError", "param": None, "code": 400}}

    def check_messages(self, messages: rules.Messages, body: Body) -> None:
        super().check_messages(messages, body)
        for message in messages:
            content, thought = rules.text_of(message), message.get("reasoning") or message.get("reasoning_content")
            if "<|channel|>" in f"{content}{thought}":
                raise rules.Broken("You have passed a message containing <|channel|> tags in the content field.")
            if rules.calls_of(message) and content and thought:
                raise rules.Broken("Cannot pass both content and thinking in an assistant message with tool calls!")

    def call_id(self, number: int, name: str) -> str:
        return f"chatcmpl-tool-{number:032x}"

    def opening(self) -> Iterator[Delta]:
        yield {"role": "assistant", "content": ""}

    def thinking(self, said: Said, calls: Sequence[Made]) -> Iterator[Delta]:
        for delta in super().thinking(said, calls):
            yield {"reasoning": delta["reasoning_content"]}

    def thought(self, said: Said, calls: Sequence[Made]) -> dict[str, Any]:
        return {"reasoning": said.thought, "reasoning_content": said.thought}

    def call(self, call: Made, *, arguments: str | None = None) -> dict[str, Any]:
        whole = super().call(call, arguments=arguments)
        odd = call.number % 2 or len(self.made) % 2
        whole["function"]["name"] = f"functions.{call.name}" if odd else f"{call.name}<|channel|>commentary"
        return whole


class Ollama(Vendor):
    """A thinking model on Ollama: `reasoning`, whole calls that all have index 0, arguments that must be an object.

    ollama/ollama, openai/openai.go and ollama/ollama#15457. Unknown fields are ignored.
    """

    title = "Ollama"
    fields = None
    message_fields = None
    call_fields = None
    key_header = None
    thinks = True

    def check_messages(self, messages: rules.Messages, body: Body) -> None:
        for message in messages:
            if message.get("content") is None and not rules.calls_of(message):
                raise rules.Broken("invalid message content type: <nil>")
            for call in rules.calls_of(message):
                try:
                    is_object = isinstance(json.loads(call["function"]["arguments"]), dict)
                except ValueError:
                    is_object = False
                if not is_object:
                    raise rules.Broken("invalid tool call arguments")

    def call_id(self, number: int, name: str) -> str:
        return f"call_{number:08x}"

    def opening(self) -> Iterator[Delta]:
        return iter(())

    def event(self, delta: Delta, finish: str | None = None, **more: Any) -> bytes:
        return super().event({"role": "assistant", "content": "", **delta}, finish, **more)

    def data(self, chunk: Any) -> bytes:
        return super().data({"system_fingerprint": "fp_ollama", **chunk})

    def thinking(self, said: Said, calls: Sequence[Made]) -> Iterator[Delta]:
        for delta in super().thinking(said, calls):
            yield {"reasoning": delta["reasoning_content"]}

    def thought(self, said: Said, calls: Sequence[Made]) -> dict[str, Any]:
        return {"reasoning": said.thought}

    def calling(self, calls: Sequence[Made]) -> Iterator[Delta]:
        for call in calls:
            yield {"tool_calls": [{**self.call(call), "index": 0}]}


class LlamaCpp(Vendor):
    """Gemma 3 on llama.cpp's server: its template wants strict alternation and knows no tools; a 500 says so.

    ggml-org/llama.cpp, tools/server/README.md; template: https://huggingface.co/google/gemma-3-12b-it/blob/main/
    chat_template.jinja. A template's refusal comes as `server_error` 500: idiap/sdialog#122, sipeed/picoclaw#207.
    """

    title = "llama.cpp"
    fields = None
    message_fields = None
    call_fields = None
    key_header = None

    def refusal(self, broken: rules.Broken) -> Any:
        error = {"code": broken.status, "message": str(broken), "type": "server_error"}
        return {"error": error}

    def check_messages(self, messages: rules.Messages, body: Body) -> None:
        super().check_messages(messages, body)
        try:
            text = "Conversation roles must alternate user/assistant/user/assistant/..."
            rules.roles_alternate([*messages[:1], *map(_no_system, messages[1:])], text, with_tools=False)
        except rules.Broken as broken:
            source = "While executing CallExpression at line 19, column 27 in source:\\n...% 2 == 0) -%}"
            raise rules.Broken(f"\n------------\n{source}\nError: Jinja Exception: {broken}", 500) from broken

    def call_id(self, number: int, name: str) -> str:
        return f"{number:032x}"

    def opening(self) -> Iterator[Delta]:
        yield {"role": "assistant", "content": None}

    def closing(self, said: Said, body: Body) -> Iterator[bytes]:
        yield self.event({}, self.finish(said))
        yield self.data({"choices": [], "usage": USAGE, "timings": {"predicted_n": 7, "predicted_per_second": 41.5}})
        yield b"data: [DONE]\n\n"


def _no_system(message: rules.Message) -> rules.Message:
    """Behind the first message, Gemma's template takes a system message for a user's."""
    return {**message, "role": "user"} if message["role"] == "system" else message
