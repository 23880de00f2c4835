"""The architecture, as a table: which room imports which, and what each takes from outside.

A room imports only rooms with a lower number: never up, never sideways. Beyond the standard library and structlog's
logger it imports only what stands behind its fence. Imports inside functions count, too.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from tests.kit.modules import modules

PACKAGE: Final = "aiostream_server"
ROOT: Final = Path(__file__).parents[1] / PACKAGE
PYDANTIC: Final = frozenset({"pydantic", "pydantic_core"})
AUTOGEN: Final = frozenset({"autogen_core", "autogen_agentchat", "autogen_ext", "PIL"}) | PYDANTIC  # its own types
AIOHTTP: Final = frozenset({"aiohttp", "multidict", "yarl"})  # its own types


class Room(NamedTuple):
    """`fence`: the packages of others that the room may import. `only`: the rooms, where not all lower ones."""

    number: int
    fence: frozenset[str] = frozenset()
    only: frozenset[str] | None = None


ROOMS: Final = {
    "__init__": Room(0),
    "backoff": Room(0),
    "errors": Room(0),
    "text": Room(0),
    "timers": Room(0),
    "unreadable": Room(0),
    "events": Room(0),
    "config": Room(1, PYDANTIC | {"msgspec"}),
    "observe": Room(1),
    "aiohttp_private": Room(1, AIOHTTP),
    "sse": Room(1, AIOHTTP),
    "intake": Room(2, PYDANTIC | {"multidict", "jwt", "msgspec", "jsonschema", "referencing"}),
    "present": Room(2),
    "models": Room(2, AUTOGEN | AIOHTTP | {"msgspec", "xllamacpp"}),
    "tools": Room(2, frozenset({"msgspec", "sqlglot", "sqlalchemy", "asyncpg", "matplotlib", "numpy"})),
    "log": Room(2, frozenset({"redis", "msgspec"})),
    "page": Room(2),
    "store": Room(2, frozenset({"sqlalchemy", "alembic", "asyncpg"})),
    "client": Room(2, AIOHTTP, only=frozenset({"backoff", "events"})),
    "teams": Room(3, AUTOGEN | {"mcp", "anyio", "httpx", "langchain_core"}),
    "routing": Room(4, AUTOGEN),
    "runs": Room(5, AUTOGEN | {"msgspec"}),
    "protocols": Room(6, PYDANTIC | {"msgspec"}),
    "web": Room(7, AIOHTTP),
    "service": Room(8, AIOHTTP | {"uvloop", "prometheus_client", "opentelemetry"}),
    "cli": Room(9, frozenset({"click", "rich", "uvloop"})),
    "embed": Room(9, AIOHTTP | {"autogen_core"}),
    "__main__": Room(10),
}
CONFIGURES_LOGGING: Final = "service"
READS_ENVIRONMENT: Final = frozenset({"cli", "embed"})


class Import(NamedTuple):
    """One imported module (`from a import b` counts as `a.b`, since `b` may be a module), and where."""

    name: str
    line: int


def room_of(file: Path) -> str:
    return file.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(file: Path, tree: ast.AST) -> Iterator[Import]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: a relative import hides where it points"
            yield from (Import(f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def complaint(room: str, imported: str) -> str | None:
    """Why this room may not import that name; None where it may."""
    here, parts = ROOMS[room], imported.split(".")
    if parts[0] != PACKAGE:
        outside = parts[0] in sys.stdlib_module_names or parts[0] == "structlog" or parts[0] in here.fence
        return None if outside else f"{parts[0]} is behind another room's fence"
    target = parts[1] if len(parts) > 1 else ""
    if target in (room, "__version__"):
        return None
    if target not in ROOMS:
        return f"{target!r} is no room of the design"
    if ROOMS[target].number >= here.number:
        return f"{target} ({ROOMS[target].number}) is not below {room} ({here.number})"
    return None if here.only is None or target in here.only else f"{room} may not import {target}"


def names_used(file: Path, tree: ast.AST) -> Iterator[Import]:
    """Every dotted name of two parts, such as `os.environ`, and every imported one."""
    yield from imports(file, tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield Import(f"{node.value.id}.{node.attr}", node.lineno)


def test_each_module_imports_only_what_is_below_it_and_behind_its_fence() -> None:
    found = (
        (file, at, complaint(room_of(file), at.name)) for file, tree in modules().items() for at in imports(file, tree)
    )
    wrong = [f"{file}:{at.line}: imports {at.name}: {why}" for file, at, why in found if why]
    assert not wrong, "\n".join(wrong)


def test_each_module_leaves_the_process_to_the_rooms_that_own_it() -> None:
    """Only `service` configures structlog; only `cli` and `embed` read the environment, `cli` the arguments."""
    owners = {
        "structlog.configure": {CONFIGURES_LOGGING},
        "os.environ": READS_ENVIRONMENT,
        "os.getenv": READS_ENVIRONMENT,
        "sys.argv": {"cli"},
    }
    wrong = [
        f"{file}:{used.line}: {used.name} belongs to {' and '.join(sorted(owners[used.name]))}"
        for file, tree in modules().items()
        for used in names_used(file, tree)
        if room_of(file) not in owners.get(used.name, {room_of(file)})
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("room", "imported", "allowed"),
    [
        ("runs", "aiostream_server.teams.catalogue.Catalogue", True),
        ("runs", "aiostream_server.web.app", False),
        ("models", "aiostream_server.tools.sql", False),
        ("models", "aiostream_server.models.token_sink", True),
        ("models", "autogen_core.models", True),
        ("present", "aiohttp.web", False),
        ("present", "structlog.get_logger", True),
        ("errors", "aiostream_server.events", False),
        ("client", "aiostream_server.events.Token", True),
        ("client", "aiostream_server.errors", False),
        ("cli", "aiostream_server.client.stream", True),
        ("cli", "aiostream_server.__version__", True),
        ("web", "aiostream_server.helpers", False),
        ("web", "aiostream_server", False),
        ("intake", "json", True),
    ],
)
def test_table_tells_right_from_wrong(room: str, imported: str, allowed: bool) -> None:
    assert (complaint(room, imported) is None) is allowed


def test_every_folder_is_a_room() -> None:
    folders = {entry.name for entry in ROOT.iterdir() if entry.is_dir() and any(entry.glob("*.py"))}
    assert folders <= ROOMS.keys()
