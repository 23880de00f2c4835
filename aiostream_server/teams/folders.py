"""`[[team_folders]]`: imports every Python file of a folder as teams, anew each time that the folder is loaded.

Each load makes a package with a unique name. So two folders, or a folder and an installed module, do not clash;
relative imports between files work (`from .prompts import GREETING`); and teams that were loaded before a file changed
keep their classes. The loader does not use `__pycache__`, which misses a change within the same second.

The package's modules are in `sys.modules`, where pydantic, dataclasses, pickle and `inspect` look for them, until the
last reference to one of its teams is dropped. Another process cannot import them by their name.
"""

import importlib
import inspect
import sys
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import FileFinder, ModuleSpec, SourceFileLoader
from importlib.util import module_from_spec
from itertools import count
from pathlib import Path
from types import CodeType, ModuleType
from typing import Final

from aiostream_server.errors import ConfigError
from aiostream_server.teams.context import TeamContext
from aiostream_server.teams.factories import FOLDER_PREFIX, WRONG_IMPORTS, Factory, blamed, factory_problem
from aiostream_server.teams.registration import Registration, registration_of, team_id_of
from aiostream_server.unreadable import why_unreadable

_BUILD: Final = "build"
_numbers: Final = count(1)


@dataclass(frozen=True, slots=True)
class FolderTeam:
    """The factory `function` of `file`."""

    id: str
    file: Path
    function: str
    docstring: str | None
    registration: Registration
    factory: Factory


def load_folder(folder: Path) -> tuple[Sequence[FolderTeam], Sequence[str]]:
    """The teams in the order of file names, and one line for each mistake."""
    try:
        files = team_files(folder)
        package = _Package(folder)
    except ConfigError as exc:
        return (), exc.problems
    teams: list[FolderTeam] = []
    problems: list[str] = []
    for file in files:
        try:
            teams += _teams_of(file, package)
        except ConfigError as exc:
            problems += [f"{file.name}: {problem}" for problem in exc.problems]
    return teams, problems


def team_files(folder: Path) -> Sequence[Path]:
    """The files that should define teams. Raises `ConfigError` if there are none."""
    try:
        files = sorted(entry for entry in folder.iterdir() if entry.suffix == ".py" and entry.name[0] not in "._")
    except OSError as exc:
        raise ConfigError([f"path: {folder} cannot be read: {why_unreadable(exc)}"]) from exc
    if not files:
        raise ConfigError([f'path: there is no team in {folder}: no *.py file whose name does not begin with "_"'])
    return files


def _teams_of(file: Path, package: "_Package") -> Sequence[FolderTeam]:
    """Raises `ConfigError` with a line for each wrong factory."""
    module = package.load(file.stem)
    factories = list(_marked(module))
    if not factories and hasattr(module, _BUILD):
        factories = [getattr(module, _BUILD)]
    if not factories:
        hint = 'name a file that only other files import with a "_" at the beginning'
        raise ConfigError([f"no team in it: mark a function with @team, or call it build; {hint}"])
    if wrong := [f"{_name_of(factory)} {problem}" for factory in factories if (problem := factory_problem(factory))]:
        raise ConfigError(wrong)
    return [_team_of(factory, module, file, package) for factory in factories]


def _marked(module: ModuleType) -> Iterator[object]:
    """The factories that the file itself defines: each once, also if it has several names."""
    found = {id(thing): thing for thing in vars(module).values() if registration_of(thing) is not None}
    return (thing for thing in found.values() if getattr(thing, "__module__", None) == module.__name__)


def _team_of(factory: object, module: ModuleType, file: Path, package: "_Package") -> FolderTeam:
    registration = registration_of(factory) or Registration()
    stands_for_file = _name_of(factory) == _BUILD
    return FolderTeam(
        registration.id or team_id_of(file.stem if stands_for_file else _name_of(factory)),
        file,
        _name_of(factory),
        factory.__doc__ or (module.__doc__ if stands_for_file else None),
        registration,
        _FolderFactory(factory, package),  # type: ignore[arg-type]  # `factory_problem` has checked it
    )


def _name_of(factory: object) -> str:
    return getattr(inspect.unwrap(factory), "__name__", _BUILD) if callable(factory) else _BUILD


@dataclass(frozen=True, slots=True)
class _FolderFactory:
    """Calls a factory, and holds a reference to its package."""

    __wrapped__: Factory
    package: "_Package"

    def __call__(self, context: TeamContext) -> object:
        return self.__wrapped__(context)


class _Package:
    """A folder as a package. Dropping the last reference to it removes its modules from `sys.modules`.

    Raises `ConfigError` for an `__init__.py` that cannot be imported.
    """

    def __init__(self, folder: Path) -> None:
        self._folder: Final = folder
        self._name: Final = f"{FOLDER_PREFIX}{next(_numbers)}"
        if _FINDER not in sys.meta_path:
            sys.meta_path.insert(0, _FINDER)
        weakref.finalize(self, _forget, self._name).atexit = False
        beginning = folder / "__init__.py"
        loader = _FreshLoader(self._name, str(beginning)) if beginning.is_file() else None
        spec = ModuleSpec(self._name, loader, origin=str(beginning), is_package=True)
        spec.has_location = loader is not None  # sets `__file__`
        spec.submodule_search_locations = [str(folder)]
        sys.modules[self._name] = module = module_from_spec(spec)
        try:
            if loader is not None:
                loader.exec_module(module)
        except WRONG_IMPORTS as exc:
            raise ConfigError([f"{beginning.name}: cannot be imported: {blamed(exc, folder)}"]) from exc

    def load(self, stem: str) -> ModuleType:
        """Raises `ConfigError` with one line."""
        try:
            return importlib.import_module(f"{self._name}.{stem}")
        except WRONG_IMPORTS as exc:  # importing runs the file's code
            raise ConfigError([f"cannot be imported: {blamed(exc, self._folder)}{self._hint(exc)}"]) from exc

    def _hint(self, error: BaseException) -> str:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        if missing is None or "." in missing or not (self._folder / f"{missing}.py").is_file():
            return ""
        return f"; for the {missing}.py beside it: from .{missing} import ..."


def _forget(package: str) -> None:
    for name in tuple(sys.modules):
        if name == package or name.startswith(f"{package}."):
            sys.modules.pop(name, None)


class _FreshLoader(SourceFileLoader):
    """Compiles the file as it is now."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        code: CodeType = self.source_to_code(self.get_data(path), path)
        return code


class _Finder(MetaPathFinder):
    """Finds the modules of the folders, and of packages inside them. Caches no listing of a folder."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if path is None or not fullname.startswith(FOLDER_PREFIX):
            return None
        found = (FileFinder(folder, (_FreshLoader, [".py"])).find_spec(fullname) for folder in path)
        return next(filter(None, found), None)


_FINDER: Final = _Finder()
