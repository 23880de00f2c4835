"""The process that draws: `main`. Talks over its standard streams.

In: one line of JSON, `{"form": "png", "plot": "..."}`. Out: one line of JSON, `{"form": "png", "size": 12345}` and so
many bytes behind it, or `{"error": "..."}`. It ends when nobody has asked for `idle_s` seconds, and when its input
ends: so it never outlives who started it.
"""

import json
import os
import select
import sys
from contextlib import suppress
from typing import BinaryIO, Final

from aiostream_server.tools.chart.plot import read_plot

_NICE: Final = 5  # whoever streams comes first


def serve(asked: BinaryIO, answers: BinaryIO, idle_s: float) -> None:
    """Until the input ends, or nothing comes for so long."""
    from aiostream_server.tools.chart.painting import paint  # takes half a second

    while select.select([asked], [], [], idle_s)[0] and (line := asked.readline()):
        head: dict[str, object]
        try:
            request = json.loads(line)
            picture = paint(read_plot(request["plot"]), request["form"])
        except Exception as exc:  # whatever a plotting library raises: the next chart may be fine
            head, content = {"error": f"{type(exc).__name__}: {' '.join(str(exc).split())[:300]}"}, b""
        else:
            head, content = {"form": picture.form, "size": len(picture.content)}, picture.content
        answers.write(json.dumps(head).encode() + b"\n" + content)
        answers.flush()


def main(idle_s: float) -> None:
    """The whole process."""
    with suppress(OSError):  # a service may be forbidden to ask for it
        os.nice(_NICE)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever a library prints is no answer
    serve(os.fdopen(os.dup(sys.stdin.fileno()), "rb", buffering=0), answers, idle_s)
