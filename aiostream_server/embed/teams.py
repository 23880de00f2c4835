"""A program's own functions as teams."""

from collections.abc import Callable

from aiostream_server.errors import ConfigError
from aiostream_server.teams.factories import complaint
from aiostream_server.teams.registration import Registration, registration_of, team_id_of
from aiostream_server.teams.served import ServedTeam, registered_team


def registered(factory: Callable[..., object], where: str) -> ServedTeam:
    """With or without `@team`. Raises `ConfigError` with a line for each mistake, which begins with `where`."""
    if problem := complaint(factory):
        raise ConfigError([f"{where} {problem}"])
    registration = registration_of(factory) or Registration()
    name = getattr(factory, "__qualname__", type(factory).__qualname__)
    team_id = team_id_of(name.rpartition(".")[2]) if registration.id is None else registration.id
    return registered_team(
        factory,
        registration,
        f"{where} ({team_id})",
        team_id=team_id,
        label=(str(factory.__module__), name),
        docstring=factory.__doc__,
    )
