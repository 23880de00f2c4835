"""What the guard says of a statement, and the seal that makes "approved" impossible to claim.

An `Approved` is stamped with a secret that lives in one guard. A database runs nothing that does not carry its own
guard's stamp over exactly this text, so a forged, altered or foreign approval is worth nothing.
"""

import hmac
import secrets
from dataclasses import dataclass
from typing import Final, TypeAlias, final


class Seal:
    """One guard's secret. Whoever holds it can stamp a statement; everyone else can only have it checked."""

    __slots__ = ("_key",)

    def __init__(self) -> None:
        self._key: Final = secrets.token_bytes(32)

    def stamp(self, sql: str) -> bytes:
        return hmac.digest(self._key, sql.encode(), "sha256")

    def __repr__(self) -> str:
        return "Seal()"


@final
class Approved:
    """A statement that may run: `sql` is the guard's own wording of it, never the text that was sent in."""

    __slots__ = ("_stamp", "reason", "sql", "tables")
    sql: str
    reason: str
    tables: tuple[str, ...]
    _stamp: bytes

    def __init__(self, sql: str, *, reason: str, tables: tuple[str, ...], seal: Seal) -> None:
        for name, value in (("sql", sql), ("reason", reason), ("tables", tables), ("_stamp", seal.stamp(sql))):
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"an approval cannot be altered ({name})")

    def __reduce__(self) -> str:
        raise TypeError("an approval holds for one process and cannot be copied or stored")

    def __repr__(self) -> str:
        return f"Approved(sql={self.sql!r}, reason={self.reason!r})"

    def carries(self, seal: Seal) -> bool:
        """Whether the holder of `seal` stamped this very text."""
        return hmac.compare_digest(self._stamp, seal.stamp(self.sql))


@dataclass(frozen=True, slots=True)
class Blocked:
    """A statement that may not run; `reason` is one line that a model can act on."""

    reason: str


Verdict: TypeAlias = Approved | Blocked
