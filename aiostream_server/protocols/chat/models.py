"""What `GET /v1/models` says of each team: OpenAI's four fields, and what Open WebUI shows of the rest.

https://platform.openai.com/docs/api-reference/models/object
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Literal, TypedDict

from msgspec import Meta

from aiostream_server.protocols.json_schema import Natural

_OWNER: Final = "aiostream-server"
_FEWEST_WORDS: Final = 4
_PREPOSITIONS: Final = frozenset(
    ["of", "by", "for", "in", "on", "with", "to", "from", "per", "as", "than", "between", "about", "over", "into", "at"]
)
_BEGIN_LINES: Final = _PREPOSITIONS | frozenset(
    ["and", "or", "that", "which", "who", "had", "has", "have", "did", "does", "do", "is", "are", "was", "were"]
)
_END_NO_LINE: Final = _PREPOSITIONS | frozenset(["and", "or", "a", "an", "the", "my", "our", "your", "its", "not"])


@dataclass(frozen=True, slots=True)
class ModelCard:
    """One model that clients see. `created` is Unix time in seconds; `vision`: its agents see images."""

    id: str
    name: str
    description: str
    created: int
    examples: tuple[str, ...] = ()
    vision: bool = False


class Suggestion(TypedDict):
    """A card on Open WebUI's empty page: a title in two lines, and what a click asks."""

    content: str
    title: Annotated[list[str], Meta(min_length=2, max_length=2)]


class ModelMeta(TypedDict):
    description: str
    capabilities: dict[str, bool]
    suggestion_prompts: list[Suggestion]


class ModelDetails(TypedDict):
    meta: ModelMeta


class ModelObject(TypedDict):
    """`name` and `info` are Open WebUI's."""

    id: str
    object: Literal["model"]
    created: Natural
    owned_by: str
    name: str
    description: str
    info: ModelDetails


class ModelList(TypedDict):
    object: Literal["list"]
    data: list[ModelObject]


def model_body(card: ModelCard) -> ModelObject:
    meta: ModelMeta = {
        "description": card.description,
        "capabilities": _capabilities(card),
        "suggestion_prompts": [_suggestion(example) for example in _without_repeats(card.examples)],
    }
    return {
        "id": card.id,
        "object": "model",
        "created": card.created,
        "owned_by": _OWNER,
        "name": card.name,
        "description": card.description,
        "info": {"meta": meta},
    }


def models_body(cards: Iterable[ModelCard]) -> ModelList:
    return {"object": "list", "data": [model_body(card) for card in cards]}


def _capabilities(card: ModelCard) -> dict[str, bool]:
    return {
        "vision": card.vision,
        "usage": True,  # Open WebUI then asks for `include_usage`
        "builtin_tools": False,  # or it sends 36 tools with every question: a team has its own
        "code_interpreter": False,  # or it runs the code that an agent shows
        "status_updates": True,
    }


def _suggestion(example: str) -> Suggestion:
    words = example.split()
    if len(words) < _FEWEST_WORDS:
        return {"content": example, "title": [" ".join(words), ""]}
    at = min(range(1, len(words)), key=lambda place: _cost(words, place))
    return {"content": example, "title": [" ".join(words[:at]), " ".join(words[at:])]}


def _without_repeats(examples: Iterable[str]) -> Iterable[str]:
    """Texts that differ in case, spaces or the mark at their end would be the same card twice."""
    first: dict[str, str] = {}
    for example in examples:
        first.setdefault(" ".join(example.casefold().split()).rstrip("?!."), example)
    return first.values()


def _cost(words: Sequence[str], at: int) -> float:
    """How badly a title reads that is split before word number `at`: "What is / 15% of 850?" reads well."""
    length = len(" ".join(words))
    uneven = abs(len(" ".join(words[:at])) - 0.45 * length) / length
    before, behind = words[at - 1].casefold(), words[at].casefold()
    is_pair = words[at + 1 : at + 2] and words[at + 1].casefold().startswith(before)  # month by month
    reads_well = (behind in _BEGIN_LINES or not behind[0].isalpha()) and not is_pair
    return uneven - 0.25 * reads_well + 0.5 * (before in _END_NO_LINE)
