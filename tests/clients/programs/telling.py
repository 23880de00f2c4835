"""What the Python programs share: they run scenarios together, and tell each outcome as a line of JSON on stdout.

A program ends when its stdin is closed, so that a connection which closes before was closed by the scenario.
"""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from importlib import import_module
from typing import Any, Final, TypeAlias

BASE_URL = os.environ["AIOSTREAM_BASE_URL"]
MODEL = os.environ["AIOSTREAM_MODEL"]
MODEL_WITH_TOOLS = os.environ.get("AIOSTREAM_MODEL_WITH_TOOLS", "")
"""Calls tools of the client."""
TOOL_MODEL = os.environ.get("AIOSTREAM_TOOL_MODEL", "")
"""Has a tool of its own."""
FAILURES = os.environ["AIOSTREAM_FAILURES"].split()
RESPONSES: Final = "responses_"
Scenario: TypeAlias = Callable[[], Awaitable[dict[str, Any]]]
_prefix: ContextVar[str] = ContextVar("prefix", default="")
_programs: list[dict[str, Scenario]] = []
_are_together = False


def question(scenario: str) -> str:
    """The provider behind the server looks for the word in angle brackets."""
    return f"Do what <{_prefix.get()}{scenario}> says."


async def _outcome(name: str, scenario: Scenario) -> None:
    if name.startswith(RESPONSES):
        _prefix.set(RESPONSES)
    try:
        outcome = await scenario()
    except Exception as exc:
        outcome = {"raised": type(exc).__name__, "status": getattr(exc, "status_code", None), "said": str(exc)[:500]}
    print(json.dumps({"scenario": name, **outcome}), flush=True)


async def _tell(scenarios: dict[str, Scenario]) -> None:
    await asyncio.gather(*(_outcome(name, scenario) for name, scenario in scenarios.items()))
    print(json.dumps({"scenario": "end"}), flush=True)
    await asyncio.to_thread(sys.stdin.read)


def tell(scenarios: dict[str, Scenario]) -> None:
    if _are_together:
        _programs.append(scenarios)
    else:
        asyncio.run(_tell(scenarios))


def tell_together(asking: str, responding: str) -> None:
    """Two programs in one process, which imports their client once. Those of Responses have a prefix before their
    scenarios' names."""
    global _are_together
    _are_together = True
    for program in (asking, responding):
        import_module(f"tests.clients.programs.{program}")
    asked, responded = _programs
    asyncio.run(_tell(asked | {f"{RESPONSES}{name}": scenario for name, scenario in responded.items()}))
