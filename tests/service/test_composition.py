"""Only the composition root chooses implementations: everything else is given the protocols."""

import ast
from pathlib import Path
from typing import Final

from aiohttp import web

from aiostream_server.config.model import Config, DemoModelConfig
from aiostream_server.log.memory import MemoryLog
from aiostream_server.service.composition import GENERATIONS, compose
from aiostream_server.web.state import STATE
from tests.kit.modules import PACKAGE, modules
from tests.kit.runs import directory_of

NAMES: Final = frozenset(
    {"MemoryLog", "MemoryReader", "MemoryDirectory", "MemoryAdmission", "MemoryTurns", "MemoryStarts"}
)


def _imports(tree: ast.Module) -> set[str]:
    nodes = (node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom))
    return {alias.name for node in nodes for alias in node.names}


def test_only_the_composition_root_names_implementations() -> None:
    """Two others make a `MemoryLog` that no run writes: an auxiliary answer, and an empty log that frees a full one."""
    importers = {file.relative_to(PACKAGE).as_posix() for file, tree in modules().items() if _imports(tree) & NAMES}
    importers = {path for path in importers if not path.startswith(("log/redis/", "runs/shared/"))}  # made of them
    assert importers == {"service/composition.py", "runs/log_writer.py", "web/asking.py"}


def test_shared_runs_are_imported_only_where_they_are_configured() -> None:
    """Redis' client takes time and memory: the modules that use it are imported by each other, and by one function."""
    shared = tuple(f"aiostream_server.{each}" for each in ("log.redis", "runs.shared"))
    at_the_top = {
        file.relative_to(PACKAGE).as_posix()
        for file, tree in modules().items()
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith(shared)
    }
    assert at_the_top
    assert {path for path in at_the_top if not path.startswith(("log/redis/", "runs/shared/"))} == set()


async def test_an_app_opens_its_state_at_startup_and_closes_it_at_cleanup(tmp_path: Path) -> None:
    app = compose(Config(models={"default": DemoModelConfig(provider="demo")}), state_directory=tmp_path)
    assert STATE not in app
    runner = web.AppRunner(app)
    await runner.setup()
    state = app[STATE].state
    assert app[GENERATIONS].current.state is state
    assert directory_of(state.registry) is not None
    assert state.registry._new_log is MemoryLog
    assert state.resources.references._count == 0
    await runner.cleanup()
    assert state.registry.is_closing
