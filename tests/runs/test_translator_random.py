"""Random teams: nothing is lost, nothing is shown twice, no block is ever half.

AutoGen's messages come as AutoGen tells them: what a model client of ours has let the run hear before comes again, a
while later; what agents say inside a tool comes again as its result.
"""

import asyncio
import json
import re
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Final

from autogen_agentchat import messages as autogen
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage, StructuredMessage
from autogen_core import FunctionCall, Image
from autogen_core.code_executor import CodeBlock, CodeResult
from autogen_core.memory import MemoryContent, MemoryMimeType
from autogen_core.models import FunctionExecutionResult, RequestUsage
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from aiostream_server.config.model import Presentation
from aiostream_server.events import Event
from aiostream_server.present import Page, new_presenter
from aiostream_server.runs.closing_events import tell_answer
from aiostream_server.runs.team_ending import TeamEnding
from tests.runs.listening import Listening, listening
from tests.runs.test_translator import Own, OwnEvent, Weather

TAPPED: Final = ("Ann", "Ben")
OTHERS: Final = ("Cyd", "Dan")  # their model clients are not ours
RUNNER: Final = "Runner"
_PICTURE: Final = Image(Pillow.new("RGB", (1, 1)))
_STANDARD: Final = "Transferred to {0}, adopting the role of {0} immediately."
_MARK: Final = re.compile(r"⟦\d+⟧")


