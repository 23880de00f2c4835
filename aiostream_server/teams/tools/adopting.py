"""What a team brings along that must be opened and closed: MCP workbenches and code executors, as component JSON has
them. AutoGen opens such a workbench when it is first asked, and closes it when nobody holds it any more.

Reads AutoGen's private attributes (autogen-ext 0.7.5).
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from autogen_core.code_executor import CodeExecutor
from autogen_core.tools import Workbench

from aiostream_server.errors import ToolFailed
from aiostream_server.teams.inside import everything_in
from aiostream_server.teams.tools.scope import RunScope

if TYPE_CHECKING:
    from autogen_ext.tools.mcp import McpWorkbench

_MCP = "autogen_ext.tools.mcp"
_LEAST_SECRET_CHARS = 6


async def adopt(team: object, scope: RunScope) -> None:
    """Have all of it closed with the run. Raises `ToolFailed` for a code executor that cannot be started.

    An `McpWorkbench` that nobody has started is replaced by one of ours; one that was is left to whoever did so, who
    may use it for other runs, too.
    """
    ours: dict[int, Workbench] = {}
    for thing in everything_in(team):
        workbenches = getattr(thing, "_workbench", None)
        if not isinstance(workbenches, Sequence):
            continue
        if any(map(_is_ours_to_open, workbenches)):
            for workbench in filter(_is_ours_to_open, workbenches):
                if id(workbench) not in ours:
                    ours[id(workbench)] = _replacement(workbench, scope)
            vars(thing)["_workbench"] = [ours.get(id(workbench), workbench) for workbench in workbenches]
    for executor in _executors_in(team):
        if _is_not_started(executor):
            scope.on_close(executor.stop)
            await _start(executor)


def _is_ours_to_open(workbench: object) -> bool:
    loaded = sys.modules.get(_MCP)  # where it is not, there are none
    is_autogens = loaded is not None and type(workbench) is loaded.McpWorkbench
    return is_autogens and getattr(workbench, "_actor", None) is None


def _replacement(workbench: "McpWorkbench", scope: RunScope) -> Workbench:
    from aiostream_server.teams.tools.mcp.connection import Terms
    from aiostream_server.teams.tools.mcp.server import McpServer
    from aiostream_server.teams.tools.mcp.transport import Program, Service
    from aiostream_server.teams.tools.mcp.workbench import McpTools

    params: Any = workbench.server_params
    place: Program | Service
    if params.type == "StdioServerParams":
        secret = dict[str, str](params.env or {})
        place = Program(params.command, params.args, secret, Path(params.cwd or "."))
        name, call_timeout_s = Path(params.command).name, params.read_timeout_seconds
    else:
        call_timeout_s = params.sse_read_timeout
        secret = {key: str(value) for key, value in (params.headers or {}).items()}
        place = Service(params.url, params.type == "SseServerParams", secret, call_timeout_s)
        name = urlsplit(params.url).hostname or "mcp"
    model_client: Any = workbench._model_client  # noqa: SLF001 - nothing public tells it
    server = McpServer(
        Terms(
            name=name,
            place=place,
            call_timeout_s=call_timeout_s,
            settings="the team's own McpWorkbench",
            secrets=tuple(_secrets_of(secret.values())),
            sampling=None if model_client is None else _Sampling(model_client).answer,
        )
    )
    scope.on_close(server.close)
    return McpTools(server, overrides=workbench._tool_overrides)  # noqa: SLF001 - likewise


def _secrets_of(values: Iterable[str]) -> Iterator[str]:
    """Nobody says which of them are secret; but a short one stands in any text. Of `Bearer TOKEN` the token as well."""
    for value in values:
        yield from {each for each in (value, value.rpartition(" ")[2]) if len(each) >= _LEAST_SECRET_CHARS}


class _Sampling:
    """AutoGen's own answer to a server that asks for a model's words, without the rest of its client."""

    def __init__(self, model_client: object) -> None:
        self._model_client = model_client

    async def answer(self, context: Any, params: Any) -> Any:  # as MCP calls it
        from autogen_ext.tools.mcp import McpSessionActor

        return await McpSessionActor._sampling_callback(self, context, params)  # type: ignore[arg-type]  # noqa: SLF001


def _executors_in(team: object) -> Iterator[CodeExecutor]:
    found: dict[int, CodeExecutor] = {}
    for thing in everything_in(team):
        candidates = [getattr(thing, "_code_executor", None)]
        workbenches = getattr(thing, "_workbench", None)
        for workbench in workbenches if isinstance(workbenches, Sequence) else ():
            candidates += [getattr(tool, "_executor", None) for tool in getattr(workbench, "_tools", ())]
        found |= {id(candidate): candidate for candidate in candidates if isinstance(candidate, CodeExecutor)}
    return iter(found.values())


def _is_not_started(executor: CodeExecutor) -> bool:
    state = vars(executor)
    return state.get("_running", state.get("_started")) is False


async def _start(executor: CodeExecutor) -> None:
    try:
        await executor.start()
    except Exception as exc:  # whatever the docker library raises
        reason = " ".join(str(exc).split())[:200]
        raise ToolFailed(f"the code executor {type(executor).__name__} cannot be started: {reason}") from exc
