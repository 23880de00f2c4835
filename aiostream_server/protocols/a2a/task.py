"""A task as an object, folded from the logs of its runs: https://a2a-protocol.org/latest/specification/#411-task

ProtoJSON: names in camel case, enumerations by name, what has its default left out.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from datetime import UTC, datetime
from mimetypes import guess_type
from typing import Any, Final, Literal, NotRequired, TypedDict

from aiostream_server.events import Entry
from aiostream_server.protocols.a2a.kept import KeptTask, task_id
from aiostream_server.protocols.a2a.updates import (
    AnswerFile,
    AnswerText,
    StatusChange,
    TaskState,
    TaskUpdates,
    Update,
)
from aiostream_server.runs.card import RunCard

TERMINAL: Final = frozenset({"TASK_STATE_COMPLETED", "TASK_STATE_FAILED", "TASK_STATE_CANCELED"})


class PartObject(TypedDict, total=False):
    text: str
    url: str
    data: Any
    mediaType: str
    filename: str


class MessageObject(TypedDict):
    messageId: str
    role: Literal["ROLE_USER", "ROLE_AGENT"]
    parts: list[PartObject]
    contextId: NotRequired[str]
    taskId: NotRequired[str]


class TaskStatus(TypedDict):
    state: TaskState
    timestamp: str
    message: NotRequired[MessageObject]


class Artifact(TypedDict):
    artifactId: str
    name: str
    parts: list[PartObject]


class TaskObject(TypedDict):
    id: str
    contextId: str
    status: TaskStatus
    artifacts: NotRequired[list[Artifact]]
    history: NotRequired[list[MessageObject]]
    metadata: NotRequired[Mapping[str, Any]]


class TaskNames:
    """The ids of one run's task, and of what the run adds to it."""

    __slots__ = ("_of_run", "_turn", "context_id", "kept", "task_id")

    def __init__(self, card: RunCard) -> None:
        self.kept: Final = KeptTask.of(card)
        self.task_id: Final = task_id(self.kept.first_run or card.id)
        self.context_id: Final = card.conversation or ""
        self._of_run = card.id.removeprefix("run-")
        self._turn = f"-{self.kept.turn}" if self.kept.turn > 1 else ""

    @property
    def answer_id(self) -> str:
        return f"answer{self._turn}"

    def asked(self) -> MessageObject:
        """The client's message."""
        sent = self.kept.message
        return {
            "messageId": sent["messageId"],
            "contextId": self.context_id,
            "taskId": self.task_id,
            "role": "ROLE_USER",
            "parts": sent["parts"],
        }

    def said(self, change: StatusChange) -> MessageObject:
        return {
            "messageId": f"message-{self._of_run}-{change.number}",
            "contextId": self.context_id,
            "taskId": self.task_id,
            "role": "ROLE_AGENT",
            "parts": [{"text": change.text}],
        }

    def status(self, change: StatusChange) -> TaskStatus:
        status: TaskStatus = {"state": change.state, "timestamp": timestamp(change.timestamp)}
        if change.number:
            status["message"] = self.said(change)
        return status

    def file(self, update: AnswerFile) -> Artifact:
        part: PartObject = {"url": update.url}
        if media_type := guess_type(update.name)[0]:
            part["mediaType"] = media_type
        if update.name:
            part["filename"] = update.name
        return {
            "artifactId": f"file{self._turn}-{update.number}",
            "name": update.name or f"File {update.number}",
            "parts": [part],
        }


class Task:
    """A task as it stands after the entries that it was given. Begin each of its runs with `begin`."""

    def __init__(self) -> None:
        self._names: TaskNames
        self._status: TaskStatus
        self._updates = TaskUpdates()
        self._answers: dict[str, list[str]] = {}
        self._files: list[Artifact] = []
        self._history: list[MessageObject] = []
        self._metadata: Mapping[str, Any] = {}
        self.updated_at = 0.0

    def begin(self, card: RunCard) -> None:
        """The next run of the task."""
        self._names, self._updates, self._metadata = TaskNames(card), TaskUpdates(), {}
        if self._names.kept.message:
            self._history.append(self._names.asked())
        is_new = self._names.kept.turn == 1
        self._apply(StatusChange("TASK_STATE_SUBMITTED" if is_new else "TASK_STATE_WORKING", card.created_at))

    def copy(self) -> "Task":
        """A copy to which another run can be added, while this one stays as it is."""
        return deepcopy(self)

    @property
    def state(self) -> TaskState:
        return self._status["state"]

    def add(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            for update in self._updates.of(entry):
                self._apply(update)

    def shown(self, history_length: int | None = None, *, with_artifacts: bool = True) -> TaskObject:
        """`history_length`: the latest messages only; None for all."""
        names = self._names
        task: TaskObject = {"id": names.task_id, "contextId": names.context_id, "status": self._status}
        if with_artifacts and (artifacts := [*map(_answer, self._answers.items()), *self._files]):
            task["artifacts"] = artifacts
        if history := self._history[_first_shown(len(self._history), history_length) :]:
            task["history"] = history
        if self._metadata:
            task["metadata"] = self._metadata
        return task

    def _apply(self, update: Update) -> None:
        match update:
            case StatusChange():
                self._status, self.updated_at = self._names.status(update), update.timestamp
                if update.is_last:
                    self._metadata = update.metadata or {}
                if update.is_question:
                    self._history.append(self._names.said(update))
            case AnswerText():
                self._answers.setdefault(self._names.answer_id, []).append(update.text)
            case AnswerFile():
                self._files.append(self._names.file(update))


def _answer(known: tuple[str, list[str]]) -> Artifact:
    artifact_id, texts = known
    return {"artifactId": artifact_id, "name": "answer", "parts": [{"text": "".join(texts)}]}


def _first_shown(known: int, wanted: int | None) -> int:
    return 0 if wanted is None else max(known - wanted, 0)


def timestamp(at: float) -> str:
    """RFC 3339 in UTC, to the millisecond."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
