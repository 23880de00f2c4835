"""Calls of tools as chunks: those that the server has run, with the sources of the answer, and those of the page."""

from collections.abc import Callable, Iterator

from aiostream_server.events import Action, ActionToken, ToolRequested, ToolResult
from aiostream_server.present.sources import Sources
from aiostream_server.protocols.ai_sdk.chunks import Chunk, server_tool
from aiostream_server.protocols.tool_parts import NO_RESULT, WAITS, CallIds, parsed_arguments


class ToolChunks:
    """The calls of one run. `next_id` names parts of the message.

    A call of the page's own that is refused inside, and that the page has seen as it was written, ends with an error,
    as if the server had run it: the page must neither run it nor answer it.
    """

    def __init__(self, next_id: Callable[[], str]) -> None:
        self._next_id = next_id
        self._ids = CallIds()
        self._of_page: dict[str, str] = {}  # calls of its own that it has seen, with the id that it knows
        self._sources = Sources()

    def show(self, part: ActionToken | Action | ToolResult | ToolRequested) -> Iterator[Chunk]:
        if isinstance(part, ActionToken):
            yield from self._written(part)
        elif isinstance(part, ToolRequested):
            yield from self._requested(part)
        else:
            yield from self._called(part) if isinstance(part, Action) else self._answered(part)
            for source in self._sources.show(part):
                document = {"mediaType": "text/markdown", "title": source.name}
                text = {"aiostream": {"text": source.text}}
                yield {"type": "source-document", "sourceId": self._next_id(), **document, "providerMetadata": text}

    def close(self, *, waits: bool) -> Iterator[Chunk]:
        """End the calls that got no result; `waits`: since the user is asked first. A page would show them as running,
        and would not send an approval by itself."""
        self._ids.end_written()
        for call_id in self._ids.end_all():
            if waits and call_id not in self._of_page:
                yield {"type": "tool-output-available", **server_tool(call_id), "output": WAITS}
            else:
                yield {"type": "tool-output-error", **self._ended(call_id), "errorText": NO_RESULT}

    def _written(self, part: ActionToken) -> Iterator[Chunk]:
        if part.for_client and self._ids.is_used(part.agent, part.call_id):
            return  # the page would take it for that one
        call_id, is_begun = self._ids.write(part.agent, part.call_id)
        if part.for_client:
            self._of_page[call_id] = part.call_id
        call = {"toolCallId": part.call_id} if part.for_client else server_tool(call_id)
        if not is_begun:
            yield {"type": "tool-input-start", **call, "toolName": part.tool}
        yield {"type": "tool-input-delta", "toolCallId": call["toolCallId"], "inputTextDelta": part.content}

    def _called(self, part: Action) -> Iterator[Chunk]:
        call_id, is_begun = self._ids.begin(part.agent, part.call_id)
        if call_id in self._of_page:
            return
        call = server_tool(call_id) | {"toolName": part.tool}
        if not is_begun:
            yield {"type": "tool-input-start", **call}
        yield {"type": "tool-input-available", **call, "input": parsed_arguments(part.arguments)}

    def _answered(self, part: ToolResult) -> Iterator[Chunk]:
        call_id = self._ids.end(part.call_id)
        if call_id in self._of_page:
            yield {"type": "tool-output-error", **self._ended(call_id), "errorText": part.content}
            return
        if call_id is None:
            call_id = self._ids.unknown(part.call_id)
            yield {"type": "tool-input-available", **server_tool(call_id), "toolName": part.tool, "input": {}}
        call = server_tool(call_id) | {"toolMetadata": {"summary": part.summary, "truncated": part.truncated}}
        if part.is_error:
            yield {"type": "tool-output-error", **call, "errorText": part.content}
        else:
            yield {"type": "tool-output-available", **call, "output": part.content}

    def _requested(self, part: ToolRequested) -> Iterator[Chunk]:
        """A call that the page runs: it has named the tool, so its types know it."""
        call_id, is_begun = self._ids.begin(part.agent, part.call_id)
        call = {"toolCallId": part.call_id, "toolName": part.tool}
        if not is_begun:
            yield {"type": "tool-input-start", **call}
        yield {"type": "tool-input-available", **call, "input": parsed_arguments(part.arguments)}
        self._ids.leave(call_id)

    def _ended(self, call_id: str) -> Chunk:
        if call_id in self._of_page:
            return {"toolCallId": self._of_page[call_id], "providerExecuted": True}
        return server_tool(call_id)
