"""A user's factory: imports it by name, checks it before it is called, and reports its errors with file and line.

The reported line is that of the innermost frame in the user's own code: outside this package and outside libraries,
unless the factory's own package is installed as a library.
"""

import importlib
import importlib.util
import inspect
import re
import sysconfig
from collections.abc import Awaitable, Callable
from functools import cache
from operator import attrgetter
from pathlib import Path
from traceback import walk_tb
from typing import Any, Final, TypeAlias

from aiostream_server.errors import ConfigError
from aiostream_server.teams.context import Runs, Streams, TeamContext
from aiostream_server.text import one_line

Factory: TypeAlias = Callable[[TeamContext], object | Awaitable[object]]

FOLDER_PREFIX: Final = "aiostream_team_folder_"
"""Packages of team folders are named so, with a number. Messages leave the name out, as it means nothing to users."""

_OF_FOLDER: Final = re.compile(rf"\b{FOLDER_PREFIX}\d+\b\.?")

WRONG_IMPORTS = (Exception, SystemExit)
"""The errors of importing a user's module; `SystemExit` if it is a script."""


def imported(path: str) -> Any:  # any object of a user's module
    """`package.module:name`. Raises `ConfigError` with one line."""
    module_name, _, attribute = path.partition(":")
    try:
        return attrgetter(attribute)(importlib.import_module(module_name))
    except WRONG_IMPORTS as exc:  # importing runs the module's code
        why = blamed(exc, home_of(module_name))
        raise ConfigError([f'factory: "{path}" cannot be imported: {why}']) from exc


def import_factory(path: str) -> Factory:
    """Raises `ConfigError` with one line, also for what is no factory."""
    found: Factory = imported(path)
    if problem := factory_problem(found):
        raise ConfigError([f'factory: "{path}" {problem}'])
    return found


def factory_problem(factory: object) -> str | None:
    """What is wrong with its type or its signature, in one line; None if it can be called. Does not call it."""
    if not callable(factory):
        kind = type(factory).__name__
        if isinstance(factory, Streams | Runs):
            return f"is a finished {kind}: expected a function that makes one, since a team runs only once"
        return f"is a {kind}: expected a function of one argument"
    try:
        signature = inspect.signature(factory)
    except (TypeError, ValueError):  # not written in Python
        return None
    try:
        signature.bind(object())
    except TypeError:
        wanted = _counted(signature)
        return f"{wanted}: expected a function of one argument, the context{at(place_of(factory))}"
    return None


def _counted(signature: inspect.Signature) -> str:
    each = signature.parameters.values()
    if not any(one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD) for one in each):
        return "takes no argument"
    needed = [
        one.name for one in each if one.default is one.empty and one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)
    ]
    return f"needs {len(needed)} arguments ({', '.join(needed)})"


def method_problem(team: Streams | Runs, factory: object) -> str | None:
    """Why the `run_stream` or `run` of a team cannot be called, with its line; None if it looks right.

    Looks at its signature, and at the kind of its `def`. `factory` made the team.
    """
    name = "run_stream" if isinstance(team, Streams) else "run"
    method, kind = getattr(team, name), type(team).__name__
    try:
        inspect.signature(method).bind(task="")
    except ValueError:  # not written in Python
        return None
    except TypeError:
        wrong = f"the factory returned {kind}, whose {name} cannot be called as {name}(task=...)"
        return f"{wrong}{at(place_of(factory))}"
    function = getattr(method, "__func__", method)
    if not inspect.isfunction(function) or hasattr(function, "__wrapped__"):  # a decorator hides what it returns
        return None
    if name == "run_stream":
        is_right = not (inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function))
        expected = "async def, with yield: AutoGen's messages, then a TaskResult"
    else:
        is_right = inspect.iscoroutinefunction(function) or _says_awaitable(function)
        expected = "async def, with return: a TaskResult (autogen_agentchat.base)"
    return None if is_right else f"{kind}.{name} is a {_kind_of(function)}: expected {expected}{at(place_of(function))}"


