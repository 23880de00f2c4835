"""A conversation as the server runs it: a new team for every question, and its state as JSON between them."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autogen_agentchat.base import TaskResult
from autogen_agentchat.messages import (
    BaseAgentEvent,
    BaseChatMessage,
    HandoffMessage,
    TextMessage,
    UserInputRequestedEvent,
)
from autogen_core import CancellationToken

from aiostream_server.config.model import DemoModelConfig, OpenAIModelConfig, TeamConfig
from aiostream_server.models.registry import open_models
from aiostream_server.teams.autogen_private.fresh_team import wait_for_people
from aiostream_server.teams.autogen_private.team_facts import participant_names
from aiostream_server.teams.context import TeamContext
from aiostream_server.teams.resume import reply_to
from aiostream_server.tools.sql.shop import build_shop
from tests.tools.opening import opened

Said = BaseAgentEvent | BaseChatMessage


@dataclass(slots=True)
class Talk:
    """`state` is the saved state, `asker` the agent that waits for the user, `reason` why the last run ended."""

    make: Callable[[], Any]
    state: str | None = None
    asker: str | None = None
    reason: str | None = None
    task: Sequence[BaseChatMessage] = ()
    last: Sequence[Said] = field(default_factory=list)

    async def ask(self, question: str | BaseChatMessage) -> Sequence[Said]:
        """The team's messages, without the task."""
        team = self.make()
        wait_for_people(team)
        message = TextMessage(content=question, source="user") if isinstance(question, str) else question
        self.task = [message]
        if self.state is not None:
            await team.load_state(json.loads(self.state))
            self.task = reply_to(team, self.asker, self.task)
        self.asker = self.reason = None
        self.last = [item async for item in self._run(team)]
        if self.reason is not None:  # else the state was kept when the team asked
            self.state = json.dumps(await team.save_state())
        if isinstance(self.last[-1], HandoffMessage) and self.last[-1].target not in participant_names(team):
            self.asker = self.last[-1].source
        return self.last

    async def answer(self, question: str) -> str:
        """The text of the last message."""
        last = (await self.ask(question))[-1]
        assert isinstance(last, TextMessage | HandoffMessage)
        return last.content

    async def _run(self, team: Any) -> AsyncIterator[Said]:
        token = CancellationToken()
        stream = team.run_stream(task=list(self.task), cancellation_token=token, output_task_messages=False)
        try:
            async for item in stream:
                if isinstance(item, TaskResult):
                    self.reason = item.stop_reason or ""
                    continue
                yield item
                if isinstance(item, UserInputRequestedEvent):
                    self.asker, self.state = item.source, json.dumps(await team.save_state())
                    token.cancel()
        except asyncio.CancelledError:
            if not token.is_cancelled():
                raise


@asynccontextmanager
async def data_team(
    directory: Path, *, base_url: str | None = None, settings: Mapping[str, Any] | None = None
) -> AsyncIterator[TeamContext]:
    """The data team's context over the demo shop, with the demo model or a provider's."""
    path = directory / "shop.sqlite3"
    build_shop(path)
    model: Any = (
        DemoModelConfig(provider="demo")
        if base_url is None
        else OpenAIModelConfig(provider="openai", model="scripted", base_url=base_url)
    )
    team = TeamConfig(id="data", factory="aiostream_server.teams.data:build", settings=dict(settings or {}))
    async with opened(f"sqlite:///{path}", "shop") as database, open_models({"default": model}) as models:
        yield TeamContext(team, models, {"shop": database})
