"""The base classes of events, and what several kinds of them have in common."""

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

FinishReason: TypeAlias = Literal[
    "stop", "tool_calls", "length", "content_filter", "refusal", "cancelled", "error", "interrupted"
]


class BaseEvent:
    """Base class of every kind. `type` is its name in JSON.

    `sign` begins the line or the heading that shows it; `colour` is that of the heading in a terminal. Both are empty
    for a kind that is shown without. `may_wait`: it may be sent together with later events, since it shows nothing new.
    """

    __slots__ = ()
    type: ClassVar[str]
    sign: ClassVar[str] = ""
    colour: ClassVar[str] = ""
    may_wait: ClassVar[bool] = False


class FromAgent(BaseEvent):
    """Base class of the kinds that come from one agent."""

    __slots__ = ()
    agent: str


class OfModelCall(FromAgent):
    """Base class of the kinds that tell how a model call goes, also of an agent inside a team that is never heard."""

    __slots__ = ()
    may_wait: ClassVar[bool] = True


class Speech(FromAgent):
    """Base class of the whole messages of an agent. `streamed`: `Token`s have told all of `content` before.

    `doing` says in a status line what the agent does while it says this, and `did` that it is over.
    """

    __slots__ = ()
    doing: ClassVar[str]
    did: ClassVar[str]
    content: str
    streamed: bool


@dataclass(frozen=True, slots=True)
class TokenCount:
    """Tokens that model calls read and wrote, as the providers reported them (or counted, where they did not)."""

    prompt_tokens: int = 0
    completion_tokens: int = 0

    def __add__(self, other: "TokenCount") -> "TokenCount":
        return TokenCount(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
        )
