"""Which conversation a question is part of, by the client's own name for it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Conversation:
    """`resends`: every request brings the whole conversation with it, as chat pages do, so that a request without
    earlier messages begins anew. Else such a request goes on where the conversation stands."""

    name: str
    resends: bool
