"""A parent of two workers that serve nothing: tests a supervisor without loading the agents' libraries.

`python -m tests.service.tiny_parent KIND STOP_WITHIN_S`; `_WORKER` is all that a worker does.
"""

import os
import socket
import sys

from aiostream_server.errors import ConfigError
from aiostream_server.service.sockets import Listening
from aiostream_server.service.systemd import ServiceManager
from aiostream_server.service.workers.supervisor import Supervisor

_WORKER = """
import signal, socket, sys, threading, time
from aiostream_server.service.status import ProcessStatus
from aiostream_server.service.workers.channel import ParentChannel
kind, number, channel, *_ = sys.argv[1:]
parent = ParentChannel(socket.socket(fileno=int(channel)))
if kind == "refuses":
    parent.tell_problems(["one thing is wrong", "and another"])
    sys.exit(1)
if kind == "dies" and number == "2":
    sys.exit(7)
if kind == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
parent.ready()
if kind == "one-blocked" and number == "1":
    while True:
        parent.beat(ProcessStatus())
        time.sleep(parent.beat_s)
time.sleep(60)
"""


def main(kind: str, stop_within_s: float = 0.2) -> int:
    supervisor = Supervisor(
        Listening((socket.create_server(("127.0.0.1", 0)),)),
        2,
        lambda *worker: [sys.executable, "-c", _WORKER, kind, *map(str, worker)],
        stop_within_s=stop_within_s,
        manager=ServiceManager.named_in(os.environ, os.getpid()),
    )
    try:
        return supervisor.run(lambda: print("ready", flush=True))
    except ConfigError as exc:
        print(*exc.problems, sep="\n")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], *map(float, sys.argv[2:])))
