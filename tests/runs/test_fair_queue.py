"""Keys leave in turn, and the users of a key in turn; within an owner the order is that of arrival."""

from collections import defaultdict, deque

from hypothesis import given, settings
from hypothesis import strategies as st

from aiostream_server.intake.principal import Owner
from aiostream_server.runs.fair_queue import FairQueue

_OWNERS = st.builds(Owner, st.sampled_from(["a", "b", None]), st.sampled_from(["ann", "bob", None]))


def test_a_key_with_one_entry_is_next_after_one_of_a_key_with_many() -> None:
    queue: FairQueue[int] = FairQueue()
    for number in range(100):
        queue.add(Owner("many"), number)
    assert (queue.ahead_of("one"), queue.ahead_of("many")) == (1, 100)
    queue.add(Owner("one"), 1_000)
    assert (queue.ahead_of("one"), queue.ahead_of("many")) == (3, 101)
    order = [taken[1] for _ in range(4) if (taken := queue.take())]
    assert order == [0, 1_000, 1, 2]


def test_users_of_one_key_leave_in_turn_without_more_turns_for_the_key() -> None:
    queue: FairQueue[str] = FairQueue()
    for item in ("ann 1", "ann 2", "ann 3", "bob 1"):
        queue.add(Owner("shared", item[:3]), item)
    for item in ("own 1", "own 2"):
        queue.add(Owner("own"), item)
    order = [taken[1] for _ in range(6) if (taken := queue.take())]
    assert order == ["ann 1", "own 1", "bob 1", "own 2", "ann 2", "ann 3"]


def test_an_owner_that_may_not_leave_is_passed_over() -> None:
    queue: FairQueue[int] = FairQueue()
    queue.add(Owner("a"), 1)
    queue.add(Owner("b"), 2)
    assert queue.take(lambda owner: owner.key_id == "b") == (Owner("b"), 2)
    assert queue.take(lambda owner: owner.key_id == "b") is None
    assert len(queue) == 1


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["add", "take", "discard", "newest"]), _OWNERS), max_size=80))
def test_no_entry_is_lost_doubled_or_out_of_its_owners_order(steps: list[tuple[str, Owner]]) -> None:
    queue: FairQueue[int] = FairQueue()
    expected: defaultdict[Owner, deque[int]] = defaultdict(deque)
    last_key: str | object | None = object()
    for number, (step, owner) in enumerate(steps):
        if step == "add":
            queue.add(owner, number)
            expected[owner].append(number)
        elif step == "take" and (taken := queue.take()) is not None:
            left, item = taken
            assert expected[left].popleft() == item
            others = {each.key_id for each, items in expected.items() if items} - {left.key_id}
            assert left.key_id != last_key or not others, "another key waited"
            last_key = left.key_id if others else object()
        elif step == "discard" and expected[owner]:
            queue.discard(owner, expected[owner].pop())
            queue.discard(owner, -1)
        elif step == "newest" and len(queue):
            key_id, count = queue.longest()
            assert count == queue.count(key_id) == max(_counts(expected).values())
            newest = queue.take_newest(key_id)
            (of,) = [each for each, items in expected.items() if items and items[-1] == newest]
            expected[of].pop()
        if step in ("discard", "newest"):
            last_key = object()  # the key that waited may be gone
        assert len(queue) == sum(map(len, expected.values()))
    left_items = queue.clear()
    assert sorted(left_items) == sorted(number for items in expected.values() for number in items)
    assert len(queue) == 0


def _counts(expected: dict[Owner, deque[int]]) -> dict[str | None, int]:
    counts: defaultdict[str | None, int] = defaultdict(int)
    for owner, items in expected.items():
        counts[owner.key_id] += len(items)
    return counts


@given(st.lists(_OWNERS))
def test_the_order_is_known_before(owners: list[Owner]) -> None:
    queue: FairQueue[int] = FairQueue()
    for number, owner in enumerate(owners):
        queue.add(owner, number)
    expected = list(queue.in_order())
    assert [taken[1] for _ in owners if (taken := queue.take())] == expected
