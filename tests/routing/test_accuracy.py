"""How often the rules are right, measured on labelled questions.

Both halves have the same format, `label<TAB>question`. The rules were tuned on the first half. Only this test reads the
other half, and it prints how many answers are right, never which.
"""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from aiostream_server.routing.by_rules import classify
from aiostream_server.routing.candidates import Decision
from tests.routing.teams import BUILT_IN

_BOUNDS = (0.0, 0.6, 0.8, 0.9, 1.0)


def _judged(half: str) -> list[tuple[bool, Decision]]:
    lines = Path(__file__).with_name(f"questions_{half}.tsv").read_text("utf-8").splitlines()
    pairs = [line.split("\t", 1) for line in lines if line.strip()]
    return [((decision := classify(question, BUILT_IN)).team == label, decision) for label, question in pairs]


def _accuracy(judged: Sequence[tuple[bool, Decision]]) -> float:
    return sum(right for right, _ in judged) / len(judged)


def _between(judged: Sequence[tuple[bool, Decision]], low: float, high: float) -> list[tuple[bool, Decision]]:
    return [pair for pair in judged if low <= pair[1].confidence < high]


def _report(half: str, judged: Sequence[tuple[bool, Decision]]) -> str:
    """The accuracy, then one line per range of confidence: how often the rules were right when they were that sure."""
    lines = [f"\nrouting rules, {half} half: {_accuracy(judged):.1%} of {len(judged)} questions right"]
    for low, high in pairwise(_BOUNDS):
        if bucket := _between(judged, low, high):
            lines.append(
                f"  confidence {low:.1f} to {high:.1f}: {len(bucket):3} questions, {_accuracy(bucket):4.0%} right"
            )
    return "\n".join(lines)


@pytest.mark.parametrize("half", ["tuning", "held_out"])
def test_rules_are_right_nine_times_in_ten(half: str, capsys: pytest.CaptureFixture[str]) -> None:
    judged = _judged(half)
    with capsys.disabled():
        print(_report(half, judged))
    assert len(judged) >= 50
    if _accuracy(judged) <= 0.90:  # an assert prints the questions
        pytest.fail(f"only {_accuracy(judged):.1%} right on the {half} half", pytrace=False)


def test_being_unsure_means_being_wrong_more_often() -> None:
    """The threshold of `rules-then-model` depends on this."""
    judged = _judged("tuning") + _judged("held_out")
    sure, unsure = _accuracy(_between(judged, 0.9, 1.1)), _accuracy(_between(judged, 0.0, 0.6))
    if not (sure > 0.95 and unsure < sure - 0.1):
        pytest.fail(f"sure: {sure:.1%} right, unsure: {unsure:.1%} right", pytrace=False)
