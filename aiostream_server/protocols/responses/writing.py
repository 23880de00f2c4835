"""Items as the events that tell of them: each is opened, told in deltas, and closed with all of its text.

https://platform.openai.com/docs/api-reference/responses-streaming. An event is its type and the rest of its JSON; its
`sequence_number` is added when it is sent. At most one item is open at a time.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from aiostream_server.intake.json_text import encode, quote
from aiostream_server.protocols.responses.annotations import citations
from aiostream_server.protocols.responses.ids import item_id
from aiostream_server.protocols.responses.items import (
    FunctionCallItem,
    FunctionCallOutputItem,
    ItemStatus,
    OutputItem,
    message,
    output_text,
    reasoning,
    summary_text,
)

MAX_DELTA_CHARS: Final = 4_000
"""Clients bound the length of a line."""

_TEXT: Final = "response.output_text"
_SUMMARY: Final = "response.reasoning_summary_text"


class WireEvent(NamedTuple):
    """`fields` is JSON without its braces."""

    type: str
    fields: str


class OpenText:
    """A message or a reasoning item that takes text. `delta` is the type of its deltas, `before` and `behind` what
    stands around the quoted text of each."""

    __slots__ = (
        "_end",
        "_head",
        "_middle",
        "before",
        "behind",
        "delta",
        "id",
        "index",
        "is_message",
        "place",
        "texts",
        "unsent",
    )

    def __init__(self, item_id: str, index: int, *, is_message: bool) -> None:
        self.id: Final = item_id
        self.index: Final = index
        self.is_message: Final = is_message
        self.texts: list[str] = []
        self.unsent: list[str] = []
        inside = "content_index" if is_message else "summary_index"
        self.place = f'"item_id":"{item_id}","output_index":{index},"{inside}":0'
        self.delta = f"{_TEXT if is_message else _SUMMARY}.delta"
        self.before = f'{self.place},"delta":'
        self.behind = ',"logprobs":[]' if is_message else ""
        self._head = f'event: {self.delta}\ndata: {{"type":"{self.delta}","sequence_number":'
        self._middle = f",{self.before}"
        self._end = f"{self.behind}}}\n\n"

    def deltas(self, texts: Sequence[str], number: int) -> list[str]:
        """The frames of these texts, numbered from `number`. Nearly every token takes this way."""
        head, middle, end = self._head, self._middle, self._end
        return [f"{head}{place}{middle}{quote(text)}{end}" for place, text in enumerate(texts, number)]


class ItemWriter:
    """Writes the items of one response, one after the other. `written` holds those that are closed, as JSON.

    With `merges`, text waits for `flush`, and is told in one delta: Open WebUI draws all of a text anew for each.
    """

    __slots__ = ("_merges", "_run_id", "open", "written")

    def __init__(self, run_id: str, *, merges: bool = False) -> None:
        self._run_id: Final = run_id
        self._merges: Final = merges
        self.open: OpenText | None = None
        self.written: list[str] = []

    def open_text(self, *, is_message: bool) -> Iterator[WireEvent]:
        """No other item may be open."""
        index = len(self.written)
        new_id = item_id("msg" if is_message else "rs", self._run_id, index)
        opened = self.open = OpenText(new_id, index, is_message=is_message)
        item = (message if is_message else reasoning)(new_id, "in_progress")
        part = output_text("") if is_message else summary_text("")
        yield _added(index, item)
        yield WireEvent(_part_event(opened, "added"), f'{opened.place},"part":{encode(part)}')

    def say(self, text: str) -> Iterator[WireEvent]:
        """Text of the item that is open."""
        if (opened := self.open) is not None and text:
            opened.texts.append(text)
            opened.unsent.append(text)
            if not self._merges:
                yield from self.flush()

    def flush(self) -> Iterator[WireEvent]:
        """The text that waits."""
        if (opened := self.open) is not None and opened.unsent:
            text, opened.unsent = "".join(opened.unsent), []
            for piece in _pieces(text):
                yield WireEvent(opened.delta, f"{opened.before}{quote(piece)}{opened.behind}")

    def close(self, status: ItemStatus = "completed") -> Iterator[WireEvent]:
        """The item that is open, if one is."""
        if (opened := self.open) is None:
            return
        yield from self.flush()
        self.open = None
        text = "".join(opened.texts)
        item: OutputItem
        if opened.is_message:
            annotations = citations(text)
            for number, each in enumerate(annotations):
                fields = f'{opened.place},"annotation_index":{number},"annotation":{encode(each)}'
                yield WireEvent(f"{_TEXT}.annotation.added", fields)
            part = output_text(text, annotations)
            item, encoded = message(opened.id, status, part), encode(part)
        else:
            summary = summary_text(text)
            item, encoded = reasoning(opened.id, status, summary), encode(summary)
        yield WireEvent(
            opened.delta.removesuffix("delta") + "done", f'{opened.place},"text":{quote(text)}{opened.behind}'
        )
        yield WireEvent(_part_event(opened, "done"), f'{opened.place},"part":{encoded}')
        yield self._done(item)

    def call(self, call_id: str, name: str, arguments: str) -> Iterator[WireEvent]:
        index = len(self.written)
        new_id = item_id("fc", self._run_id, index)
        place = f'"item_id":"{new_id}","output_index":{index}'
        yield _added(index, _call(new_id, call_id, name, "", "in_progress"))
        for piece in _pieces(arguments):
            yield WireEvent("response.function_call_arguments.delta", f'{place},"delta":{quote(piece)}')
        told = f'{place},"name":{quote(name)},"arguments":{quote(arguments)}'
        yield WireEvent("response.function_call_arguments.done", told)
        yield self._done(_call(new_id, call_id, name, arguments, "completed"))

    def call_output(self, call_id: str, output: str, status: ItemStatus = "completed") -> Iterator[WireEvent]:
        index = len(self.written)
        new_id = item_id("fco", self._run_id, index)
        item: FunctionCallOutputItem = {
            "type": "function_call_output",
            "id": new_id,
            "call_id": call_id,
            "output": [{"type": "input_text", "text": output}],
            "status": status,
        }
        yield _added(index, item)
        yield self._done(item)

    def _done(self, item: OutputItem) -> WireEvent:
        encoded = encode(item)
        self.written.append(encoded)
        return WireEvent("response.output_item.done", f'"output_index":{len(self.written) - 1},"item":{encoded}')


def _pieces(text: str) -> Iterator[str]:
    return (text[at : at + MAX_DELTA_CHARS] for at in range(0, len(text), MAX_DELTA_CHARS))


def _added(index: int, item: OutputItem) -> WireEvent:
    return WireEvent("response.output_item.added", f'"output_index":{index},"item":{encode(item)}')


def _part_event(opened: OpenText, what: str) -> str:
    return f"response.{'content_part' if opened.is_message else 'reasoning_summary_part'}.{what}"


def _call(new_id: str, call_id: str, name: str, arguments: str, status: ItemStatus) -> FunctionCallItem:
    return {
        "type": "function_call",
        "id": new_id,
        "call_id": call_id,
        "name": name,
        "arguments": arguments,
        "status": status,
    }
