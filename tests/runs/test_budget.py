"""Never more than the limit is taken; what exceeds a limit ends the run."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiostream_server.events import Error, FinishReason
from aiostream_server.runs.budget import Budget

_STEPS = st.lists(st.tuples(st.sampled_from(["take", "settle"]), st.integers(0, 20)))


def _ignore(_: object) -> None:
    """Of a limit that is no matter."""


@given(st.integers(1, 50), _STEPS)
def test_never_more_than_the_limit(limit: int, steps: list[tuple[str, int]]) -> None:
    ends: list[FinishReason | Error] = []
    budget = Budget(ends.append, max_tokens=limit)
    taken = settled = refused = 0
    for step, tokens in steps:
        before = budget.left
        if step == "take":
            now = budget.take("A", tokens)
            assert 0 <= now <= tokens
            taken += now
            refused += tokens - now
        else:
            budget.settle("A", tokens)
            settled += tokens
        assert before is not None
        assert budget.left is not None
        assert 0 <= budget.left <= before
    assert taken <= limit
    assert set(ends) <= {"length"}
    assert ends or not (settled > limit or refused)


@given(_STEPS)
def test_without_a_limit_everything_is_taken(steps: list[tuple[str, int]]) -> None:
    budget = Budget(_ignore)
    for step, tokens in steps:
        if step == "take":
            assert budget.take("A", tokens) == tokens
        else:
            budget.settle("A", tokens)
    assert budget.left is None


def test_a_call_that_used_up_the_limit_ends_the_run_and_a_models_own_limit_does_not() -> None:
    ends: list[FinishReason | Error] = []
    budget = Budget(ends.append, max_tokens=2)
    budget.take("A", 1)
    budget.cut_short()
    assert not ends
    budget.take("A", 1)
    budget.cut_short()
    assert ends == ["length"]


def test_a_providers_own_count_takes_the_place_of_ours() -> None:
    budget = Budget(_ignore, max_tokens=10)
    budget.take("A", 5)
    budget.settle("A", 7)
    assert budget.left == 3


def test_a_provider_that_counts_nothing_does_not_lift_the_limit() -> None:
    budget = Budget(_ignore, max_tokens=10)
    budget.take("A", 8)
    budget.settle("A", 0)
    assert budget.left == 2


def test_what_nobody_reported_is_known_for_each_agent() -> None:
    """Two speak at once; one is broken off."""
    budget = Budget(_ignore)
    budget.take("A", 5)
    budget.take("B", 3)
    budget.settle("A", 4)
    assert budget.unsettled == 3


@pytest.mark.parametrize("limit", [0, 1, 3])
def test_turns_and_tool_calls_up_to_the_limit(limit: int) -> None:
    """0 is no limit."""
    ends: list[FinishReason | Error] = []
    budget = Budget(ends.append, max_turns=limit, max_tool_calls=limit)
    for _ in range(limit or 9):
        assert budget.may_begin_turn()
        budget.ended_turn()
        budget.tool_call()
    assert not ends
    assert budget.may_begin_turn() == (not limit)
    budget.tool_call()
    codes = [end.code for end in ends if isinstance(end, Error)]
    assert codes == (["too_many_turns", "too_many_tool_calls"] if limit else [])
