"""What a process gets that shares its listening sockets with others."""

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from aiostream_server.service.sockets import Listening
from aiostream_server.service.workers.loads import Loads


@dataclass(frozen=True, slots=True)
class Seat:
    """`number` counts from 1."""

    number: int
    listening: Listening
    loads: Loads
    has_parent: bool

    @classmethod
    def take(cls, number: int, loads: int, is_adopted: bool, listening: Sequence[int]) -> Self:
        """A worker's, from the descriptors that were inherited; no program that the worker starts gets them."""
        os.set_inheritable(loads, False)
        inherited = tuple(socket.socket(fileno=descriptor) for descriptor in listening)
        for each in inherited:
            each.set_inheritable(False)
        return cls(number, Listening(inherited, is_adopted=is_adopted), Loads(loads), has_parent=True)

    @classmethod
    def alone(cls, listening: Listening) -> Self:
        """That of the only process of a server whose sockets others accept from, too: the one before it, the one
        after it."""
        return cls(1, listening, Loads.create(1), has_parent=False)
