"""Never more than the limit is taken; the overrun is told once."""

from hypothesis import given
from hypothesis import strategies as st

from aiostream_server.runs.budget import Budget

_STEPS = st.lists(st.tuples(st.sampled_from(["take", "settle", "overrun"]), st.integers(0, 20)))


@given(st.integers(1, 50), _STEPS)
def test_never_more_than_the_limit(limit: int, steps: list[tuple[str, int]]) -> None:
    overruns: list[int] = []
    budget = Budget(limit, lambda: overruns.append(1))
    taken = 0
    for step, tokens in steps:
        before = budget.left
        match step:
            case "take":
                now = budget.take(tokens)
                assert 0 <= now <= tokens
                taken += now
            case "settle":
                budget.settle(tokens)
            case _:
                budget.overrun()
        assert before is not None
        assert budget.left is not None
        assert 0 <= budget.left <= before
        assert budget.is_spent == (budget.left == 0)
    assert taken <= limit
    assert len(overruns) == any(step == "overrun" for step, _ in steps)


@given(_STEPS)
def test_without_a_limit_everything_is_taken(steps: list[tuple[str, int]]) -> None:
    budget = Budget(None, lambda: None)
    for step, tokens in steps:
        if step == "take":
            assert budget.take(tokens) == tokens
        else:
            budget.settle(tokens)
    assert budget.left is None
    assert not budget.is_spent


def test_a_providers_own_count_takes_the_place_of_ours() -> None:
    budget = Budget(10, lambda: None)
    budget.take(5)
    budget.settle(7)
    assert budget.left == 3
