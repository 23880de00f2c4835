"""The guard's verdict on a statement: approved, with a signature, or blocked, with a reason.

A guard signs what it approves with a secret key of its own. A database runs only statements that carry its own guard's
signature of exactly this text, so a forged, altered or foreign approval does not run.
"""

import hmac
import secrets
from dataclasses import InitVar, dataclass, field
from typing import Final, TypeAlias, final


class Seal:
    """One guard's secret key, which signs statements."""

    __slots__ = ("_key",)

    def __init__(self) -> None:
        self._key: Final = secrets.token_bytes(32)

    def sign(self, sql: str) -> bytes:
        return hmac.digest(self._key, sql.encode(), "sha256")

    def __repr__(self) -> str:
        return "Seal()"


@final
@dataclass(frozen=True, slots=True)
class Approved:
    """A statement that may run. `sql` is written by the guard from the parsed tree; it is never the model's text."""

    sql: str
    reason: str
    tables: tuple[str, ...] = field(repr=False)
    seal: InitVar[Seal]
    _signature: bytes = field(init=False, repr=False)

    def __post_init__(self, seal: Seal) -> None:
        object.__setattr__(self, "_signature", seal.sign(self.sql))

    def __reduce__(self) -> str:
        raise TypeError("an approval holds for one process and cannot be copied or stored")

    def is_signed_with(self, seal: Seal) -> bool:
        """Whether `seal` signed exactly this text."""
        return hmac.compare_digest(self._signature, seal.sign(self.sql))


@dataclass(frozen=True, slots=True)
class Blocked:
    """A statement that may not run. `reason` is one line from which a model can correct it."""

    reason: str


Verdict: TypeAlias = Approved | Blocked