def _says_awaitable(function: Callable[..., object]) -> bool:
    """Whether it returns the awaitable of another function."""
    says = str(function.__annotations__.get("return", ""))
    return any(name in says for name in ("Awaitable", "Coroutine", "Future", "Task["))


def _kind_of(function: Callable[..., object]) -> str:
    if inspect.isasyncgenfunction(function):
        return "generator, with async def and yield"
    if inspect.isgeneratorfunction(function):
        return "generator, without async"
    return "coroutine function, without yield" if inspect.iscoroutinefunction(function) else "function without async"


def blamed(error: BaseException, home: Path | None = None) -> str:
    """`NameError: name 'x' is not defined (/srv/teams.py:3)`. `home` is the folder of the factory's package."""
    return f"{reason(error)}{at(place_of_error(error, home))}"


def blamed_in(factory: object, error: BaseException) -> str:
    """The same for an error that a factory raised; with the line of its `def` if the traceback has none of its code."""
    place = place_of_error(error, home_of(getattr(_unwrapped(factory), "__module__", None) or ""))
    return f"{reason(error)}{at(place or place_of(factory))}"


def home_of(module_name: str) -> Path | None:
    """The folder of a module's outermost package, or its file if it has none; None if it is not found."""
    try:
        spec = importlib.util.find_spec(module_name.partition(".")[0])
    except (ImportError, ValueError):  # ValueError: a module without a spec, such as `__main__`
        return None
    if spec is None:
        return None
    if spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations)))
    return Path(spec.origin) if spec.origin else None


def reason(error: BaseException) -> str:
    """One line, without the place."""
    if isinstance(error, SystemExit):
        return "SystemExit: it ends the process when it is imported"
    if isinstance(error, ConfigError):
        return one_line("; ".join(error.problems))
    said = error.msg if isinstance(error, SyntaxError) else str(error)
    said = _OF_FOLDER.sub(".", said)
    return f"{type(error).__name__}: {one_line(said)}".removesuffix(": ")


def at(place: str | None) -> str:
    return f" ({place})" if place else ""


def place_of(factory: object) -> str | None:
    """`/srv/teams.py:12`: where a function or class begins; None if it is not written in Python."""
    unwrapped = _unwrapped(factory)
    try:
        file = inspect.getsourcefile(unwrapped)  # type: ignore[arg-type]  # of others: TypeError
    except TypeError:
        return None
    code = getattr(unwrapped, "__code__", None)
    return f"{file}:{code.co_firstlineno}" if file and code else file


def place_of_error(error: BaseException, home: Path | None = None) -> str | None:
    """`/srv/teams.py:12`; None if no frame is the user's code."""
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        return f"{error.filename}:{error.lineno}"
    frames = ((frame.f_code.co_filename, line) for frame, line in walk_tb(error.__traceback__))
    places = [f"{file}:{line}" for file, line in frames if _is_users(file, home)]
    return places[-1] if places else None


def _unwrapped(factory: object) -> object:
    try:
        return inspect.unwrap(factory)  # type: ignore[arg-type]  # accepts any object
    except ValueError:  # a cycle of `__wrapped__`
        return factory


def _is_users(file: str, home: Path | None) -> bool:
    if file.startswith("<"):  # importlib's frames, and code of `exec`
        return False
    path = Path(file)
    if home is not None and path.is_relative_to(home):
        return True
    return not any(path.is_relative_to(library) for library in _libraries())


@cache
def _libraries() -> tuple[Path, ...]:
    """The standard library's folder, those of installed packages, and this package's."""
    paths = sysconfig.get_paths()
    ours = Path(__file__).parents[1]
    return (ours, *{Path(paths[name]) for name in ("stdlib", "platstdlib", "purelib", "platlib")})
