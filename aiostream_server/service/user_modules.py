"""Finds the user's own Python modules, and imports them again when they have changed.

The user's own are modules that were imported after the server and are no installed packages: beside the configuration,
on PYTHONPATH, or of an editable project. Files of a `[[team_folders]]` are watched in the same way, but have their own
loader.

If one of them has changed, all of them are removed from `sys.modules` and imported again, so that one generation of
teams never mixes two versions of a class. Running teams keep the objects that they have; an `import` statement that
they reach later gets the new module. If the new version has a mistake, the old modules are put back.
"""

import importlib
import importlib.util
import site
import sys
import sysconfig
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib.abc import MetaPathFinder
from importlib.machinery import PathFinder, SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Final

from aiostream_server.errors import ConfigError
from aiostream_server.service.file_watch import Snapshots, Stamp, stamp_of
from aiostream_server.unreadable import why_unreadable

_CLOCK_NS: Final = 20_000_000  # file systems' clocks are behind by up to this


@dataclass(frozen=True, slots=True)
class RemovedModules:
    """What was removed from `sys.modules`, because the `changed` files are among the modules."""

    changed: Sequence[Path]
    modules: Mapping[str, ModuleType]
    since_ns: int


class UserModules:
    """Create it after the server's own modules are loaded, and before any of the user's."""

    def __init__(self) -> None:
        self._before: Final = frozenset(sys.modules)
        self._stamps: dict[Path, Stamp | None] = {}
        self.missed: Snapshots = {}
        """The files that the last attempt looked for, if it failed, as they were then."""
        self._recorder: Final = _ImportRecorder()
        self._began_ns = time.time_ns()

    def files(self) -> frozenset[Path]:
        """The files that are loaded, and those that the last failed attempt looked for."""
        return frozenset(file for _, file, _ in self._loaded()) | self.missed.keys()

    def note(self) -> None:
        """Note the state of the loaded files, which are served now. Reads the file system."""
        self.missed = {}
        self._stamps = {file: _if_older(stamp_of(file), self._began_ns) for _, file, _ in self._loaded()}

    def remove_changed(self) -> RemovedModules:
        """Remove all modules if the file of one has changed, so that the next import loads the new version.

        `keep` or `put_back` must follow. Raises `ConfigError`, and removes nothing, if a file does not compile. Reads
        files.
        """
        began_ns = time.time_ns()
        loaded = [(name, file, module) for name, file, module in self._loaded() if _loads_again(module)]
        changed = sorted({file for _, file, _ in loaded if self._has_changed(file)})
        self._recorder.begin()
        if not changed:
            return RemovedModules((), {}, began_ns)
        if problems := [problem for file in changed if (problem := _compiling_problem(file))]:
            raise ConfigError(problems)
        for file in changed:
            _forget_bytecode(file)
        modules = {name: module for name, _, module in loaded}
        _remove(modules)
        importlib.invalidate_caches()
        return RemovedModules(changed, modules, began_ns)

    def keep(self, removed: RemovedModules) -> None:
        """Keep the new modules. Reads the file system."""
        self._recorder.end()
        self._began_ns = removed.since_ns
        self.note()

    def put_back(self, removed: RemovedModules) -> None:
        """Put the old modules back, since the new ones have a mistake."""
        searched = self._recorder.end()
        self.missed = {file: stamp_of(file) for each in searched for file in each.files()}
        if removed.modules:
            _remove({name: module for name, _, module in self._loaded() if _loads_again(module)})
            for name, module in removed.modules.items():
                sys.modules[name] = module
                parent, _, child = name.rpartition(".")
                if parent in sys.modules:
                    setattr(sys.modules[parent], child, module)

    def _loaded(self) -> Iterator[tuple[str, Path, ModuleType]]:
        for name, module in list(sys.modules.items()):
            if name not in self._before and (file := _own_file(module)) is not None:
                yield name, file, module

    def _has_changed(self, file: Path) -> bool:
        return file not in self._stamps or self._stamps[file] is None or self._stamps[file] != stamp_of(file)


@dataclass(frozen=True, slots=True)
class _Search:
    """An import of a module that was not in `sys.modules`."""

    name: str
    folders: tuple[str, ...] | None

    def files(self) -> Iterator[Path]:
        """The file of the module, or the files that it could be in."""
        folders = sys.path if self.folders is None else self.folders
        with suppress(ImportError, ValueError):
            spec = PathFinder.find_spec(self.name, None if self.folders is None else list(self.folders))
            if spec is not None:
                folders = ()
                if spec.origin is not None and is_own(spec.origin):
                    yield Path(spec.origin)
        for folder in folders:
            at = Path(folder or ".", self.name.rpartition(".")[2]).absolute()
            if is_own(str(at)):
                yield from (at.with_name(f"{at.name}.py"), at / "__init__.py")


class _ImportRecorder(MetaPathFinder):
    """Finds nothing: it records which modules are looked for between `begin` and `end`."""

    def __init__(self) -> None:
        self._searches: dict[_Search, None] = {}

    def begin(self) -> None:
        self._searches = {}
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)

    def end(self) -> Collection[_Search]:
        with suppress(ValueError):
            sys.meta_path.remove(self)
        return self._searches.keys()

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        self._searches[_Search(fullname, None if path is None else tuple(path))] = None


def is_own(file: str) -> bool:
    """Whether the file belongs neither to Python, nor to an installed package, nor to this server."""
    return not file.startswith(_installed()) and "site-packages" not in file and "dist-packages" not in file


@cache
def _installed() -> tuple[str, ...]:
    paths = sysconfig.get_paths()
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    found = {*(paths[name] for name in names), *site.getsitepackages(), str(Path(__file__).parents[1])}
    return tuple(f"{folder}/" for folder in found)


def _own_file(module: object) -> Path | None:
    file = getattr(module, "__file__", None)
    return Path(file) if isinstance(file, str) and file.endswith(".py") and is_own(file) else None


def _loads_again(module: ModuleType) -> bool:
    """Whether an import loads it again: modules of a `[[team_folders]]` have a loader of their own."""
    return type(getattr(module.__spec__, "loader", None)) is SourceFileLoader


def _remove(modules: Mapping[str, ModuleType]) -> None:
    for name, module in modules.items():
        sys.modules.pop(name, None)
        parent, _, child = name.rpartition(".")
        if parent in sys.modules and getattr(sys.modules[parent], child, None) is module:
            delattr(sys.modules[parent], child)  # `from parent import child` would still find the old module


def _if_older(stamp: Stamp | None, than_ns: int) -> Stamp | None:
    """None, which counts as changed, for a file that may have been written after it was loaded."""
    return stamp if stamp is not None and stamp.changed_ns < than_ns - _CLOCK_NS else None


def _compiling_problem(file: Path) -> str | None:
    try:
        compile(file.read_bytes(), file, "exec", dont_inherit=True)
    except FileNotFoundError:
        return None  # an import of it will fail, and name it
    except OSError as exc:
        return f"{file}: cannot be read: {why_unreadable(exc)}"
    except (SyntaxError, ValueError) as exc:
        line = getattr(exc, "lineno", None)
        place = f"{file}:{line}" if line else str(file)
        return f"{place}: {type(exc).__name__}: {getattr(exc, 'msg', exc)}"
    return None


def _forget_bytecode(file: Path) -> None:
    """Python would use the old bytecode for a file of the same length, saved in the same second."""
    with suppress(OSError, NotImplementedError):
        Path(importlib.util.cache_from_source(str(file))).unlink()
