"""The corpus: requests as files, each with the kind of question that it is, or none.

`corpus/open_webui_*.json` are rendered by Open WebUI's own code (`render_corpus.py`); `corpus/turns.json` are questions
of people that look like those, or hold them.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from aiostream_server.intake.question import Question
from aiostream_server.protocols.chat.request import ChatRequest, read_question
from aiostream_server.routing.auxiliary.kinds import Auxiliary
from aiostream_server.routing.auxiliary.recognise import recognise

CORPUS: Final = Path(__file__).with_name("corpus")


@dataclass(frozen=True, slots=True)
class Case:
    """`kind` is None for a turn of a conversation; `task` is what the task header holds, where it is sent."""

    name: str
    kind: str | None
    task: str | None
    body: dict[str, Any]

    @property
    def question(self) -> Question:
        return read_question(ChatRequest.model_validate(self.body))

    @property
    def is_streamed(self) -> bool:
        return bool(self.body.get("stream"))


def _load(file: Path) -> list[Case]:
    entries = json.loads(file.read_text("utf-8"))
    return [Case(f"{file.stem} {each['name']}", each.get("kind"), each.get("task"), each["body"]) for each in entries]


CASES: Final = tuple(case for file in sorted(CORPUS.glob("*.json")) for case in _load(file))
AUXILIARY: Final = tuple(case for case in CASES if case.kind is not None)
TURNS: Final = tuple(case for case in CASES if case.kind is None)


def rendered(name: str) -> Case:
    """By its version and name: `0_12_4 generate_title short`."""
    return next(case for case in AUXILIARY if case.name == f"open_webui_{name}")


def recognised(name: str) -> Auxiliary:
    auxiliary = recognise(rendered(name).question, None, is_streamed=False)
    assert auxiliary is not None
    return auxiliary
