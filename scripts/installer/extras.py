"""The extras of `scripts/install --with`. Each has a lock, requirements/extras/NAME.txt, made from setup.cfg.

A release keeps the names of its extras, and an upgrade takes them over.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from scripts.installer.layout import SOURCE
from scripts.installer.steps import Problem

NONE: Final = "none"
_LOCKS: Final = SOURCE / "requirements" / "extras"


def offered() -> list[str]:
    return sorted(lock.stem for lock in _LOCKS.glob("*.txt"))


def lock_of(extra: str) -> Path:
    return _LOCKS / f"{extra}.txt"


def chosen(text: str | None, kept: Sequence[str], *also: str) -> tuple[str, ...]:
    """The `kept` ones, those of `text`: `charts,mcp`, and `also`. "none" in it leaves out those that are kept.

    Raise `Problem` for a name that has no lock here.
    """
    named = {name.strip().lower() for name in (text or "").split(",")} - {""}
    wanted = sorted((named | {*also} | ({*kept} if NONE not in named else set())) - {NONE})
    if unknown := [name for name in wanted if name not in offered()]:
        raise Problem(
            f"there is no extra {unknown[0]!r}; there are: {', '.join(offered())}",
            "--with none leaves out all of before",
        )
    return tuple(wanted)
