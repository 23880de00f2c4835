"""What a worker gets from its parent."""

import os
import socket
from dataclasses import dataclass
from typing import Self

from aiostream_server.service.workers.loads import Loads


@dataclass(frozen=True, slots=True)
class Seat:
    """`number` counts from 1."""

    number: int
    listening: socket.socket
    loads: Loads

    @classmethod
    def take(cls, number: int, listening: int, loads: int) -> Self:
        """From the descriptors that were inherited; no program that the worker starts gets them."""
        os.set_inheritable(loads, False)
        inherited = socket.socket(fileno=listening)
        inherited.set_inheritable(False)
        return cls(number, inherited, Loads(loads))
