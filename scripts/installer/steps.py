"""The output for the administrator: one line for each step, and errors that say what to do."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")

_TIMEOUT_S: Final = 900.0
_SHOWN_LINES: Final = 20


class Problem(Exception):
    """Ends the installation: what is wrong, and what to do about it."""

    def __init__(self, what: str, advice: str = "") -> None:
        super().__init__(what if not advice else f"{what}\n  {advice}")


@dataclass(frozen=True, slots=True)
class Steps:
    """Prints each step, and takes it unless this is a dry run."""

    dry_run: bool = False

    def say(self, line: str) -> None:
        print(line, flush=True)

    def warn(self, line: str) -> None:
        print(f"warning: {line}", file=sys.stderr, flush=True)

    def take(self, line: str, action: Callable[_P, _T], /, *arguments: _P.args, **named: _P.kwargs) -> _T | None:
        """Print `line`, then call `action` and return its result; None in a dry run."""
        if self.dry_run:
            self.say(f"would: {line}")
            return None
        self.say(line)
        return action(*arguments, **named)


def run(*command: str, environ: dict[str, str] | None = None) -> str:
    """Run a command and return its stdout. Raise `Problem` with the end of its output where it fails."""
    done = ask(*command, environ=environ)
    if done.returncode:
        said = (done.stderr + done.stdout).strip().splitlines()[-_SHOWN_LINES:]
        raise Problem(f"`{_shown(command)}` failed:\n" + "\n".join(f"    {line}" for line in said))
    return done.stdout


def ask(*command: str, environ: dict[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    """Run a command that may fail: its status is a part of the result."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S, env=environ)
    except FileNotFoundError:
        raise Problem(f"there is no program `{command[0]}` here") from None
    except subprocess.TimeoutExpired:
        raise Problem(f"`{_shown(command)}` did not end within {_TIMEOUT_S:g} s") from None


def _shown(command: Sequence[str]) -> str:
    return " ".join(command)


def write_file(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Write the file as a whole or not at all, so that no reader sees half of it."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.write_bytes(content)
    unfinished.chmod(mode)
    unfinished.replace(path)
