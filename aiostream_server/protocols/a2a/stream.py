"""A task as a stream: first the task, then what happens to it, until a terminal state or a question to the client.

https://a2a-protocol.org/latest/specification/#312-send-streaming-message. JSON-RPC wraps every frame into an answer to
the request that opened the stream.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, assert_never

from aiostream_server.events import Entry, RunStarted, SpeechKind, Token
from aiostream_server.intake.json_text import encode, quote
from aiostream_server.protocols.a2a.task import Task, TaskNames
from aiostream_server.protocols.a2a.updates import AnswerFile, AnswerText, StatusChange, TaskUpdates, Update
from aiostream_server.runs.card import RunCard

_BARE: Final = ("", "")


@dataclass(frozen=True, slots=True)
class TaskOptions:
    """`around` stands before and behind each object: nothing in the HTTP+JSON binding. `earlier` is the task before the
    run, None if the run is its first."""

    around: tuple[str, str] = _BARE
    history_length: int | None = None
    earlier: Task | None = None


class TaskFrames:
    """`protocols.dialect.Frames` of one viewer of a run.

    Give `catch_up` the entries that the viewer has missed, if it joins later: then the stream begins with the task as
    it stands behind them.
    """

    __slots__ = (
        "_around",
        "_before",
        "_behind",
        "_between",
        "_card",
        "_joined",
        "_names",
        "_options",
        "_speaker",
        "_updates",
    )

    def __init__(self, card: RunCard, options: TaskOptions) -> None:
        self._card = card
        self._options = options
        self._names = names = TaskNames(card)
        self._updates = TaskUpdates()
        self._joined: Task | None = None
        self._speaker: str | None = None  # the agent whose tokens continue the answer
        head, tail = options.around
        self._around = f"data: {head}", f"{tail}\n\n"
        of_task = f'"taskId":{encode(names.task_id)},"contextId":{encode(names.context_id)}'
        artifact = f'{{"artifactId":{encode(names.answer_id)},"parts":[{{"text":'
        self._before = f'data: {head}{{"artifactUpdate":{{{of_task},"artifact":{artifact}'
        self._behind = f'}}]}},"append":true}}}}{tail}\n\n'
        self._between = f"{self._behind}{self._before}"

    def catch_up(self, task: Task, entries: Sequence[Entry]) -> None:
        self._joined = task
        task.add(entries)
        for entry in entries:
            for _ in self._updates.of(entry):
                pass

    def opening(self, *, at_end: bool) -> bytes:
        return b"" if self._joined is None else self._task(self._joined)

    def encode(self, entries: Sequence[Entry]) -> bytes:
        frames: list[bytes] = []
        texts: list[str] = []  # of tokens that only continue the answer: encoded together
        for entry in entries:
            event = entry.event
            if type(event) is Token and self._continues(event):
                texts.append(event.content)
                continue
            frames.append(self._texts(texts))
            texts, self._speaker = [], None
            if isinstance(event, RunStarted):
                frames.append(self._task(self._begun()))
            frames += map(self._frame, self._updates.of(entry))
        frames.append(self._texts(texts))
        return b"".join(frames)

    def encode_tokens(self, agent: str, kind: SpeechKind, texts: Sequence[str]) -> bytes | None:
        return self._texts(texts) if kind == "final" and agent == self._speaker else None

    def _continues(self, token: Token) -> bool:
        if token.kind == "final" and token.agent == self._speaker:
            return True
        if not self._updates.continues(token):
            return False
        self._speaker = token.agent
        return True

    def _texts(self, texts: Sequence[str]) -> bytes:
        """One frame for each."""
        if not texts:
            return b""
        return f"{self._before}{self._between.join(map(quote, texts))}{self._behind}".encode("ascii")

    def _begun(self) -> Task:
        task = Task() if self._options.earlier is None else self._options.earlier.copy()
        task.begin(self._card)
        return task

    def _task(self, task: Task) -> bytes:
        return self._result({"task": task.shown(self._options.history_length)})

    def _frame(self, update: Update) -> bytes:
        names = self._names
        of_task = {"taskId": names.task_id, "contextId": names.context_id}
        match update:
            case StatusChange():
                metadata = {} if update.metadata is None else {"metadata": update.metadata}
                return self._result({"statusUpdate": {**of_task, "status": names.status(update), **metadata}})
            case AnswerText():
                name = {} if update.append else {"name": "answer"}
                artifact = {"artifactId": names.answer_id, **name, "parts": [{"text": update.text}]}
                flags = {
                    name: True for name, flag in (("append", update.append), ("lastChunk", update.is_last)) if flag
                }
                return self._result({"artifactUpdate": {**of_task, "artifact": artifact, **flags}})
            case AnswerFile():
                return self._result({"artifactUpdate": {**of_task, "artifact": names.file(update), "lastChunk": True}})
            case _:
                assert_never(update)

    def _result(self, result: dict[str, Any]) -> bytes:
        before, behind = self._around
        return f"{before}{encode(result)}{behind}".encode("ascii")
