"""Calls of tools as chunks: those that the server has run, with the sources of the answer, and those of the page."""

from collections.abc import Callable, Iterator

from aiostream_server.events import Action, ToolRequested, ToolResult
from aiostream_server.present.sources import Sources
from aiostream_server.protocols.ai_sdk.chunks import Chunk, server_tool
from aiostream_server.protocols.tool_parts import NO_RESULT, WAITS, CallIds, parsed_arguments


class ToolChunks:
    """The calls of one run. `next_id` names parts of the message."""

    def __init__(self, next_id: Callable[[], str]) -> None:
        self._next_id = next_id
        self._calls = CallIds()
        self._sources = Sources()

    def show(self, part: Action | ToolResult | ToolRequested) -> Iterator[Chunk]:
        if isinstance(part, ToolRequested):
            yield from _requested(part)
            return
        yield from self._called(part) if isinstance(part, Action) else self._answered(part)
        for source in self._sources.show(part):
            document = {"mediaType": "text/markdown", "title": source.name}
            text = {"aiostream": {"text": source.text}}
            yield {"type": "source-document", "sourceId": self._next_id(), **document, "providerMetadata": text}

    def close(self, *, waits: bool) -> Iterator[Chunk]:
        """End the calls that got no result; `waits`: since the user is asked first. A page would show them as running,
        and would not send an approval by itself."""
        for call_id in self._calls.end_all():
            if waits:
                yield {"type": "tool-output-available", **server_tool(call_id), "output": WAITS}
            else:
                yield {"type": "tool-output-error", **server_tool(call_id), "errorText": NO_RESULT}

    def _called(self, part: Action) -> Iterator[Chunk]:
        call = server_tool(self._calls.begin(part.call_id)) | {"toolName": part.tool}
        yield {"type": "tool-input-start", **call}
        yield {"type": "tool-input-available", **call, "input": parsed_arguments(part.arguments)}

    def _answered(self, part: ToolResult) -> Iterator[Chunk]:
        call_id = self._calls.end(part.call_id)
        if call_id is None:
            call_id = self._calls.unknown(part.call_id)
            yield {"type": "tool-input-available", **server_tool(call_id), "toolName": part.tool, "input": {}}
        call = server_tool(call_id) | {"toolMetadata": {"summary": part.summary, "truncated": part.truncated}}
        if part.is_error:
            yield {"type": "tool-output-error", **call, "errorText": part.content}
        else:
            yield {"type": "tool-output-available", **call, "output": part.content}


def _requested(part: ToolRequested) -> Iterator[Chunk]:
    """A call that the page runs: it has named the tool, so its types know it."""
    call = {"toolCallId": part.call_id, "toolName": part.tool}
    yield {"type": "tool-input-start", **call}
    yield {"type": "tool-input-available", **call, "input": parsed_arguments(part.arguments)}
