"""Steps of runs are spread over turns of the event loop, the keys in turn."""

import asyncio
import time
from itertools import groupby

from aiostream_server.intake.principal import Owner
from aiostream_server.runs.step_queue import StepQueue

A, B = Owner("a"), Owner("b")


class Turns:
    """Counts the turns of the loop."""

    def __init__(self) -> None:
        self.number = 0
        self._is_over = False
        self._count()

    def _count(self) -> None:
        self.number += 1
        if not self._is_over:
            asyncio.get_running_loop().call_soon(self._count)

    def end(self) -> None:
        self._is_over = True


async def passed_in_turns(
    steps: StepQueue, owners: list[Owner], step_s: float = 0.0, *, quick: int = 0
) -> list[tuple[int, Owner]]:
    """All wait at once; each but the first `quick` ones computes for `step_s` when it passes.

    In which turn each passed, in that order.
    """
    turns, passed = Turns(), list[tuple[int, Owner]]()

    async def take(owner: Owner) -> None:
        await steps.wait(owner)
        passed.append((turns.number, owner))
        ends_at = time.thread_time() + (step_s if len(passed) > quick else 0)
        while time.thread_time() < ends_at:
            pass

    await asyncio.gather(*map(take, owners))
    turns.end()
    return passed


def most_in_a_turn(passed: list[tuple[int, Owner]]) -> int:
    return max(len(list(group)) for _, group in groupby(passed, key=lambda each: each[0]))


async def test_a_lone_step_does_not_wait() -> None:
    steps = StepQueue()
    for _ in range(3):
        turns = Turns()
        await steps.wait(A)
        assert turns.number == 1
        turns.end()
        await asyncio.sleep(0)
        await asyncio.sleep(0)


async def test_cheap_steps_pass_eight_in_a_turn_and_all_do() -> None:
    """To make each of them wait for a turn of its own would cost more than the steps."""
    passed = await passed_in_turns(StepQueue(), [A] * 100)
    assert len(passed) == 100
    assert most_in_a_turn(passed) == 8


async def test_steps_of_a_millisecond_pass_a_few_in_a_turn() -> None:
    passed = await passed_in_turns(StepQueue(), [A] * 40, step_s=0.001)
    assert 2 <= most_in_a_turn(passed) <= 6
    assert passed[-1][0] >= 40 // 6


async def test_steps_get_a_part_of_a_busy_loop_and_no_more() -> None:
    """Other work takes 10 ms of each turn: several steps pass in each, but never more than eight."""
    is_over = False

    def work() -> None:
        ends_at = time.thread_time() + 0.01
        while time.thread_time() < ends_at:
            pass
        if not is_over:
            asyncio.get_running_loop().call_soon(work)

    work()
    passed = await passed_in_turns(StepQueue(), [A] * 60, step_s=0.002)
    is_over = True
    assert 3 <= most_in_a_turn(passed) <= 8
    assert passed[-1][0] <= 30, "two in each turn, at the least"


async def test_long_steps_that_follow_quick_ones_do_not_pass_together() -> None:
    """The quick ones pass by the eight. The first long one uses up its turn: the others of the eight wait."""
    passed = await passed_in_turns(StepQueue(), [A] * 60, step_s=0.006, quick=40)
    assert most_in_a_turn(passed[:40]) == 8
    assert most_in_a_turn(passed[41:]) <= 2


async def test_those_that_the_time_did_not_suffice_for_go_on_first() -> None:
    passed = await passed_in_turns(StepQueue(), [*[A] * 20, *[B] * 20], step_s=0.006)
    assert [owner for _, owner in passed[1:]] == [*[A, B] * 19, B]


async def test_a_key_that_asks_once_is_not_behind_one_that_asks_a_hundred_times() -> None:
    passed = await passed_in_turns(StepQueue(), [*[A] * 100, B])
    assert [owner for _, owner in passed].index(B) <= 8


async def test_a_caller_that_leaves_is_not_waited_for() -> None:
    steps = StepQueue()
    await steps.wait(A)
    waiting = [asyncio.create_task(steps.wait(A)) for _ in range(30)]
    await asyncio.sleep(0)
    gone = waiting[20]
    gone.cancel()
    await asyncio.wait(waiting)
    assert [task for task in waiting if task.cancelled()] == [gone]
    assert steps.ahead_of(A) == 0
    await passed_in_turns(steps, [A] * 3)
