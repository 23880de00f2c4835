"""One vendor of models: what it takes, and how it says what the mind says. The base is OpenAI's own API.

https://platform.openai.com/docs/api-reference/chat/create and .../chat-streaming. Unknown fields are refused, of the
body and of messages; each subclass overrides what its own documentation, source or chat template has otherwise.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, TypeAlias

from tests.zoo import rules
from tests.zoo.mind import Said

Delta: TypeAlias = Mapping[str, Any]
Body: TypeAlias = Mapping[str, Any]

ALWAYS: Final = frozenset({"model", "messages", "stream", "tools", "tool_choice", "response_format"})
SAMPLING: Final = frozenset({"temperature", "top_p", "presence_penalty", "frequency_penalty", "stop", "seed", "n"})
DONE: Final = b"data: [DONE]\n\n"
USAGE: Final = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}


@dataclass(frozen=True, slots=True)
class Request:
    """`path` has the query."""

    path: str
    headers: Mapping[str, str]
    body: Body


@dataclass(frozen=True, slots=True)
class Made:
    """A tool call with the id that the vendor gave it."""

    number: int
    call_id: str
    name: str
    arguments: str

    @property
    def pieces(self) -> Sequence[str]:
        return [self.arguments[at : at + 9] for at in range(0, len(self.arguments), 9)]


class Vendor:
    """Made anew for each server under test: it remembers what it has said, and wants some of that back."""

    title: ClassVar[str]
    fields: ClassVar[frozenset[str] | None] = (
        ALWAYS
        | SAMPLING
        | {"stream_options", "max_completion_tokens", "parallel_tool_calls", "reasoning_effort", "user", "logprobs"}
    )
    """Of the body; None: any others are ignored."""
    message_fields: ClassVar[frozenset[str] | None] = frozenset(
        {"role", "content", "name", "refusal", "tool_calls", "tool_call_id"}
    )
    call_fields: ClassVar[frozenset[str] | None] = frozenset({"id", "type", "function"})
    key_header: ClassVar[str | None] = "Authorization"
    thinks: ClassVar[bool] = False
    """Whether its reasoning can be seen."""

    def __init__(self) -> None:
        self.made: dict[str, str] = {}
        """The thought behind each call, by the call's id."""
        self.spoken: dict[str, set[str]] = {}
        """The thoughts behind each text."""

    # What it takes

    def check(self, request: Request) -> None:
        """Raises `rules.Broken`."""
        if self.key_header is not None and not request.headers.get(self.key_header, "").endswith("sk-of-the-zoo"):
            raise rules.Broken("You didn't provide an API key.", 401)
        body = request.body
        messages: rules.Messages = body["messages"]
        if self.fields is not None:
            rules.only_known("", body, self.fields)
        for at, message in enumerate(messages):
            if self.message_fields is not None:
                rules.only_known(f"messages[{at}].", message, self.message_fields)
            for call in rules.calls_of(message) if self.call_fields is not None else ():
                rules.only_known(f"messages[{at}].tool_calls[0].", call, self.call_fields or ())
        rules.well_formed(messages)
        rules.output_schema_is_strict(body)
        rules.json_is_named(body)
        self.check_tools(body)
        self.check_messages(messages, body)

    def check_tools(self, body: Body) -> None:
        rules.tools_are_valid(body)

    def check_messages(self, messages: rules.Messages, body: Body) -> None:
        rules.calls_are_answered(messages)

    def refusal(self, broken: rules.Broken) -> Any:
        """The body of an answer that is refused."""
        return {"error": {"message": str(broken), "type": "invalid_request_error", "param": None, "code": None}}

    # How it answers

    def make(self, said: Said) -> Sequence[Made]:
        """The answer's calls, remembered with its thought."""
        calls = [
            Made(number, self.call_id(len(self.made) + number, name), name, arguments)
            for number, (name, arguments) in enumerate(said.calls)
        ]
        for call in calls:
            self.made[call.call_id] = said.thought
        if not calls:
            self.spoken.setdefault(said.text.strip(), set()).add(said.thought)
        return calls

    def call_id(self, number: int, name: str) -> str:
        return f"call_{number:024d}"

    def stream(self, said: Said, body: Body) -> Iterator[bytes]:
        calls = self.make(said)
        yield from map(self.event, self.opening())
        if self.thinks:
            yield from map(self.event, self.thinking(said, calls))
        yield from map(self.event, self.speaking(said))
        yield from map(self.event, self.calling(calls))
        yield from self.closing(said, body)

    def event(self, delta: Delta, finish: str | None = None, **more: Any) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish, **more}
        return self.data({"choices": [choice]})

    def data(self, chunk: Mapping[str, Any]) -> bytes:
        envelope = {"id": "chatcmpl-Zoo", "object": "chat.completion.chunk", "created": 1764300000, "model": "zoo"}
        return b"data: " + json.dumps({**envelope, **chunk}).encode() + b"\n\n"

    def opening(self) -> Iterator[Delta]:
        yield {"role": "assistant", "content": "", "refusal": None}

    def thinking(self, said: Said, calls: Sequence[Made]) -> Iterator[Delta]:
        half = len(said.thought) // 2
        for piece in (said.thought[:half], said.thought[half:]):
            yield {"reasoning_content": piece}

    def speaking(self, said: Said) -> Iterator[Delta]:
        for piece in said.pieces:
            yield {"content": piece}

    def calling(self, calls: Sequence[Made]) -> Iterator[Delta]:
        """The id and the name once, then the arguments in pieces."""
        for call in calls:
            yield {"tool_calls": [{"index": call.number, **self.call(call, arguments="")}]}
            for piece in call.pieces:
                yield {"tool_calls": [{"index": call.number, "function": {"arguments": piece}}]}

    def call(self, call: Made, *, arguments: str | None = None) -> dict[str, Any]:
        function = {"name": call.name, "arguments": call.arguments if arguments is None else arguments}
        return {"id": call.call_id, "type": "function", "function": function}

    def finish(self, said: Said) -> str:
        return "tool_calls" if said.calls else "stop"

    def closing(self, said: Said, body: Body) -> Iterator[bytes]:
        yield self.event({}, self.finish(said))
        if (body.get("stream_options") or {}).get("include_usage"):
            yield self.data({"choices": [], "usage": USAGE})
        yield DONE

    def whole(self, said: Said, body: Body) -> Mapping[str, Any]:
        """The answer of a gateway that does not stream."""
        calls = self.make(said)
        message: dict[str, Any] = {"role": "assistant", "content": self.content(said)}
        if calls:
            message["tool_calls"] = list(map(self.call, calls))
        if self.thinks:
            message |= self.thought(said, calls)
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": self.finish(said)}
        envelope = {"id": "chatcmpl-Zoo", "object": "chat.completion", "created": 1764300000, "model": "zoo"}
        return {**envelope, "choices": [choice], "usage": USAGE}

    def content(self, said: Said) -> Any:
        return said.text or None

    def thought(self, said: Said, calls: Sequence[Made]) -> Mapping[str, Any]:
        """Of a message as a whole."""
        return {"reasoning_content": said.thought}

    # What it wants back

    def wants(self, found: Any, expected: object, text: str) -> None:
        if found is None:
            raise rules.Broken(text)
        if found != expected:
            raise rules.Broken(f"{text} (it was changed: {found!r} instead of {expected!r})")