class Team:
    """Plays AutoGen. Every text holds a mark of its own: `marks` are those that a reader must be shown once."""

    def __init__(self, draw: Callable[[st.SearchStrategy[int]], int], run: Listening) -> None:
        self._draw = draw
        self._run = run
        self._late: deque[BaseAgentEvent | BaseChatMessage] = deque()
        self.marks: list[str] = []

    async def play(self) -> None:
        for _ in range(self._pick(6)):
            await self._turn()
        self._catch_up(len(self._late))
        self._run.recorder.close_all()

    def _pick(self, below: int) -> int:
        return self._draw(st.integers(0, below - 1)) if below else 0

    def _mark(self) -> str:
        self.marks.append(f"⟦{len(self.marks)}⟧")
        return self.marks[-1]

    def _tell(self, *messages: BaseAgentEvent | BaseChatMessage) -> None:
        """AutoGen tells it, sooner or later."""
        self._late += messages
        self._catch_up(self._pick(len(self._late) + 1))

    def _catch_up(self, count: int) -> None:
        for _ in range(count):
            self._run.translator.translate(self._late.popleft())

    async def _turn(self, *outer: str) -> Sequence[BaseChatMessage]:
        """One agent's words inside the tools of others, as the agent reads them that uses it as a tool."""
        agents = [agent for agent in (*TAPPED, *OTHERS) if agent not in outer]
        agent = agents[self._pick(len(agents))]
        turns = (self._words, self._words, self._tool, self._agents_in_tool, self._handoff, self._code, self._others)
        kind = turns[self._pick(len(turns))]
        return await (self._words(agent) if kind == self._agents_in_tool and len(outer) > 1 else kind(agent, *outer))

    async def _words(self, agent: str, *_: str) -> Sequence[BaseChatMessage]:
        text = f"{self._mark()} and {self._mark()}"
        if agent in TAPPED:
            await self._run.tapped(agent, *re.split(r"(?<= )", text))
        elif self._pick(2):
            self._tell(
                *(autogen.ModelClientStreamingChunkEvent(content=part, source=agent) for part in text.split("a"))
            )
            text = "".join(text.split("a"))
        said = autogen.TextMessage(content=text, source=agent, models_usage=RequestUsage(1, 1))
        self._tell(said)
        return [said]

    async def _called(self, agent: str, tool: str, **arguments: str) -> FunctionCall:
        """Ids come again and again."""
        call = FunctionCall(f"call_{self._pick(2)}", json.dumps(arguments, ensure_ascii=False), tool)
        beside = self._mark() if self._pick(2) else ""
        if agent in TAPPED:
            self._catch_up(len(self._late))  # as a model is asked only when what went before is known
            await self._run.tapped(agent, *filter(None, [beside]), calls=[call])
        if beside:
            self._tell(autogen.ThoughtEvent(content=beside, source=agent))
        self._tell(autogen.ToolCallRequestEvent(content=[call], source=agent))
        return call

    def _answered(self, agent: str, call: FunctionCall, content: str) -> FunctionExecutionResult:
        result = FunctionExecutionResult(content=content, name=call.name, call_id=call.id, is_error=bool(self._pick(2)))
        self._tell(autogen.ToolCallExecutionEvent(content=[result], source=agent))
        self._catch_up(len(self._late))
        return result

    async def _tool(self, agent: str, *_: str) -> Sequence[BaseChatMessage]:
        call = await self._called(agent, "look", word=self._mark())
        result = self._answered(agent, call, f"{self._mark()}\nand more")
        said = autogen.ToolCallSummaryMessage(content=result.content, source=agent, tool_calls=[call], results=[result])
        self._tell(said)
        return [said]

    async def _agents_in_tool(self, agent: str, *outer: str) -> Sequence[BaseChatMessage]:
        task = self._mark()
        call = await self._called(agent, "helpers", task=task)
        self._tell(autogen.TextMessage(content=task, source="user"))
        said = [message for _ in range(1 + self._pick(2)) for message in await self._turn(*outer, agent)]
        parts = [f"{message.source}: {message.to_model_text()}" for message in said]
        self._answered(agent, call, said[-1].to_model_text() if self._pick(2) else "\n\n".join(parts))
        return await self._words(agent)

    async def _handoff(self, agent: str, *_: str) -> Sequence[BaseChatMessage]:
        call = await self._called(agent, "transfer_to_user")
        text = f"{self._mark()}\nand more" if self._pick(2) else _STANDARD.format("user")
        self._answered(agent, call, text)
        said = autogen.HandoffMessage(content=text, target="user", source=agent)
        self._tell(said)
        return [said]

    async def _code(self, agent: str, *_: str) -> Sequence[BaseChatMessage]:
        code = f"print('{self._mark()}')\n"
        text = f"So:\n```python\n{code}```\n"
        if agent in TAPPED:
            await self._run.tapped(agent, *re.split(r"(?<=\n)", text))
        block, result = (
            CodeBlock(code=code, language="python"),
            CodeResult(exit_code=self._pick(2), output=self._mark()),
        )
        self._tell(
            autogen.CodeGenerationEvent(retry_attempt=0, content=text, code_blocks=[block], source=agent),
            autogen.CodeExecutionEvent(retry_attempt=0, result=result, source=agent),
            autogen.CodeGenerationEvent(retry_attempt=0, content=self._mark(), code_blocks=[], source=agent),
        )
        return await self._words(agent)

    async def _others(self, agent: str, *_: str) -> Sequence[BaseChatMessage]:
        memory = MemoryContent(content=f"{self._mark()}\nand more", mime_type=MemoryMimeType.TEXT)
        self._tell(
            autogen.MemoryQueryEvent(content=[memory], source=agent),
            OwnEvent(content=self._mark(), source=agent),
            autogen.SelectSpeakerEvent(content=["the selector's words"], source="Manager"),
            autogen.SelectorEvent(content="the selector's words", source="Manager"),
            autogen.ModelClientStreamingChunkEvent(content="the selector's words", source="Manager"),
        )
        said: list[BaseChatMessage] = [
            StructuredMessage[Weather](content=Weather(city=self._mark()), source=agent),
            StructuredMessage[Weather](content=Weather(city=self._mark()), source=agent, format_string="in {city}"),
            autogen.MultiModalMessage(content=[self._mark(), _PICTURE], source=agent),
            autogen.TextMessage(content=self._mark(), source=RUNNER),
            autogen.StopMessage(content=self._mark(), source=agent),
            Own(content=self._mark(), source=agent),
        ]
        self._tell(*said)
        return said


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_whatever_a_team_does(data: st.DataObject) -> None:
    run = listening(*TAPPED, *OTHERS, RUNNER, code_runners=[RUNNER])
    team = Team(data.draw, run)
    asyncio.run(team.play())
    for page in (None, Page()):
        assert Counter(_MARK.findall(_shown(run.told, page))) == Counter(team.marks)
        assert set(_MARK.findall(_shown(run.told, page, "reasoning"))) == set(team.marks)
    assert "selector" not in _shown(run.told, None)
    tell_answer(run.recorder, TeamEnding())
    answer = _MARK.findall(_shown(run.told, None, "answer"))
    assert set(answer) <= set(team.marks)
    assert len(answer) == len(set(answer)), "the answer is given once"


def _shown(told: Sequence[Event], page: Page | None, presentation: Presentation = "transcript") -> str:
    presenter = new_presenter(presentation, page)
    pieces = [shown for event in told for shown in presenter.show(event)]
    for piece in pieces:
        assert piece.text.count("<details>") == piece.text.count("</details>") == int(piece.is_block)
    return "".join(piece.text for piece in pieces)
