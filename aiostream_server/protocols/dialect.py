"""What a protocol is made of: a `Dialect`. A route of `web` is a path and a dialect.

Everything here is a pure function of a request's body, of a run's card and of the entries of its log. So any process
that can read the log can replay an answer, and a replay has the same ids as the answer before it.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Literal, Protocol, TypeAlias, TypeVar, cast

from aiostream_server.config.model import OnDisconnect, Presentation, ReasoningField
from aiostream_server.errors import ServerError
from aiostream_server.events import Entry, SpeechKind
from aiostream_server.intake.conversation import Conversation
from aiostream_server.intake.question import Question
from aiostream_server.present import BareContent, Page, Presenter, new_presenter, routed_presenter
from aiostream_server.present.status import Members
from aiostream_server.runs.card import RunCard

Options = TypeVar("Options")
"""What a protocol itself needs of the body when it answers. Small: it lives as long as the stream."""

Delivery: TypeAlias = Literal["stream", "whole", "background"]
"""`background`: the answer is `whole` at once, before anything has happened."""

WatchLink: TypeAlias = Callable[[RunCard], str]
"""Makes the link by which a browser watches a run without a key."""


@dataclass(frozen=True, slots=True)
class Asked(Generic[Options]):
    """What a request's body says. `on_disconnect` is None where it leaves that to the team; `conversation` and
    `idempotency_key` where it leaves them to the headers.

    `kept` is JSON that the protocol keeps with the run, to show it later: `RunCard.kept`. `run_id` is the new run's,
    where the protocol must find it again by that; it is as hard to guess as any. `is_stored`: later questions may
    continue this run by its id, or (False) nothing of it is remembered; None leaves it to the headers. `replies_to` is
    the id of a run that has to wait for the user in this conversation.
    """

    model: str
    question: Question
    delivery: Delivery
    options: Options
    on_disconnect: OnDisconnect | None = None
    conversation: Conversation | None = None
    idempotency_key: str | None = None
    kept: bytes = b""
    is_stored: bool | None = None
    run_id: str | None = None
    replies_to: str | None = None


@dataclass(frozen=True, slots=True)
class DisplayOptions:
    """How one request wants a run shown, apart from its body.

    `presentation` is None where the team decides and is not chosen yet: `by_team` then says how each is shown.
    `team` (an id) and `team_name` are empty then. `members` tells a team's agents. `page` is set where Open WebUI
    shows the answer. `path_prefix` stands before `/v1` in links (`/api`, or nothing).
    `watch_link` makes the signed link to a run's events. `is_own_link` tells links to this server's files.
    `reasoning_fields` are the names of the fields with the reasoning. `is_json`: the content is nothing but the answer.
    """

    presentation: Presentation | None = None
    by_team: Mapping[str, Presentation] = field(default_factory=dict)
    team: str = ""
    team_name: str = ""
    members: Members | None = None
    page: Page | None = None
    path_prefix: str = ""
    watch_link: WatchLink | None = None
    is_own_link: Callable[[str], bool] | None = None
    reasoning_fields: Sequence[ReasoningField] = ("reasoning_content",)
    is_json: bool = False

    def presenter(self) -> Presenter:
        """A new one: a presenter remembers what it has shown."""
        if self.presentation is None:
            presenter = routed_presenter(self.by_team, self.page)
        else:
            presenter = new_presenter(self.presentation, self.page)
        return BareContent(presenter) if self.is_json else presenter


class Frames(Protocol):
    """Entries -> the bytes that one viewer is sent. Give it every entry behind the viewer's cursor, in order."""

    def opening(self, *, at_end: bool) -> bytes:
        """What comes before the first entry. `at_end`: there will be no entry."""
        ...

    def encode(self, entries: Sequence[Entry]) -> bytes: ...

    def encode_tokens(self, agent: str, kind: SpeechKind, texts: Sequence[str]) -> bytes | None:
        """The same for tokens that only continue what was encoded last; None where they do more than that.

        The caller may throw the bytes away: then it gives the tokens to `encode`, and to nothing before.
        """
        ...


class TimedFrames(Frames, Protocol):
    """Frames that also show how long nothing has happened."""

    @property
    def silence_s(self) -> float:
        """After so long without an entry, and again each time, `silence` is called. Infinite: never."""
        ...

    def silence(self, now: float) -> bytes:
        """Empty where there is nothing to show. `now` is Unix time in seconds."""
        ...


def timed(frames: Frames) -> TimedFrames | None:
    """The frames, where they ever show that. Not by `isinstance`, which takes 2 % of a short run."""
    if not hasattr(frames, "silence"):
        return None
    shown = cast("TimedFrames", frames)
    return shown if shown.silence_s < math.inf else None


class Collector(Protocol):
    """Entries -> one body. Give it every entry, in order."""

    def add(self, entries: Sequence[Entry]) -> None:
        """Raises the error of a run that failed, as an exception with a status."""
        ...

    def body(self) -> bytes:
        """JSON. Raises `ShuttingDown` for an answer that is not whole."""
        ...


def run_path(run_id: str, path_prefix: str = "") -> str:
    """Where a run is served."""
    return f"{path_prefix}/v1/runs/{run_id}"


@dataclass(frozen=True, slots=True)
class Dialect(Generic[Options]):
    """One protocol.

    `name` keeps the idempotency keys of protocols apart, and tells whose a run's `kept` is. `question` reads a body; a
    model in the path counts before the body's. `on_disconnect` applies where neither the client nor the team says what
    happens when the last viewer leaves. `serves_chat_pages`: the header `X-Presentation` is read, and titles and other
    auxiliary questions are answered without a team. `headers` are those of its streams, and `started_status` is the
    status of an answer in the background. `path` is where a run is served: of its id, with the prefix of links.
    """

    name: str
    question: Callable[[bytes, str | None], Asked[Options]]
    stream: Callable[[RunCard, Options, DisplayOptions], Frames]
    whole: Callable[[RunCard, Options, DisplayOptions], Collector]
    refusal: Callable[[ServerError], tuple[int, bytes]]
    on_disconnect: OnDisconnect
    serves_chat_pages: bool
    headers: Mapping[str, str] = field(default_factory=dict)
    started_status: int = 202
    path: Callable[[str, str], str] = run_path
