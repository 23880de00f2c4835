"""`GET /v1/teams`: what each team is made of, for pages that draw it."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal, TypedDict

from msgspec import Meta

from aiostream_server.teams.shape import Shape


@dataclass(frozen=True, slots=True)
class TeamCard:
    """One team. `shape` is None where the team cannot be built."""

    id: str
    name: str
    description: str
    examples: tuple[str, ...]
    shape: Shape | None


class TeamObject(TypedDict):
    """A team that the key may use. `shape` is that of `aiostream-server teams show ID --json`: an agent (`name`,
    `kind`, `model`, `tools`, `is_person`, `inside`), or a group of `members` with the `edges` between them, the `order`
    in which they speak, and perhaps a `manager` who chooses. It is null where the team cannot be built."""

    id: str
    object: Literal["team"]
    name: str
    description: str
    examples: list[str]
    shape: Annotated[Mapping[str, Any] | None, Meta(description="See the team.")]


class TeamList(TypedDict):
    object: Literal["list"]
    data: list[TeamObject]


def teams_body(cards: Iterable[TeamCard]) -> bytes:
    body: TeamList = {"object": "list", "data": [_team(card) for card in cards]}
    return json.dumps(body).encode()


def _team(card: TeamCard) -> TeamObject:
    return {
        "id": card.id,
        "object": "team",
        "name": card.name,
        "description": card.description,
        "examples": list(card.examples),
        "shape": None if card.shape is None else asdict(card.shape),
    }
