"""The user's own Python modules: which they are, and how they are imported anew when they have changed.

Own is what was imported after the server itself and lies where no packages are installed: modules beside the
configuration, on PYTHONPATH, of a project that is installed as editable. The files of a `[[team_folders]]` are watched
like these, but load themselves.

When one of them has changed, all of them are taken out of `sys.modules` and imported anew: which of them uses which is
not asked, so there are never two versions of a class in one generation of teams. What was made before goes on with the
objects that it has; only an `import` that its code comes to later gets the new module. Where the new version does not
check out, the old modules are put back.
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
from aiostream_server.service.stamps import Seen, Stamp, stamp_of

_CLOCK_NS: Final = 20_000_000  # a file system's clock is behind by up to so much


@dataclass(frozen=True, slots=True)
class Dropped:
    """What was taken out of `sys.modules`, since `changed` files are among them."""

    changed: Sequence[Path]
    modules: Mapping[str, ModuleType]
    since_ns: int


class OwnModules:
    """To be made when the server's own modules are loaded, and before any of the user's."""

    def __init__(self) -> None:
        self._before: Final = frozenset(sys.modules)
        self._stamps: dict[Path, Stamp | None] = {}
        self.missed: Mapping[Path, Seen] = {}
        """Where the last attempt, if it failed, looked for modules, and how it was there."""
        self._asked: Final = _Asked()
        self._began_ns = time.time_ns()
        self._known: tuple[int, frozenset[Path]] = (0, frozenset())

    def files(self) -> frozenset[Path]:
        """Those that are loaded, and those that the last attempt looked for or failed at."""
        if self._known[0] != len(sys.modules):
            self._known = len(sys.modules), frozenset(file for _, file, _ in self._loaded())
        return self._known[1] | self.missed.keys()

    def note(self) -> None:
        """What is loaded now is what is served. Reads files' stamps."""
        self.missed, self._known = {}, (0, frozenset())
        self._stamps = {file: _if_older(stamp_of(file), self._began_ns) for _, file, _ in self._loaded()}

    def drop_changed(self) -> Dropped:
        """Take all of them out, if one has changed since it was loaded, so that whoever imports them gets the new.

        `note` or `put_back` is to follow. Raises `ConfigError`, and nothing is taken out, for files that do not even
        compile. Reads files.
        """
        began_ns = time.time_ns()
        loaded = [(name, file, module) for name, file, module in self._loaded() if _loads_again(module)]
        changed = sorted({file for _, file, _ in loaded if self._has_changed(file)})
        self._asked.begin()
        if not changed:
            return Dropped((), {}, began_ns)
        if problems := [problem for file in changed if (problem := _compiling_problem(file))]:
            raise ConfigError(problems)
        for file in changed:
            _forget_bytecode(file)
        modules = {name: module for name, _, module in loaded}
        _take_out(modules)
        importlib.invalidate_caches()
        return Dropped(changed, modules, began_ns)

    def keep(self, dropped: Dropped) -> None:
        """The new ones are good. Reads files' stamps."""
        self._asked.end()
        self._began_ns = dropped.since_ns
        self.note()

    def put_back(self, dropped: Dropped) -> None:
        """The new ones are not."""
        asked = self._asked.end()
        self.missed = {file: stamp_of(file) for each in asked for file in each.files()}
        if dropped.modules:
            _take_out({name: module for name, _, module in self._loaded() if _loads_again(module)})
            for name, module in dropped.modules.items():
                sys.modules[name] = module
                parent, _, child = name.rpartition(".")
                if parent in sys.modules:
                    setattr(sys.modules[parent], child, module)
        self._known = (0, frozenset())

    def _loaded(self) -> Iterator[tuple[str, Path, ModuleType]]:
        for name, module in list(sys.modules.items()):
            if name not in self._before and (file := _own_file(module)) is not None:
                yield name, file, module

    def _has_changed(self, file: Path) -> bool:
        return file not in self._stamps or self._stamps[file] is None or self._stamps[file] != stamp_of(file)


@dataclass(frozen=True, slots=True)
class _Search:
    """An import that was not answered from `sys.modules`."""

    name: str
    folders: tuple[str, ...] | None

    def files(self) -> Iterator[Path]:
        """Where it is, or where it would be."""
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


class _Asked(MetaPathFinder):
    """Finds nothing: it only hears what is looked for between `begin` and `end`."""

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
    """Whether that is none of Python's folders, of installed packages, or of this one."""
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
    """Not what a loader of its own kind has loaded, such as that of a `[[team_folders]]`."""
    return type(getattr(module.__spec__, "loader", None)) is SourceFileLoader


def _take_out(modules: Mapping[str, ModuleType]) -> None:
    for name, module in modules.items():
        sys.modules.pop(name, None)
        parent, _, child = name.rpartition(".")
        if parent in sys.modules and getattr(sys.modules[parent], child, None) is module:
            delattr(sys.modules[parent], child)  # else `from parent import child` would go on finding it


def _if_older(stamp: Stamp | None, than_ns: int) -> Stamp | None:
    """None, which counts as changed, for a file that may have been written after it was read."""
    return stamp if stamp is not None and stamp.changed_ns < than_ns - _CLOCK_NS else None


def _compiling_problem(file: Path) -> str | None:
    try:
        compile(file.read_bytes(), file, "exec", dont_inherit=True)
    except FileNotFoundError:
        return None  # whoever still imports it will say so
    except OSError as exc:
        return f"{file}: cannot be read: {(exc.strerror or 'unreadable').lower()}"
    except (SyntaxError, ValueError) as exc:
        line = getattr(exc, "lineno", None)
        place = f"{file}:{line}" if line else str(file)
        return f"{place}: {type(exc).__name__}: {getattr(exc, 'msg', exc)}"
    return None


def _forget_bytecode(file: Path) -> None:
    """Python takes it for the file's if that has the same length and was saved in the same second."""
    with suppress(OSError, NotImplementedError):
        Path(importlib.util.cache_from_source(str(file))).unlink()
