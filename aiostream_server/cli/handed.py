"""What a service manager hands to the server in its environment, which no program that it starts gets."""

import os
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Final

from aiostream_server.service import activation
from aiostream_server.service.notify import ServiceManager
from aiostream_server.service.sockets import Listening

_VARIABLES: Final = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", *activation.VARIABLES)


@dataclass(frozen=True, slots=True)
class Handed:
    """`listening` is None where the server has to open its sockets itself."""

    manager: ServiceManager
    listening: Listening | None

    def close(self) -> None:
        """The sockets, for this process."""
        if self.listening is not None:
            self.listening.close()

    @classmethod
    def take(cls, environ: MutableMapping[str, str]) -> "Handed":
        """Out of `environ`. Raises `ConfigError` for sockets that cannot be served."""
        taken = {name: environ.pop(name) for name in _VARIABLES if name in environ}
        pid = os.getpid()
        sockets = activation.adopt(taken, pid)
        return cls(ServiceManager.named_in(taken, pid), Listening(sockets, is_adopted=True) if sockets else None)
