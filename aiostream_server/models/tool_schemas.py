"""Tools with schemas that strict providers take, each repaired once: `schema_repair` says how."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final, cast

import msgspec
import structlog
from autogen_core.tools import ParametersSchema, ToolSchema

from aiostream_server.models.schema_repair import RepairedSchema, repaired

_MAX_CACHED_BYTES: Final = 64 * 1024
_MAX_CACHED_OF_CLIENTS: Final = 4 * 1024  # anybody's: a cache of these must stay small
_log: Final = structlog.get_logger()


def acceptable(tool: ToolSchema) -> ToolSchema:
    """The tool with a repaired schema. One that is `strict` stays: its maker wrote it for OpenAI's strict dialect."""
    if tool.get("strict") or "parameters" not in tool or isinstance(tool, _Accepted):
        return tool
    given = tool["parameters"]
    try:
        encoded = msgspec.json.encode(given)
    except (TypeError, ValueError, RecursionError):  # not JSON, or a schema that holds itself
        return _with(tool, repaired(given))
    return _with(tool, _repaired_once(tool["name"], encoded) if len(encoded) <= _MAX_CACHED_BYTES else repaired(given))


def accepted_of_client(tools: Sequence[ToolSchema]) -> list[ToolSchema]:
    """The same for tools that a request brings. A kibibyte of schema takes about half a millisecond the first time."""
    made = [tool if tool.get("strict") else _with(tool, _of_client(tool["parameters"])) for tool in tools]
    return [cast("ToolSchema", _Accepted(tool)) for tool in made]


class _Accepted(dict[str, Any]):
    """A tool that need not be looked at again."""


def _of_client(parameters: ParametersSchema) -> RepairedSchema:
    encoded = msgspec.json.encode(parameters)
    return _repaired_of_client(encoded) if len(encoded) <= _MAX_CACHED_OF_CLIENTS else repaired(parameters)


@lru_cache(maxsize=1024)
def _repaired_of_client(encoded: bytes) -> RepairedSchema:
    return repaired(msgspec.json.decode(encoded))


def schema_notes(tool: ToolSchema) -> list[str]:
    """A line for each thing in the tool's schema that cannot be repaired: a provider may refuse it."""
    problems = () if tool.get("strict") else repaired(tool.get("parameters")).problems
    return [f"the schema of {tool['name']} cannot be repaired: {problem}" for problem in problems]


@lru_cache(maxsize=1024)
def _repaired_once(name: str, encoded: bytes) -> RepairedSchema:
    made = repaired(msgspec.json.decode(encoded))
    for line in made.repairs:
        _log.debug("tool_schema_repaired", tool=name, repair=line)
    for line in made.problems:
        _log.debug("tool_schema_not_repaired", tool=name, problem=line)
    return made


def _with(tool: ToolSchema, made: RepairedSchema) -> ToolSchema:
    if made.schema == tool.get("parameters"):
        return tool
    return {**tool, "parameters": cast(ParametersSchema, made.schema)}
