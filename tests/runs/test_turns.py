"""One question at a time in a conversation: a second one is queued, rejected, or interrupts the first.

`test_turns_contract` tests the bookkeeping; these tests run whole runs.
"""

import asyncio
import gc
from typing import Any

import pytest
from autogen_agentchat.base import TaskResult
from autogen_agentchat.messages import TextMessage

from aiostream_server.config.model import ConcurrentTurns
from aiostream_server.errors import Conflict
from aiostream_server.events import Answer
from aiostream_server.intake.conversation import Conversation
from aiostream_server.intake.principal import Owner
from aiostream_server.intake.question import Question, Turn
from aiostream_server.runs.request import RunRequest
from aiostream_server.runs.run import Run
from aiostream_server.runs.turns import MemoryTurns
from tests.kit.waiting import DEADLINE_S, wait_for
from tests.runs.running import Runs, events_of, runs_of

TALK = Conversation("talk", resends=True)
ANN = Owner("key", "ann")


class Held:
    """Answers once `go` is set. Counts how many of these teams are at work at the same time."""

    go = asyncio.Event()
    at_work = 0
    most_at_once = 0

    async def run(self, task: Any) -> TaskResult:
        Held.at_work += 1
        Held.most_at_once = max(Held.at_work, Held.most_at_once)
        try:
            await Held.go.wait()
        finally:
            Held.at_work -= 1
        return TaskResult(messages=[TextMessage(content=f"re: {task[-1].content}", source="A")], stop_reason="done")


@pytest.fixture(autouse=True)
def _fresh() -> None:
    Held.go = asyncio.Event()
    Held.at_work = Held.most_at_once = 0


async def _until_at_work(count: int) -> None:
    await wait_for(lambda: Held.at_work == count, f"{count} teams at work")


def _runs(policy: ConcurrentTurns, **limits: Any) -> Runs:
    return runs_of(Held, concurrent_turns=policy, **limits)


async def _start(runs: Runs, text: str, talk: Conversation | None = TALK, owner: Owner = ANN) -> Run:
    question = Question(Turn("user", text))
    return await runs.registry.start(RunRequest(question, "auto", runs.spec, owner=owner, conversation=talk))


async def _reason(run: Run) -> str | None:
    await asyncio.wait_for(run.wait(), DEADLINE_S)
    return run.finished.reason if run.finished is not None else None


async def test_waiting_for_a_turn_is_not_idleness() -> None:
    runs = _runs("queue", idle_timeout_s=60)
    first, second = [await _start(runs, text) for text in ("one", "two")]
    await _until_at_work(1)
    second.log.last_active_at -= 3600
    Held.go.set()
    assert [await _reason(run) for run in (first, second)] == ["stop", "stop"]


async def test_a_second_question_waits_for_the_first() -> None:
    runs = _runs("queue")
    first, second, third = [await _start(runs, text) for text in ("one", "two", "three")]
    assert len(runs.registry) == 3, "each is admitted, and can be watched and stopped, at once"
    await _until_at_work(1)
    Held.go.set()
    assert [await _reason(run) for run in (first, second, third)] == ["stop", "stop", "stop"]
    assert Held.most_at_once == 1
    assert [event.content for run in (third, second) for event in events_of(run) if isinstance(event, Answer)] == [
        "re: three",
        "re: two",
    ]


async def test_a_queued_run_can_be_stopped_and_does_not_delay_the_others() -> None:
    runs = _runs("queue")
    first, second, third = [await _start(runs, text) for text in ("one", "two", "three")]
    second.end("cancelled")
    assert await _reason(second) == "cancelled"
    assert first.finished is None, "at once, not when its turn has come"
    Held.go.set()
    assert [await _reason(first), await _reason(third)] == ["stop", "stop"]
    assert Held.most_at_once == 1


async def test_a_run_that_is_stopped_while_it_waits_leaves_nothing_to_complain_about() -> None:
    complaints: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context["message"]))
    runs = _runs("queue")
    first = await _start(runs, "one")
    await _until_at_work(1)
    second = await _start(runs, "two")
    second.end("cancelled")
    await second.wait()
    Held.go.set()
    await first.wait()
    del first, second
    gc.collect()
    assert complaints == []


