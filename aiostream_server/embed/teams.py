"""A program's own functions as teams."""

import re
from collections.abc import Callable

from aiostream_server.errors import ConfigError
from aiostream_server.teams.factories import complaint
from aiostream_server.teams.registration import Registration, id_of, registration_of, told_by
from aiostream_server.teams.served import ServedTeam, registered_team


def registered(factory: Callable[..., object], where: str) -> ServedTeam:
    """Marked with `@team` or not. Raises `ConfigError` with a line for each thing that is wrong, from `where` on."""
    if problem := complaint(factory):
        raise ConfigError([f"{where} {problem}"])
    own = registration_of(factory) or Registration()
    called = getattr(factory, "__qualname__", type(factory).__qualname__)
    name, description = told_by(factory.__doc__)
    team_id = id_of(called.rpartition(".")[2]) if own.id is None else own.id
    return registered_team(
        own,
        factory,
        f"{where} ({team_id})",
        id=team_id,
        name=name if own.name is None else own.name,
        description=description if own.description is None else own.description,
        factory=":".join(re.sub(r"[^\w.]", "_", part) for part in (str(factory.__module__), called)),
        model=own.model,
        databases=own.databases,
        tools=own.tools,
        settings=own.settings,
    )
