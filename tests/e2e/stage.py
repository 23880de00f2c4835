"""What every step has at hand."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.page import ChatPage, Look
from tests.e2e.programs import Programs, Server
from tests.kit.scripted_provider import ScriptedProvider


@dataclass(slots=True)
class Stage:
    """`version` is Open WebUI's. `turns` counts the questions for a team, so every step asks through this class."""

    version: tuple[int, ...]
    programs: Programs
    server: Server
    provider: ScriptedProvider
    chat: ChatPage
    turns: int = 0

    @property
    def output(self) -> Path:
        return self.programs.output

    async def ask(self, question: str) -> list[Look]:
        """Ask in the open conversation, and look at the answer until it is complete."""
        return [look async for look in self.asking(question)]

    async def asking(self, question: str) -> AsyncIterator[Look]:
        self.turns += 1
        async for look in self.chat.asking(question):
            yield look

    async def regenerate(self) -> list[Look]:
        self.turns += 1
        return await self.chat.regenerate()

    async def picture(self, name: str, *, spare: int = 40) -> None:
        await self.chat.picture(self.output / f"{name}.png", spare=spare)

    async def answer_picture(self, name: str) -> None:
        """The last answer alone, all of it."""
        await self.chat.answer_picture(self.output / f"{name}.png")
