"""Teams of every kind work with models of every vendor: nothing is refused in the end, and nothing is lost.

Each vendor's row is run once, streamed and whole, when its first test needs it. `python -m tests.zoo` prints them.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from tests.zoo.hosted import Gemini, LiteLLM, OpenAI
from tests.zoo.local import GptOss, LlamaCpp, LmStudio, VLlm
from tests.zoo.matrix import DOC, TEAMS, ZOO, Row, agent_of, both_rows, documented, learned, lost, row_of
from tests.zoo.mind import MEANWHILE
from tests.zoo.thinking import Mistral, Qwen
from tests.zoo.vendor import Vendor

_HEADING: Final = re.compile(r"^\S+ \*\*\w+\*\*$", re.MULTILINE)
_THOUGHT: Final = re.compile(r"This is thought \d+\.")

each_vendor = pytest.mark.parametrize("vendor", ZOO, ids=lambda vendor: vendor.__name__)


class Rows:
    """Streamed first, then whole."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._rows: dict[type[Vendor], Sequence[Row]] = {}

    def __getitem__(self, vendor: type[Vendor]) -> Sequence[Row]:
        if vendor not in self._rows:
            self._rows[vendor] = both_rows(vendor, self._folder / vendor.__name__)
        return self._rows[vendor]


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Rows:
    return Rows(tmp_path_factory.mktemp("zoo"))


@each_vendor
def test_every_question_is_answered(rows: Rows, vendor: type[Vendor]) -> None:
    for row in rows[vendor]:
        assert {team: cell.problems for team, cell in row.items() if cell.problems} == {}


@each_vendor
def test_the_answer_is_the_same_as_that_of_openai(rows: Rows, vendor: type[Vendor]) -> None:
    """With the presentation `answer`; and what is shown otherwise is the same but for thoughts."""
    (streamed, whole), (shown, answered) = rows[vendor], rows[OpenAI]
    for team in TEAMS:
        assert whole[team].answers == answered[team].answers, team
        for answer, other in zip(streamed[team].answers, shown[team].answers, strict=True):
            assert _words(answer, team) == _words(other, team), team


@each_vendor
def test_every_model_is_told_the_same(rows: Rows, vendor: type[Vendor]) -> None:
    """No text, call or result of a request is missing that a model of OpenAI was sent."""
    for row, reference in zip(rows[vendor], rows[OpenAI], strict=True):
        assert {team: said for team in TEAMS if (said := list(lost(row[team], reference[team])))} == {}


@each_vendor
def test_every_thought_of_an_agent_is_shown_once(rows: Rows, vendor: type[Vendor]) -> None:
    streamed, _ = rows[vendor]
    for team, cell in streamed.items():
        shown = "\n".join(cell.answers)
        made = [(agent_of(one.body), one.said.thought) for one in cell.exchanges if one.said is not None]
        for thought in [thought for agent, thought in made if agent and team != "structured"]:
            assert shown.count(thought) == vendor.thinks, f"{team}: {thought}"
        assert len(_THOUGHT.findall(shown)) == len(set(_THOUGHT.findall(shown))), team


@pytest.mark.parametrize(
    "vendor", [Mistral, Qwen, GptOss, LiteLLM, Gemini, VLlm, LmStudio, LlamaCpp], ids=lambda vendor: vendor.__name__
)
async def test_a_model_whose_name_says_nothing_teaches_by_its_refusals(tmp_path: Path, vendor: type[Vendor]) -> None:
    """A refusal costs one more request, once for each rule of the vendor: not one for each question."""
    row = await row_of(vendor, tmp_path, streamed=True, model="served", teams=("round-robin", "swarm", "society"))
    assert {team: cell.problems for team, cell in row.items() if cell.problems} == {}
    refused = [exchange.refused for cell in row.values() for exchange in cell.exchanges if exchange.refused]
    assert len(refused) <= 2 * len(learned(row)), "each of the two servers learns for itself"


def test_the_documentation_shows_the_matrix(rows: Rows) -> None:
    document = DOC.read_text("utf-8")
    assert documented(document, {vendor: rows[vendor] for vendor in ZOO}) == document, "run `python -m tests.zoo`"


def _words(transcript: str, team: str) -> Sequence[str]:
    """Its lines without headings and thoughts; sorted where agents speak at the same time."""
    lines = _THOUGHT.sub("", _HEADING.sub("", transcript)).splitlines()
    said = [line.rstrip() for line in lines if line.strip()]
    return sorted(said) if team in MEANWHILE else said
