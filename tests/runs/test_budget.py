"""Never more than the limit is taken; the overrun is told once."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiostream_server.events import Error
from aiostream_server.runs.budget import Budget, WorkLimit

_STEPS = st.lists(st.tuples(st.sampled_from(["take", "settle", "overrun"]), st.integers(0, 20)))


@given(st.integers(1, 50), _STEPS)
def test_never_more_than_the_limit(limit: int, steps: list[tuple[str, int]]) -> None:
    overruns: list[int] = []
    budget = Budget(limit, lambda: overruns.append(1))
    taken = settled = 0
    for step, tokens in steps:
        before = budget.left
        match step:
            case "take":
                now = budget.take("A", tokens)
                assert 0 <= now <= tokens
                taken += now
            case "settle":
                budget.settle("A", tokens)
                settled += tokens
            case _:
                budget.overrun()
        assert before is not None
        assert budget.left is not None
        assert 0 <= budget.left <= before
        assert budget.is_spent == (budget.left == 0)
    assert taken <= limit
    assert len(overruns) <= 1
    assert overruns or not (settled > limit or any(step == "overrun" for step, _ in steps))


@given(_STEPS)
def test_without_a_limit_everything_is_taken(steps: list[tuple[str, int]]) -> None:
    budget = Budget(None, lambda: None)
    for step, tokens in steps:
        if step == "take":
            assert budget.take("A", tokens) == tokens
        else:
            budget.settle("A", tokens)
    assert budget.left is None
    assert not budget.is_spent


def test_a_providers_own_count_takes_the_place_of_ours() -> None:
    budget = Budget(10, lambda: None)
    budget.take("A", 5)
    budget.settle("A", 7)
    assert budget.left == 3


def test_a_provider_that_counts_nothing_does_not_lift_the_limit() -> None:
    budget = Budget(10, lambda: None)
    budget.take("A", 8)
    budget.settle("A", 0)
    assert budget.left == 2


def test_what_nobody_reported_is_known_for_each_agent() -> None:
    """Two speak at once; one is broken off."""
    budget = Budget(None, lambda: None)
    budget.take("A", 5)
    budget.take("B", 3)
    budget.settle("A", 4)
    assert budget.unsettled == 3


@pytest.mark.parametrize("limit", [0, 1, 3])
def test_turns_and_tool_calls_up_to_the_limit(limit: int) -> None:
    """0 is no limit."""
    errors: list[Error] = []
    work = WorkLimit(limit, limit, errors.append)
    for _ in range(limit or 9):
        assert work.may_begin()
        work.ended_turn()
        work.tool_call()
    assert not errors
    assert work.may_begin() == (not limit)
    work.tool_call()
    assert [error.code for error in errors] == (["too_many_turns", "too_many_tool_calls"] if limit else [])
