"""Server-sent events as bytes: https://html.spec.whatwg.org/multipage/server-sent-events.html

`data` is always one line of JSON here; whoever makes it escapes line ends, so a frame needs no splitting.
"""

from typing import Final

DONE: Final = b"data: [DONE]\n\n"
HEARTBEAT: Final = b": heartbeat\n\n"


def data_frame(data: str) -> bytes:
    """One event that carries one line of ASCII JSON. Raises ValueError for anything but one line of ASCII."""
    frame = f"data: {data}\n\n".encode("ascii")
    if frame.count(b"\n") != 2 or b"\r" in frame:  # the two that end it
        raise ValueError("a frame carries one line")
    return frame
