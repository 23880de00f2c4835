"""What A2A keeps with a run: which task it is part of, and the message that began it. And the ids of tasks.

A task begins with one run. If it asks the client something, the answer begins another run of the same task. The first
run's id gives the task's, and both give the ids of the later runs. So every process finds them all.
"""

import re
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from aiostream_server.intake.json_text import dump, load
from aiostream_server.runs.card import RunCard

_TASK_ID: Final = re.compile(r"task-([A-Za-z0-9_-]{24})", re.ASCII)
_RUN_ID_BYTES: Final = 18


@dataclass(frozen=True, slots=True)
class KeptTask:
    """`turn` counts the runs of a task from 1. `first_run` is empty in the first. `message` is the client's, as the
    task's history shows it; `digest` tells two messages apart. Both are empty where the client withdrew the question.
    """

    digest: str
    message: dict[str, Any]
    turn: int = 1
    first_run: str = ""

    def encoded(self) -> bytes:
        return dump([self.digest, self.message, self.turn, self.first_run])

    @staticmethod
    def of(card: RunCard) -> "KeptTask":
        digest, message, turn, first_run = load(card.kept)
        return KeptTask(digest, message, turn, first_run)


def task_id_of(card: RunCard) -> str:
    return task_id(KeptTask.of(card).first_run or card.id)


def task_id(first_run: str) -> str:
    return f"task-{first_run.removeprefix('run-')}"


def run_id_of(wanted: str) -> str | None:
    """The id of a task's first run; None for what is no task id."""
    found = _TASK_ID.fullmatch(wanted)
    return None if found is None else f"run-{found[1]}"


def later_run_id(first_run: str, turn: int) -> str:
    """The id of the run that answers the task's question number `turn - 1`. As hard to guess as the first run's."""
    digest = sha256(f"{first_run}\n{turn}".encode()).digest()[:_RUN_ID_BYTES]
    return f"run-{urlsafe_b64encode(digest).decode()}"
