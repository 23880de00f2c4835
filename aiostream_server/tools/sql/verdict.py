"""The guard's verdict on a statement: approved, with a signature, or blocked, with a reason.

A guard signs what it approves with a secret key of its own. A database runs only statements that carry its own guard's
signature of exactly this text, so a forged, altered or foreign approval does not run.
"""

import hmac
import secrets
from dataclasses import dataclass
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
class Approved:
    """A statement that may run. `sql` is written by the guard from the parsed tree; it is never the model's text."""

    __slots__ = ("_signature", "reason", "sql", "tables")
    sql: str
    reason: str
    tables: tuple[str, ...]
    _signature: bytes

    def __init__(self, sql: str, *, reason: str, tables: tuple[str, ...], seal: Seal) -> None:
        for name, value in (("sql", sql), ("reason", reason), ("tables", tables), ("_signature", seal.sign(sql))):
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"an approval cannot be altered ({name})")

    def __reduce__(self) -> str:
        raise TypeError("an approval holds for one process and cannot be copied or stored")

    def __repr__(self) -> str:
        return f"Approved(sql={self.sql!r}, reason={self.reason!r})"

    def is_signed_with(self, seal: Seal) -> bool:
        """Whether `seal` signed exactly this text."""
        return hmac.compare_digest(self._signature, seal.sign(self.sql))


@dataclass(frozen=True, slots=True)
class Blocked:
    """A statement that may not run. `reason` is one line from which a model can correct it."""

    reason: str


Verdict: TypeAlias = Approved | Blocked
