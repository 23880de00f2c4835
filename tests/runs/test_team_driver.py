"""A team is called with the arguments that it takes, and the echo of its task is dropped."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.base import TaskResult
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage, TextMessage
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_core import CancellationToken
from autogen_ext.models.replay import ReplayChatCompletionClient

from aiostream_server.errors import TeamFailed
from aiostream_server.events import Message
from aiostream_server.runs.team_driver import drive
from aiostream_server.teams.autogen_private.client_tools import ClientTools
from aiostream_server.teams.context import Team
from tests.runs.listening import listening

TASK = TextMessage(content="What is 1+1?", source="user")

_Stream = AsyncGenerator[BaseAgentEvent | BaseChatMessage | TaskResult, None]


async def told_by(team: Team) -> list[str]:
    run = listening("A", "B")
    await drive(team, [TASK], run.translator, CancellationToken(), ClientTools())
    return [event.content for event in run.told if isinstance(event, Message)]


def said(text: str, source: str = "A") -> TextMessage:
    return TextMessage(content=text, source=source)


class Echoing:
    """Tells its task first, as AutoGen's do by default, then `lines`; says why it stopped."""

    def __init__(self, *lines: BaseChatMessage, stop_reason: str = "done") -> None:
        self._lines, self._stop_reason = lines, stop_reason
        self.given: dict[str, Any] = {}

    async def run_stream(self, *, task: Sequence[BaseChatMessage], **given: Any) -> _Stream:
        self.given = given
        for message in (*task, *self._lines):
            yield message
        yield TaskResult(messages=[], stop_reason=self._stop_reason)


async def test_the_echo_of_the_task_is_not_told() -> None:
    team = Echoing(said("2"))
    assert await told_by(team) == ["2"]
    assert set(team.given) == {"cancellation_token", "output_task_messages"}


async def test_a_copy_of_the_task_is_not_told() -> None:
    class Rewrapping:
        async def run_stream(self, *, task: Sequence[BaseChatMessage]) -> _Stream:
            yield said("thinking ...")
            yield said(task[0].to_text(), "user")
            yield said("2")

    assert await told_by(Rewrapping()) == ["thinking ...", "2"]


async def test_the_same_words_from_an_agent_or_a_second_time_are_told() -> None:
    assert await told_by(Echoing(said(TASK.content), said(TASK.content, "user"))) == [TASK.content, TASK.content]


async def test_an_abnormal_end_is_a_failure() -> None:
    with pytest.raises(TeamFailed, match="stopped before it was done"):
        await told_by(Echoing(said("2"), stop_reason="The group chat is stopped."))


async def test_a_team_that_can_only_run_is_given_what_it_takes() -> None:
    class OnlyRuns:
        async def run(self, *, task: Any, cancellation_token: CancellationToken | None = None) -> TaskResult:
            assert cancellation_token is not None
            return TaskResult(messages=[*task, said("2")])

    assert await told_by(OnlyRuns()) == ["2"]


async def test_a_team_may_be_made_of_any_callables() -> None:
    @dataclass
    class Unhashable:
        words: str

        async def __call__(self, *, task: object) -> TaskResult:
            return TaskResult(messages=[said(self.words)])

    class Made:
        def __init__(self, run: Unhashable) -> None:
            self.run = run

    assert [await told_by(Made(Unhashable(words))) for words in ("2", "3")] == [["2"], ["3"]]


async def test_autogens_own_team_and_a_lone_agent() -> None:
    for wrap in (lambda agent: RoundRobinGroupChat([agent], max_turns=1), lambda agent: agent):
        agent = AssistantAgent("A", ReplayChatCompletionClient(["two"]))
        assert await told_by(wrap(agent)) == ["two"]


async def test_what_the_team_raises_is_raised() -> None:
    class Raising:
        async def run_stream(self, *, task: object) -> _Stream:
            yield said("one")
            raise LookupError("lost")

    with pytest.raises(LookupError):
        await told_by(Raising())


class Giving:
    """A user's own team; `run` returns what it is given."""

    def __init__(self, what: object) -> None:
        self._what = what

    async def run(self, *, task: object) -> Any:  # what is wrong about it is what is tested
        return self._what


class GivingAtOnce(Giving):
    def run(self, *, task: object) -> Any:  # wrong on purpose
        return self._what


class Yielding:
    async def run_stream(self, *, task: object) -> Any:  # wrong on purpose
        yield said("one")
        yield "two"


class Returning:
    async def run_stream(self, *, task: object) -> Any:  # wrong on purpose
        return said("one")


_RESULT = "expected a TaskResult (autogen_agentchat.base)"
_STREAM = "AutoGen's messages, then a TaskResult"


@pytest.mark.parametrize(
    ("team", "message"),
    [
        (Giving("text"), f"Giving.run returned str: {_RESULT}"),
        (Giving(None), f"Giving.run returned None: {_RESULT}"),
        (GivingAtOnce("text"), f"GivingAtOnce.run returned str: {_RESULT}"),
        (Yielding(), f"Yielding.run_stream yielded str: expected {_STREAM}"),
        (Returning(), f"Returning.run_stream returned coroutine: expected an async iterator of {_STREAM}"),
    ],
)
async def test_a_wrong_result_of_a_team_is_a_failure(team: Team, message: str) -> None:
    with pytest.raises(TeamFailed) as caught:
        await told_by(team)
    assert str(caught.value) == message


async def test_a_team_may_hand_on_another_ones_answer() -> None:
    class Handing:
        def run(self, *, task: object) -> Any:  # an awaitable, as `Runs` has it
            return Giving(TaskResult(messages=[said("2")])).run(task=task)

    class Stream:
        """No generator, and nothing to close."""

        def __init__(self) -> None:
            self._left: list[BaseChatMessage | TaskResult] = [TaskResult(messages=[]), said("2")]

        def __aiter__(self) -> "Stream":
            return self

        async def __anext__(self) -> BaseChatMessage | TaskResult:
            if not self._left:
                raise StopAsyncIteration
            return self._left.pop()

    class Iterating:
        def run_stream(self, *, task: object) -> Any:  # an async iterator
            return Stream()

    assert await told_by(Handing()) == await told_by(Iterating()) == ["2"]
