"""Every script that Redis runs for the server, one `.lua` file each; `functions/` holds what several of them call.

A script is one atomic step, and harmless if it is sent twice. Its file begins with its arguments and its answer.
KEYS[1], in scripts `base`, is the beginning of all keys. It is a hash tag, so that a cluster keeps them together, and
scripts can derive the others from it. `now` is always Redis' own clock, in milliseconds. Each command that a script
calls takes Redis 2 to 4 us at least.

    nodes                ZSET    process -> the end of its lease
    seen, grace          when any process renewed its lease last; until when none is taken to have failed
    behind               exists for a while after Redis has lost data or was away: runs may still have to be written
    node:N:runs          SET     the live runs that process N drives
    node:N:stops         HASH    its runs that others asked to end: run -> reason
    node:N:call          the number of its latest `write` or `append`
    run:R                HASH    node, owner, card, last (number), reserved (number), finished, turn, start; of a run
                                 whose turn may begin again: team, request, restarts
                         `last` and `reserved` are those of the latest `write`: there may be later events in the list
    run:R:log            LIST    packed events: payloads that begin with the number of their last event
    of:OWNER             ZSET    the owner's runs, by the time of their start
    latest:TALK          the run that was started last in a conversation
    gone:R               who owned a run that is kept no longer
    start:S              HASH    fingerprint, node and run of an idempotency key
    turn:T               ZSET    the live runs of a conversation -> when they entered
    slots                HASH    run -> "node key user", the digests of whom it counts for
    slots:k:K, slots:u:U SETs    the same runs, by key and by user
    limits               HASH    those of the process that has put a run into the queue last, or has learned others last
    queue                ZSET    runs that wait for a slot, in the order of their arrival
    queue:of             HASH    run -> "node key user"
    served               ZSET    keys and users that wait -> their place in the order of turns

A run belongs to the process in its `node`: events of any other are refused, so a process that was taken to have failed
cannot change what became of its runs. Numbers up to `reserved` may have been shown to viewers before they were written
here: a process that takes a run over continues behind it.
"""

import hashlib
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Final

_FILES: Final = files(__name__)


@dataclass(frozen=True, slots=True)
class Script:
    text: str = field(repr=False)
    sha: str

    @classmethod
    def of(cls, body: str) -> "Script":
        """A script whose body uses `base`."""
        text = "local base = KEYS[1]\n" + body
        return cls(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


def _text(name: str) -> str:
    return (_FILES / f"{name}.lua").read_text("utf-8")


def _script(name: str, *functions: str) -> Script:
    return Script.of("".join(_text(each) for each in (*(f"functions/{each}" for each in functions), name)))


CHECK: Final = _script("check")

# leases
RENEW: Final = _script("renew", "now")
RETIRE: Final = _script("retire", "now", "slots", "queue", "give_back")
CLAIM: Final = _script("claim", "now", "slots", "queue", "give_back")
DRIVEN: Final = _script("driven")

# runs
APPEND: Final = _script("append")
WRITE: Final = _script("write", "events", "slots", "queue")
READ: Final = _script("read", "events")
FIND: Final = _script("find", "events")
LATEST: Final = _script("latest")
LIST: Final = _script("list", "events")
RECALL: Final = _script("recall")
STOP: Final = _script("stop")
SEND: Final = _script("send")
DROP: Final = _script("drop")

# slots
ENTER: Final = _script("enter", "slots", "queue")
LEAVE: Final = _script("leave", "slots", "queue")
GRANT: Final = _script("grant", "slots", "queue")
HELD: Final = _script("held", "slots", "queue", "places")
RESTORE: Final = _script("restore", "slots", "queue", "give_back")

# turns of conversations
TURN: Final = _script("turn", "now", "turns")
TURN_ENTER: Final = _script("turn_enter", "now", "turns")
TURN_LEAVE: Final = _script("turn_leave")

# idempotency keys
START: Final = _script("start")
STARTED: Final = _script("started")
FORGET_START: Final = _script("forget_start")
