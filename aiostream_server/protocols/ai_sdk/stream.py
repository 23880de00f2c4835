"""A run as one message of the AI SDK: https://ai-sdk.dev/docs/ai-sdk-ui/stream-protocol#data-stream-protocol

The answer is text, all that the team says before it is reasoning, and its tools are dynamic tools that the server has
run. A stream always begins at the run's first event, so a page that comes back builds the same message again.

`data-waiting` is transient. All other parts stay in the message; `data-routing` replaces itself.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal, assert_never

from aiostream_server.events import (
    Action,
    ActionToken,
    Dropped,
    Entry,
    Error,
    Event,
    InputRequested,
    Notice,
    Restarted,
    Routing,
    RunFinished,
    SpeechKind,
    Token,
    ToolRequested,
    ToolResult,
    Waiting,
)
from aiostream_server.intake.json_text import quote
from aiostream_server.present.parts import Closed, Opened, Part, Parts
from aiostream_server.protocols.ai_sdk.approval import APPROVAL_TOOL
from aiostream_server.protocols.ai_sdk.chunks import Chunk, finish_reason, frame, server_tool
from aiostream_server.protocols.ai_sdk.request import UIMessageOptions
from aiostream_server.protocols.ai_sdk.tools import ToolChunks
from aiostream_server.protocols.chat.whole import usage_body
from aiostream_server.protocols.error_at_end import error_at_end
from aiostream_server.protocols.remarks import Remark, remark_of, verdict_of
from aiostream_server.runs.card import RunCard
from aiostream_server.sse.frames import DONE

_LINK: Final = re.compile(r"(!?)\[([^\[\]\n]{0,200})\]\((https?://[^\s()]{1,2000})\)")
_CSV: Final = "text/csv"
_PICTURE: Final = "image/*"  # the file's own answer says which


@dataclass(slots=True)
class _OpenPart:
    """The part that takes tokens, and what stands before the text of each."""

    agent: str
    kind: SpeechKind
    before: str


class UIMessageFrames:
    """`protocols.dialect.Frames` of one viewer."""

    __slots__ = (
        "_card",
        "_count",
        "_error",
        "_is_own_link",
        "_open",
        "_options",
        "_part_id",
        "_parts",
        "_tools",
    )

    def __init__(
        self, card: RunCard, options: UIMessageOptions, is_own_link: Callable[[str], bool] | None = None
    ) -> None:
        self._card = card
        self._is_own_link = is_own_link
        self._options = options
        self._parts = Parts()
        self._tools = ToolChunks(self._next_id)
        self._open: _OpenPart | None = None
        self._part_id = ""
        self._count = 0
        self._error: Error | None = None

    def opening(self, *, at_end: bool) -> bytes:
        """`start` names the message; of an approval that the user has just given, the call is ended."""
        message_id = self._options.message_id or self._card.id
        told = {"run_id": self._card.id, "model": self._card.model}
        chunks: list[Chunk] = [{"type": "start", "messageId": message_id, "messageMetadata": told}]
        if (approval := self._options.approval) is not None:
            call = server_tool(approval.call_id)
            chunks.append({"type": "tool-input-available", **call, "toolName": APPROVAL_TOOL,
                           "input": json.loads(approval.input)})  # fmt: skip
            output = {"approved": approval.approved, "reply": approval.reply}
            chunks.append({"type": "tool-output-available", **call, "output": output})
        return b"".join(map(frame, (*chunks, {"type": "start-step"})))

    def encode(self, entries: Sequence[Entry]) -> bytes:
        frames: list[bytes] = []
        for entry in entries:
            event = entry.event
            if isinstance(event, Token) and (opened := self._open) is not None and self._parts.is_open(event):
                frames.append(f"{opened.before}{quote(event.content)}}}\n\n".encode("ascii"))
            else:
                frames += map(frame, self._chunks(event))
                if isinstance(event, RunFinished):
                    frames.append(DONE)
        return b"".join(frames)

    def encode_tokens(self, agent: str, kind: SpeechKind, texts: Sequence[str]) -> bytes | None:
        opened = self._open
        if opened is None or opened.agent != agent or opened.kind != kind:
            return None
        return "".join([f"{opened.before}{quote(text)}}}\n\n" for text in texts]).encode("ascii")

    def _chunks(self, event: Event) -> Iterator[Chunk]:
        if isinstance(event, Waiting):
            yield {"type": "data-waiting", "data": remark_of(event).data, "transient": True}
        for part in self._parts.of(event):
            yield from self._shown(part)

    def _shown(self, part: Part) -> Iterator[Chunk]:
        match part:
            case Opened():
                yield self._begin(part)
            case Token():
                yield {"type": f"{_channel(part.kind)}-delta", "id": self._part_id, "delta": part.content}
            case Closed():
                yield from self._end(part)
            case Error():
                self._error = part
            case RunFinished():
                yield from self._ending(part)
            case ActionToken() | Action() | ToolResult() | ToolRequested():
                yield from self._tools.show(part)
            case InputRequested():
                yield from self._asked(part)
            case Routing():
                yield {"type": "data-routing", "id": "routing", "data": remark_of(part).data}
            case Notice() | Dropped() | Restarted():
                yield from self._remarked(part)
            case _:
                assert_never(part)

    def _begin(self, part: Opened) -> Chunk:
        channel, part_id = _channel(part.kind), self._next_id()
        self._part_id = part_id
        self._open = _OpenPart(part.agent, part.kind, f'data: {{"type":"{channel}-delta","id":"{part_id}","delta":')
        speaker = {"agent": part.agent, "kind": part.kind}
        return {"type": f"{channel}-start", "id": part_id, "providerMetadata": {"aiostream": speaker}}

    def _end(self, part: Closed) -> Iterator[Chunk]:
        yield {"type": f"{_channel(part.kind)}-end", "id": self._part_id}
        self._open = None
        if part.kind == "final" and part.said is not None and self._is_own_link is not None:
            for url, media_type in files_in(part.said.content, self._is_own_link):
                yield {"type": "file", "url": url, "mediaType": media_type}
        if (verdict := verdict_of(part.said)) is not None:
            yield self._data(verdict)

    def _asked(self, part: InputRequested) -> Iterator[Chunk]:
        yield from self._tools.close(waits=True)
        asked = {"agent": part.agent, "content": part.content, "approval": part.is_approval}
        yield self._data(Remark("input", asked))
        if part.is_approval:
            call_id = f"{self._card.id}-approval"
            call = server_tool(call_id) | {"toolName": APPROVAL_TOOL}
            yield {"type": "tool-input-available", **call, "input": {"agent": part.agent, "question": part.content}}
            yield {"type": "tool-approval-request", "approvalId": call_id, "toolCallId": call_id}

    def _remarked(self, part: Notice | Dropped | Restarted) -> Iterator[Chunk]:
        if isinstance(part, Restarted):
            yield from self._tools.close(waits=False)
        yield self._data(remark_of(part))

    def _ending(self, part: RunFinished) -> Iterator[Chunk]:
        told: Chunk = {"usage": usage_body(part.usage), "duration_s": part.duration_s, "reason": part.reason}
        error = error_at_end(part.reason, self._error)
        yield from self._tools.close(waits=False)
        yield {"type": "finish-step"}
        if error is not None:
            yield {"type": "message-metadata", "messageMetadata": told | {"error": error.code}}
            yield {"type": "error", "errorText": error.message}
        elif part.reason == "cancelled":
            yield {"type": "message-metadata", "messageMetadata": told}
            yield {"type": "abort", "reason": part.reason}
        else:
            yield {"type": "finish", "finishReason": finish_reason(part.reason), "messageMetadata": told}

    def _data(self, remark: Remark) -> Chunk:
        return {"type": f"data-{remark.name}", "id": self._next_id(), "data": remark.data}

    def _next_id(self) -> str:
        self._count += 1
        return str(self._count)


def _channel(kind: SpeechKind) -> Literal["text", "reasoning"]:
    return "text" if kind == "final" else "reasoning"


def files_in(answer: str, is_own: Callable[[str], bool]) -> Iterator[tuple[str, str]]:
    """URL and media type of each file of this server."""
    for mark, title, url in dict.fromkeys(found.groups() for found in _LINK.finditer(answer)):
        media_type = _PICTURE if mark else _CSV if title.endswith(".csv") else "application/octet-stream"
        if is_own(url):
            yield url, media_type