async def test_a_second_question_is_refused() -> None:
    runs = _runs("reject")
    first = await _start(runs, "one")
    with pytest.raises(Conflict, match="still being answered"):
        await _start(runs, "two")
    Held.go.set()
    assert await _reason(first) == "stop"
    await asyncio.sleep(0)
    assert await _reason(await _start(runs, "two")) == "stop"


async def test_a_second_question_that_waited_for_a_slot_is_refused_as_well() -> None:
    runs = _runs("reject", max_runs=2, queue_size=9)
    before = [await _start(runs, "zero", talk=None) for _ in range(2)]
    both = [asyncio.create_task(_start(runs, text)) for text in ("one", "two")]
    await wait_for(lambda: runs.registry.queued == 2, "two callers in the queue")
    Held.go.set()
    assert [await _reason(run) for run in before] == ["stop", "stop"]
    await asyncio.wait(both)
    assert [type(task.exception()) for task in both] == [type(None), Conflict]
    await both[0].result().wait()


async def test_a_second_question_takes_the_place_of_the_first() -> None:
    runs = _runs("interrupt")
    first = await _start(runs, "one")
    await _until_at_work(1)
    second = await _start(runs, "two")
    Held.go.set()
    assert [await _reason(first), await _reason(second)] == ["cancelled", "stop"]
    assert Held.most_at_once == 1


@pytest.mark.parametrize("policy", ["queue", "reject", "interrupt"])
async def test_other_conversations_other_users_and_questions_without_one_do_not_wait(
    policy: ConcurrentTurns,
) -> None:
    runs = _runs(policy)
    others = [(TALK, Owner("key", "bob")), (TALK, Owner("key")), (Conversation("other", resends=True), ANN)]
    others += [(None, ANN), (None, ANN)]  # type: ignore[list-item]
    started = [await _start(runs, "x"), *[await _start(runs, "x", talk, owner) for talk, owner in others]]
    await _until_at_work(6)
    Held.go.set()
    assert [await _reason(run) for run in started] == ["stop"] * 6


async def test_a_page_may_ask_two_models_side_by_side() -> None:
    runs = _runs("reject")
    question = Question(Turn("user", "x"))
    both = [
        await runs.registry.start(RunRequest(question, model, runs.spec, owner=ANN, conversation=TALK))
        for model in ("one", "other")
    ]
    await _until_at_work(2)
    Held.go.set()
    assert [await _reason(run) for run in both] == ["stop", "stop"]


async def test_no_conversation_holds_more_than_a_few_slots() -> None:
    runs = _runs("queue")
    waiting = [await _start(runs, "x") for _ in range(4)]
    with pytest.raises(Conflict, match="3 questions of this conversation are waiting"):
        await _start(runs, "x")
    await _start(runs, "x", Conversation("other", resends=True))
    await runs.registry.close()
    assert [await _reason(run) for run in waiting] == ["interrupted"] * 4


async def test_an_interrupted_run_makes_room_for_the_one_that_interrupts() -> None:
    runs = _runs("interrupt", max_runs_per_user=1)
    first = await _start(runs, "one")
    second = await _start(runs, "two")
    Held.go.set()
    assert [await _reason(first), await _reason(second)] == ["cancelled", "stop"]


async def test_nothing_is_left_of_a_conversation_that_is_over() -> None:
    runs = _runs("queue")
    Held.go.set()
    for run in [await _start(runs, "x") for _ in range(3)]:
        await _reason(run)
    await asyncio.sleep(0)
    turns = runs.registry._turns
    assert isinstance(turns, MemoryTurns)
    assert not turns._live


async def test_a_closing_server_ends_queued_runs() -> None:
    runs = _runs("queue")
    waiting = [await _start(runs, "x") for _ in range(4)]
    await asyncio.wait_for(runs.registry.close(), DEADLINE_S)
    assert [await _reason(run) for run in waiting] == ["interrupted"] * 4
