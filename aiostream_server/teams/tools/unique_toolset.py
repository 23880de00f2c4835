"""The workbenches of one agent as one, so that every tool has a name that no other tool or handoff of the agent has.

AutoGen offers all of them to the model, and calls the first one with the name: two servers with a tool `search`, or a
tool with the name of a handoff, would be refused by strict providers, and others would call the wrong one. The first
keeps its name; the names of later ones end with a hash of their place.
"""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, Final

from autogen_core import CancellationToken
from autogen_core.tools import StaticStreamWorkbench, TextResultContent, ToolResult, ToolSchema, Workbench

from aiostream_server.teams.autogen_private.structure import (
    handoff_names,
    replace_workbenches,
    tools_in,
    workbenches_of,
)
from aiostream_server.teams.stateless_workbench import StatelessWorkbench

_MAX_CHARS: Final = 64
_HASH_CHARS: Final = 8


class UniqueToolset(StatelessWorkbench):
    """Names in `taken` belong to others. Supports concurrent calls."""

    def __init__(self, workbenches: Sequence[Workbench], taken: frozenset[str]) -> None:
        self._inner: Final = tuple(workbenches)
        self._taken: Final = taken
        self._tools: Final = [tool for inner in workbenches for tool in tools_in(inner) or ()]  # as AutoGen's have
        self._places: dict[str, tuple[Workbench, str]] = {}  # the name for the model -> its workbench, and its own name

    async def list_tools(self) -> list[ToolSchema]:
        listed: list[ToolSchema] = []
        places: dict[str, tuple[Workbench, str]] = {}
        for number, inner in enumerate(self._inner):
            for tool in await inner.list_tools():
                name = self._unique(tool["name"], str(getattr(inner, "name", number)), places)
                places[name] = inner, tool["name"]
                listed.append(tool if name == tool["name"] else {**tool, "name": name})
        self._places = places
        return listed

    def renamed(self) -> Mapping[str, str]:
        """The tools that were listed under another name than their own, by that."""
        return {name: own for name, (_, own) in self._places.items() if name != own}

    async def call_tool(
        self,
        name: str,
        arguments: Mapping[str, Any] | None = None,
        cancellation_token: CancellationToken | None = None,
        call_id: str | None = None,
    ) -> ToolResult:
        if name not in self._places:
            await self.list_tools()
        if (place := self._places.get(name)) is None:
            return ToolResult(
                name=name, result=[TextResultContent(content=f"there is no tool {name!r}")], is_error=True
            )
        inner, own = place
        result = await inner.call_tool(own, arguments, cancellation_token, call_id)
        return result if own == name else result.model_copy(update={"name": name})

    async def start(self) -> None:
        for inner in self._inner:
            await inner.start()

    async def stop(self) -> None:
        for inner in self._inner:
            await inner.stop()

    async def reset(self) -> None:
        for inner in self._inner:
            await inner.reset()

    def _unique(self, name: str, place: str, used: Mapping[str, object]) -> str:
        candidate, salt = name, f"{place}/{name}"
        while candidate in self._taken or candidate in used:
            digest = sha256(salt.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_CHARS]
            candidate = f"{name[: _MAX_CHARS - _HASH_CHARS - 1]}_{digest}"
            salt += "+"
        return candidate


def make_names_unique(agent: object) -> None:
    """Replace the agent's workbenches by a `UniqueToolset` where their tools might share a name.

    Workbenches that stream the messages of agents in tools stay: AutoGen looks at their class.
    """
    handoffs = handoff_names(agent)
    if len(workbenches_of(agent)) <= 1 and not handoffs:
        return  # the tools of one workbench have names of their own
    workbenches = [bench for bench in workbenches_of(agent) if isinstance(bench, Workbench)]
    streaming = [bench for bench in workbenches if isinstance(bench, StaticStreamWorkbench)]
    others = [bench for bench in workbenches if not isinstance(bench, StaticStreamWorkbench)]
    names = [*_names(workbenches), *handoffs]
    all_known = all(tools_in(bench) is not None for bench in workbenches)
    is_alone = len(workbenches) == 1 and not handoffs
    if others and not is_alone and not (all_known and len({*names}) == len(names)):
        taken = frozenset({*handoffs, *_names(streaming)})
        replace_workbenches(agent, [*streaming, UniqueToolset(others, taken)])


def _names(workbenches: Sequence[Workbench]) -> Sequence[str]:
    return [str(getattr(tool, "name", "")) for bench in workbenches for tool in tools_in(bench) or ()]
