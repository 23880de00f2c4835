"""`aiostream-server serve` on asyncio's loop, telling of every callback that takes too much processor time.

`python -m tests.service.measured_server LIMIT_MS serve --config FILE`. Garbage collections, which have a test of their
own, do not count.
"""

import gc
import json
import sys
import time
from asyncio import Handle, Task

from aiostream_server.__main__ import main

_collecting_s = 0.0
_collection_started_at = 0.0


def _note_collection(phase: str, _: object) -> None:
    global _collecting_s, _collection_started_at
    if phase == "start":
        _collection_started_at = time.thread_time()
    else:
        _collecting_s += time.thread_time() - _collection_started_at


def _described(handle: Handle) -> str:
    owner = getattr(handle._callback, "__self__", None)  # type: ignore[attr-defined]
    return f"{owner.get_name()}: {owner.get_coro()!r}" if isinstance(owner, Task) else repr(handle)


def measure(limit_ms: float) -> None:
    run = Handle._run

    def measured(handle: Handle) -> None:
        described = _described(handle)
        started_at, collecting_s = time.thread_time(), _collecting_s
        run(handle)
        took_ms = 1000 * (time.thread_time() - started_at - (_collecting_s - collecting_s))
        if took_ms > limit_ms:
            line = {"event": "slow_callback", "took_ms": round(took_ms, 2), "callback": described}
            print(json.dumps(line), file=sys.stderr, flush=True)

    Handle._run = measured  # type: ignore[assignment, method-assign]
    gc.callbacks.append(_note_collection)


if __name__ == "__main__":
    measure(float(sys.argv.pop(1)))
    main()
