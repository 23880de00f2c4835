"""Server-sent events as bytes: https://html.spec.whatwg.org/multipage/server-sent-events.html

`data` is always one line of JSON here, with its line ends escaped, so that no frame needs to be split.
"""

from typing import Final

DONE: Final = b"data: [DONE]\n\n"
HEARTBEAT: Final = b": heartbeat\n\n"

_NO_LINE: Final = "a field is one line"


def data_frame(data: str) -> bytes:
    """One event that carries one line of ASCII JSON. Raises ValueError for anything but one line of ASCII."""
    if "\n" in data or "\r" in data:
        raise ValueError(_NO_LINE)
    return f"data: {data}\n\n".encode("ascii")


def event_frame(kind: str, number: int, data: str) -> bytes:
    """An event with a type and a number, which a client that reconnects sends as `Last-Event-ID`."""
    return _frame(f"event: {kind}", f"id: {number}", f"data: {data}")


def retry_frame(delay_ms: int) -> bytes:
    """Sets the client's delay before it reconnects."""
    return _frame(f"retry: {delay_ms}")


def _frame(*fields: str) -> bytes:
    frame = "\n".join((*fields, "", "")).encode("ascii")
    if frame.count(b"\n") != len(fields) + 1 or b"\r" in frame:  # one line end for each field, one for the frame
        raise ValueError(_NO_LINE)
    return frame
