"""The process in which llama.cpp runs: `python -m aiostream_server.models.llama_cpp.child`.

Its settings come as one line of JSON on stdin, the key that requests need among them: other users of the machine can
read a command line. It answers with one line of JSON on stdout, `{"url": ...}`, or `{"error": ...}` before it ends. It
listens on this machine only, and ends when stdin does, which is when its parent has ended, in whatever way.
"""

import ctypes
import json
import os
import signal
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from xllamacpp import Server

_PR_SET_PDEATHSIG: Final = 1
_NICENESS: Final = 5  # the server's event loop goes first: it has little to do, and every token waits for it
_PROMPT_CACHE_MIB: Final = 512  # llama.cpp's default is 8 GiB


@dataclass(frozen=True, slots=True)
class Settings:
    """`parent` is the process that wants it. `context_tokens` of each of `parallel` conversations; `threads` 0 is for
    the child to say; `chat_template` is Jinja, "" the model's own."""

    parent: int
    path: str
    api_key: str = field(repr=False)
    context_tokens: int
    parallel: int
    threads: int
    gpu_layers: int
    chat_template: str

    def line(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"


def main() -> None:
    _die_with_parent()
    with suppress(OSError):  # not allowed to every service
        os.nice(_NICENESS)
    parent = os.dup(1)
    os.dup2(2, 1)  # whatever llama.cpp prints is no answer
    line = sys.stdin.buffer.readline()
    settings = Settings(**json.loads(line)) if line else None
    if settings is None or os.getppid() != settings.parent:
        return  # it ended before it could be asked for a signal at its end
    try:
        server = _start(settings)
    except Exception as exc:  # whatever it is, the parent words it
        _tell(parent, error=str(exc))
        os._exit(1)
    with suppress(OSError):  # there is nobody to tell
        _tell(parent, url=server.listening_address)
        sys.stdin.buffer.read()
    os._exit(0)  # at once: whoever waited for an answer is gone, and llama.cpp's threads are not waited for


def _tell(parent: int, **facts: str) -> None:
    os.write(parent, json.dumps(facts).encode() + b"\n")


def _start(settings: Settings) -> "Server":
    import xllamacpp  # takes its time, which is to be the child's

    params = xllamacpp.CommonParams()
    params.model.path = settings.path
    params.hostnames, params.port = ["127.0.0.1"], 0
    params.api_keys = [settings.api_key]
    params.n_ctx = settings.context_tokens * settings.parallel
    params.n_parallel = settings.parallel
    params.n_gpu_layers = settings.gpu_layers
    params.cache_ram_mib = _PROMPT_CACHE_MIB
    params.ui = params.endpoint_slots = params.warmup = False
    params.prefill_assistant = False  # an agent that spoke last is to answer, not to go on with its sentence
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = settings.threads or _spare_cores()
    if settings.chat_template:
        params.chat_template = settings.chat_template
    return xllamacpp.Server(params)


def _spare_cores() -> int:
    """All but one. llama.cpp's threads wait for each other at every step: where the server, or anybody else, needs the
    core of one of them, all are slower than one fewer would have been (measured, two on two busy cores: 3.6 times)."""
    threads = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    cores = threads // 2 if _has_two_threads_a_core() else threads
    return max(1, cores - 1)


def _has_two_threads_a_core() -> bool:
    with suppress(OSError):
        return Path("/sys/devices/system/cpu/smt/active").read_text().strip() == "1"
    return False


def _die_with_parent() -> None:
    """While the model is loaded no Python runs here, and the end of stdin is not seen."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    main()
