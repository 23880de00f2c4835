"""The process that draws charts: `main`. It reads requests from stdin and writes pictures to stdout.

A request is one line of JSON, a `DrawRequest`. The answer is one line of JSON: `{"form": "png", "size": 12345}`,
followed by that many bytes, or `{"error": "..."}`. The process ends after `idle_s` seconds without a request, and when
its input ends, so it never outlives the server.
"""

import json
import os
import select
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO, Final

import msgspec

from aiostream_server.text import one_line
from aiostream_server.tools.chart.arguments import Format
from aiostream_server.tools.chart.plot import Plot

_NICENESS: Final = 5  # streaming has priority over drawing


@dataclass(frozen=True, slots=True)
class DrawRequest:
    """One chart to draw."""

    form: Format
    plot: Plot

    def to_line(self) -> bytes:
        return msgspec.json.encode(self) + b"\n"


def serve(requests: BinaryIO, answers: BinaryIO, idle_s: float) -> None:
    """Answer requests until the input ends, or no request comes for `idle_s` seconds."""
    from aiostream_server.tools.chart.painting import paint  # takes half a second

    while select.select([requests], [], [], idle_s)[0] and (line := requests.readline()):
        head: dict[str, object]
        try:
            request = msgspec.json.decode(line, type=DrawRequest)
            picture = paint(request.plot, request.form)
        except Exception as exc:  # matplotlib raises many kinds of errors, and the next chart may be fine
            head, content = {"error": f"{type(exc).__name__}: {one_line(exc, 300)}"}, b""
        else:
            head, content = {"form": picture.form, "size": len(picture.content)}, picture.content
        answers.write(json.dumps(head).encode() + b"\n" + content)
        answers.flush()


def main(idle_s: float) -> None:
    """Run the process."""
    with suppress(OSError):  # a sandboxed service may not change its priority
        os.nice(_NICENESS)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # keeps what libraries print out of the answers
    serve(os.fdopen(os.dup(sys.stdin.fileno()), "rb", buffering=0), answers, idle_s)
