"""Functions and LangChain tools that tests configure as tools."""

import asyncio
import time
from typing import Final

from langchain_core.tools import BaseTool, StructuredTool, tool

STARTED: Final = asyncio.Event()


def convert(amount: float, currency: str = "EUR") -> str:
    """Convert dollars."""
    return f"{amount * 2:g} {currency}"


async def slow() -> str:
    """Take a minute."""
    STARTED.set()
    await asyncio.sleep(60)
    return "late"


def undocumented(amount: float) -> float:
    return amount


def untyped(amount):  # type: ignore[no-untyped-def]  # to be refused
    """Has no type hints."""
    return amount


NUMBER: Final = 5


@tool
def shout(text: str) -> str:
    """Say it louder."""
    time.sleep(0.01)
    return text.upper()


def make_shout() -> BaseTool:
    return shout


async def _whisper(text: str) -> str:
    await asyncio.sleep(0)
    return text.lower()


whisper: Final = StructuredTool.from_function(coroutine=_whisper, name="whisper-it", description="Say it softly.")


class Reverse(BaseTool):
    """A tool as a class."""

    name: str = "reverse"
    description: str = "Turn it around."

    def _run(self, text: str) -> str:
        return text[::-1]
