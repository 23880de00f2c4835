"""Calls with the MCP project's own client for Python, as one of the newest version and as one with sessions."""

import asyncio
from functools import partial
from typing import Any

from mcp import Client  # type: ignore[attr-defined] # of mcp 2; the server's own is 1
from mcp.types import ElicitResult

from tests.clients.programs.telling import BASE_URL, MODEL, Scenario, question, tell


async def _elicited(mode: Any) -> dict[str, Any]:
    """The user answers; of the version with sessions the calling model would have to."""

    async def answer(_: Any, params: Any) -> ElicitResult:
        return ElicitResult(action="accept", content={"reply": "APPROVE"})

    async with Client(f"{BASE_URL}/mcp", mode=mode, elicitation_callback=answer) as opened:
        done = (await opened.call_tool("until-approved", {"question": question("words")})).structured_content or {}
        return {"mode": mode, "waits": done["waits_for_reply"]}


def _scenarios(mode: Any) -> dict[str, Scenario]:
    def client() -> Client:
        return Client(f"{BASE_URL}/mcp", mode=mode)

    async def listed() -> dict[str, Any]:
        async with client() as opened:
            tools = (await opened.list_tools()).tools
            return {"version": opened.protocol_version, "tools": [tool.name for tool in tools]}

    async def called() -> dict[str, Any]:
        progress: list[float] = []

        async def note(done: float, total: float | None, message: str | None) -> None:
            progress.append(done)

        async with client() as opened:
            result = await opened.call_tool(MODEL, {"question": question("words")}, progress_callback=note)
            told = result.structured_content or {}
            return {
                "text": told.get("answer"),
                "error": result.is_error,
                "rises": progress == sorted(set(progress)) != [],
            }

    async def reply() -> dict[str, Any]:
        async with client() as opened:
            asked = (await opened.call_tool("until-approved", {"question": question("words")})).structured_content or {}
            approved = {"question": "APPROVE", "conversation": asked["conversation"]}
            done = (await opened.call_tool("until-approved", approved)).structured_content or {}
            return {"waits": [asked["waits_for_reply"], done["waits_for_reply"]]}

    async def cancel() -> dict[str, Any]:
        """The test sees that the provider's connection closes."""
        async with client() as opened:
            began = asyncio.Event()

            async def note(done: float, total: float | None, message: str | None) -> None:
                began.set()

            stalled = {"question": question(f"stall_{mode}")}
            calling = asyncio.create_task(opened.call_tool(MODEL, stalled, progress_callback=note))
            await began.wait()
            await asyncio.sleep(0.5)  # until the model was asked
            calling.cancel()
            await asyncio.gather(calling, return_exceptions=True)
            return {"again": (await opened.call_tool(MODEL, {"question": question("words")})).is_error}

    async def failing() -> dict[str, Any]:
        async with client() as opened:
            return {"error": (await opened.call_tool(MODEL, {"question": question("broken")})).is_error}

    async def unknown() -> dict[str, Any]:
        async with client() as opened:
            await opened.call_tool("nobody", {})
            return {}

    named: dict[str, Scenario] = {
        "listed": listed,
        "called": called,
        "reply": reply,
        "elicited": partial(_elicited, mode),
        "cancel": cancel,
        "failing": failing,
        "unknown": unknown,
    }
    return {f"{name} {mode}": scenario for name, scenario in named.items()}


tell({**_scenarios("auto"), **_scenarios("legacy")})
