"""A component file -> what builds its team for every run.

The file is read, checked and imported once. Each build only makes the parts of the team; all runs share its clients.
"""

import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from autogen_core import ComponentLoader
from pydantic import ValidationError

from aiostream_server.errors import ConfigError
from aiostream_server.models.client import StreamingClient
from aiostream_server.models.registry import Models
from aiostream_server.teams.components.classes import missing_package
from aiostream_server.teams.components.clients import handing, with_shared_clients
from aiostream_server.teams.components.places import Place, components
from aiostream_server.teams.components.policy import find_code, find_problems, import_classes
from aiostream_server.teams.components.reading import Component, read_component
from aiostream_server.teams.context import Runs, Streams, Team
from aiostream_server.text import one_line

_ASK_FOR_BROWSER: Final = (sys.executable, "-m", "playwright", "install", "--dry-run", "chromium")
_BROWSER_AT: Final = "Install location:"
_ASK_TIMEOUT_S: Final = 20.0
_HTTP_TOOLS: Final = "autogen_ext.tools.http"


@dataclass(frozen=True, slots=True)
class ComponentTeam:
    """Builds a team from a component that was checked, and of which all classes are imported.

    `hosts`: what is not public, and its HTTP tools may ask; None if they may ask any.
    """

    component: Component = field(repr=False)
    clients: Sequence[StreamingClient] = field(repr=False)
    has_code: bool = False
    hosts: Sequence[str] | None = None

    def __call__(self, _: object = None) -> Team:
        """Called as a factory is. Raises any exception that AutoGen raises."""
        with handing(self.clients), _without_warnings() if self.has_code else nullcontext():
            built = ComponentLoader.load_component(dict(self.component), object)
        if not isinstance(built, Streams | Runs):
            raise TypeError(f"{type(built).__name__} is neither a team nor an agent")
        if self.hosts is not None and _HTTP_TOOLS in sys.modules:  # without it there is no such tool
            from aiostream_server.teams.components.http_guard import guard_http_tools  # imports httpx

            guard_http_tools(built, self.hosts)
        return built


def check(path: Path, *, providers: Sequence[str] = (), trusted: bool = False, hosts: Sequence[str] = ()) -> Component:
    """Read the component of a file that may be loaded. Imports nothing. Raises `ConfigError` with every reason."""
    component = read_component(path)
    if problems := find_problems(component, providers=providers, trusted=trusted, hosts=hosts):
        raise _refusal(path, problems)
    return component


def load(
    path: Path,
    models: Models,
    *,
    providers: Sequence[str] = (),
    trusted: bool = False,
    model: str | None = None,
    hosts: Sequence[str] = (),
) -> tuple[Callable[[object], Team], Team]:
    """Returns what builds the team of a file, and one team that was built as a trial.

    `providers` are packages that it may name beside AutoGen's, `trusted` allows code in it to run, and `model` is
    the `[models.*]` table that replaces all of its model clients, `hosts` are what is not public and it may
    ask. Raises `ConfigError` with every problem.
    """
    component = check(path, providers=providers, trusted=trusted, hosts=hosts)
    try:
        team = prepare(component, models, trusted=trusted, model=model, hosts=hosts)
        return team, try_out(team)
    except ConfigError as exc:
        raise _refusal(path, exc.problems, exc.to_add) from exc


def _refusal(path: Path, problems: Sequence[str], to_add: Sequence[str] = ()) -> ConfigError:
    """The problems repeat names from the file, so characters that end a line or control a terminal are replaced."""
    lines = (f"{path}: {problem}" for problem in problems)
    return ConfigError(["".join(sign if sign.isprintable() else "\ufffd" for sign in line) for line in lines], to_add)


def prepare(
    component: Component,
    models: Models,
    *,
    trusted: bool = False,
    model: str | None = None,
    hosts: Sequence[str] = (),
) -> ComponentTeam:
    """Import its classes, which `check` has allowed. Raises `ConfigError`."""
    if problems := import_classes(component, trusted=trusted) or _missing_browsers(component):
        raise ConfigError(problems)
    handed = with_shared_clients(component, models, model)
    return ComponentTeam(*handed, has_code=bool(find_code(component)), hosts=None if trusted else hosts)


def _missing_browsers(component: Component) -> list[str]:
    """A problem if the browser of a web surfer is not installed: its answer would be a message about that."""
    surfers = [place for place in components(component) if place.class_name == "MultimodalWebSurfer"]
    chromium = [place for place in surfers if not place.config.get("browser_channel")]
    if not chromium or not _lacks_chromium():
        return []
    install = f"{sys.executable} -m playwright install chromium"
    return [f"{chromium[0].where} ({chromium[0].class_name}): its browser is not installed: {install}"]


def _lacks_chromium() -> bool:
    """False also where Playwright cannot tell."""
    try:
        told = subprocess.run(
            _ASK_FOR_BROWSER, capture_output=True, text=True, timeout=_ASK_TIMEOUT_S, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return False
    found = [Path(line.partition(_BROWSER_AT)[2].strip()) for line in told.splitlines() if _BROWSER_AT in line]
    browsers = [path for path in found if path.name.startswith("chromium")]  # with and without a window
    return bool(browsers) and not any(path.exists() for path in browsers)


def try_out(team: ComponentTeam) -> Team:
    """Build a team. Raises `ConfigError`, which names the part that cannot be built."""
    try:
        return team()
    except Exception as exc:  # any class that a component's own code raises
        culprit, reason = _blamed(team) or (None, exc)
        where = "$" if culprit is None else f"{culprit.where} ({culprit.class_name})"
        raise ConfigError([f"{where}: {_said(reason)}"]) from exc


def _blamed(team: ComponentTeam) -> tuple[Place, Exception] | None:
    """The innermost part that fails when it is built alone."""
    with handing(team.clients), _without_warnings():
        for place in reversed(list(components(team.component))):
            try:
                ComponentLoader.load_component(dict(place.found), object)
            except Exception as exc:  # as above
                return place, exc
    return None


def _said(exc: BaseException) -> str:
    if isinstance(exc, ValidationError):
        return "; ".join(f"{'.'.join(map(str, at['loc']))}: {at['msg']}" for at in exc.errors()[:3])
    cause = exc.__cause__ or exc
    if isinstance(cause, ModuleNotFoundError) and cause.name:
        return missing_package(cause)
    return f"{type(exc).__name__}: {one_line(exc, 300)}"


@contextmanager
def _without_warnings() -> Iterator[None]:
    """AutoGen warns of code whenever it is loaded. Here the policy has allowed it already."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
