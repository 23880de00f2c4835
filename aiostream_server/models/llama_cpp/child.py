"""The process in which llama.cpp runs: `python -m aiostream_server.models.llama_cpp.child`.

It reads its settings as one line of JSON on stdin, because they hold the API key and other users can read a command
line. It writes one line of JSON to stdout: `{"url": ...}`, or `{"error": ...}` before it ends. It listens on the
loopback interface only, and ends at the end of stdin, which is the end of its parent.
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
_NICENESS: Final = 5  # the server's event loop has priority: every token waits for it
_PROMPT_CACHE_MIB: Final = 512  # llama.cpp's default is 8 GiB


@dataclass(frozen=True, slots=True)
class Settings:
    """`parent` is a process id. Each of `parallel` conversations has `context_tokens`. `chat_template` is Jinja; "" is
    the model's own. With `threads` 0 the child chooses."""

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
    with suppress(OSError):  # a service may not be allowed to
        os.nice(_NICENESS)
    parent = os.dup(1)
    os.dup2(2, 1)  # llama.cpp's own output goes to stderr
    line = sys.stdin.buffer.readline()
    settings = Settings(**json.loads(line)) if line else None
    if settings is None or os.getppid() != settings.parent:
        return  # the parent ended before `_die_with_parent`
    try:
        server = _start(settings)
    except Exception as exc:  # the parent words any error
        _tell(parent, error=str(exc))
        os._exit(1)
    with suppress(OSError):  # the parent has ended
        _tell(parent, url=server.listening_address)
        sys.stdin.buffer.read()
    os._exit(0)  # at once, without waiting for llama.cpp's threads: no client is left


def _tell(parent: int, **facts: str) -> None:
    os.write(parent, json.dumps(facts).encode() + b"\n")


def _start(settings: Settings) -> "Server":
    import xllamacpp  # slow to import: only the child does

    params = xllamacpp.CommonParams()
    params.model.path = settings.path
    params.hostnames, params.port = ["127.0.0.1"], 0
    params.api_keys = [settings.api_key]
    params.n_ctx = settings.context_tokens * settings.parallel
    params.n_parallel = settings.parallel
    params.n_gpu_layers = settings.gpu_layers
    params.cache_ram_mib = _PROMPT_CACHE_MIB
    params.ui = params.endpoint_slots = params.warmup = False
    params.prefill_assistant = False  # a last assistant message is answered, not continued
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = settings.threads or _spare_cores()
    if settings.chat_template:
        params.chat_template = settings.chat_template
    return xllamacpp.Server(params)


def _spare_cores() -> int:
    """All cores but one. llama.cpp's threads wait for each other at every step, so one thread without a core of its own
    slows all of them (measured: two threads on two busy cores are 3.6 times slower than one)."""
    threads = len(os.sched_getaffinity(0))
    cores = threads // 2 if _has_two_threads_a_core() else threads
    return max(1, cores - 1)


def _has_two_threads_a_core() -> bool:
    with suppress(OSError):
        return Path("/sys/devices/system/cpu/smt/active").read_text().strip() == "1"
    return False


def _die_with_parent() -> None:
    """While the model loads, no Python runs here that could see the end of stdin."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    main()
