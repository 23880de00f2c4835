"""A component file -> what builds its team for every run.

Read, judged and imported once; a build only makes the parts of the team, with clients that all runs share.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from autogen_core import ComponentLoader
from pydantic import ValidationError

from aiostream_server.errors import ConfigError
from aiostream_server.models.client import StreamingClient
from aiostream_server.models.registry import Models
from aiostream_server.teams.components.browser import missing_browser
from aiostream_server.teams.components.clients import handing, with_shared_clients
from aiostream_server.teams.components.older import upgraded
from aiostream_server.teams.components.packages import missing
from aiostream_server.teams.components.policy import find_code, find_problems, import_classes, one_line
from aiostream_server.teams.components.reading import Component, read_component
from aiostream_server.teams.components.tree import Place, components
from aiostream_server.teams.context import Runs, Streams, Team


@dataclass(frozen=True, slots=True)
class ComponentTeam:
    """Builds a team from a component that was judged, and whose classes are imported."""

    component: Component = field(repr=False)
    clients: Sequence[StreamingClient] = field(repr=False)
    has_code: bool = False

    def __call__(self, _: object = None) -> Team:
        """As a factory is called. Raises whatever AutoGen raises."""
        with handing(self.clients), _without_warnings() if self.has_code else nullcontext():
            built = ComponentLoader.load_component(dict(self.component), object)
        if not isinstance(built, Streams | Runs):
            raise TypeError(f"{type(built).__name__} is neither a team nor an agent")
        return built


def check(path: Path, *, providers: Sequence[str] = (), trusted: bool = False) -> Component:
    """The component of a file, if it may be loaded. Imports nothing. Raises `ConfigError` with every reason."""
    component = read_component(path)
    if problems := find_problems(component, providers=providers, trusted=trusted):
        raise _refusal(path, problems)
    return component


def load(
    path: Path,
    models: Models,
    *,
    providers: Sequence[str] = (),
    trusted: bool = False,
    model: str | None = None,
) -> tuple[Callable[[object], Team], Team]:
    """What builds the team of a file, and one that was built to see that it can be.

    `providers` are packages that it may name beside AutoGen's, `trusted` says that code in it may run, and `model` is
    the `[models.*]` table that all of its model clients become. Raises `ConfigError` with every reason why not.
    """
    component = check(path, providers=providers, trusted=trusted)
    try:
        team = prepare(component, models, trusted=trusted, model=model)
        return team, try_out(team)
    except ConfigError as exc:
        raise _refusal(path, exc.problems, exc.to_add) from exc


def _refusal(path: Path, problems: Sequence[str], to_add: Sequence[str] = ()) -> ConfigError:
    """The problems repeat names that stand in the file: nothing of those ends a line, or steers a terminal."""
    lines = (f"{path}: {problem}" for problem in problems)
    return ConfigError(["".join(sign if sign.isprintable() else "\ufffd" for sign in line) for line in lines], to_add)


def prepare(component: Component, models: Models, *, trusted: bool = False, model: str | None = None) -> ComponentTeam:
    """Imports what it names, which `check` has allowed. Raises `ConfigError`."""
    if problems := import_classes(component, trusted=trusted) or _missing_browsers(component):
        raise ConfigError(problems)
    handed = with_shared_clients(upgraded(component), models, model)
    return ComponentTeam(*handed, has_code=bool(find_code(component)))


def _missing_browsers(component: Component) -> list[str]:
    """AutoGen would say it in the middle of a run, as what the agent has to say."""
    surfers = [place for place in components(component) if place.class_name == "MultimodalWebSurfer"]
    mine = [place for place in surfers if not place.config.get("browser_channel")]
    return [f"{mine[0].where} ({mine[0].class_name}): {missing}"] if mine and (missing := missing_browser()) else []


def try_out(team: ComponentTeam) -> Team:
    """One that is built. Raises `ConfigError`, which names the part that cannot be."""
    try:
        return team()
    except Exception as exc:  # whatever a component's own code raises
        culprit, reason = _blamed(team) or (None, exc)
        where = "$" if culprit is None else f"{culprit.where} ({culprit.class_name})"
        raise ConfigError([f"{where}: {_said(reason)}"]) from exc


def _blamed(team: ComponentTeam) -> tuple[Place, Exception] | None:
    """The innermost part that cannot be built by itself."""
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
        return missing(cause)
    return f"{type(exc).__name__}: {one_line(exc)}"


@contextmanager
def _without_warnings() -> Iterator[None]:
    """AutoGen warns of code whenever it is loaded: whether it may run was decided before."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
