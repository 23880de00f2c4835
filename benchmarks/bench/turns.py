"""What a turn costs, by how many came before it in its conversation.

A conversation is known in two ways. Plain clients resend all of it with each question; where it has a name
(`X-Conversation-Id`), only the new question is sent, and the server keeps the rest. In both the provider must be sent
all of it. What that takes at least is what the rewriting relay takes to pass the same messages on: it parses them,
encodes them and sends them, and looks at none. So the relay's growth, in milliseconds, is taken off the server's cost
of the long conversation, and what is left is judged against its cost of the short one. (To compare the two growths in
per cent would favour the server, because its short turn costs more to begin with.)
"""

from typing import Final

from benchmarks.bench.parts import Subject
from benchmarks.bench.results import Turns, Way
from benchmarks.bench.script import Script, Talk

_EARLIER: Final = (1, 10, 100)
_ANSWER: Final = Script(tokens=40)  # 640 characters
_CONNECTIONS: Final = 4
_CHEAPER: Final = 4  # times as many turns make half a second, where nothing is kept


def begin(subject: Subject, way: Way) -> Turns:
    """Of which nothing is known yet."""
    return Turns(subject.contender.kind, subject.contender.loop, way, {earlier: [] for earlier in _EARLIER})


async def measure(subject: Subject, turns: Turns, *, conversations: int, time: int) -> None:
    """One round, the `time`-th: one turn in each of so many conversations, for each length of them."""
    for earlier, found in turns.ms.items():
        if turns.way == "resent":
            found.append(await _ask(subject, Talk(earlier), _CHEAPER * conversations))
            continue
        name = f"round-{time}-{earlier}"
        await _ask(subject, Talk(earlier - 1, name), conversations)  # the last of the earlier ones
        found.append(await _ask(subject, Talk(name=name), conversations))


async def _ask(subject: Subject, talk: Talk, conversations: int) -> float:
    """CPU milliseconds of a turn."""
    seen = await subject.put(_ANSWER, connections=_CONNECTIONS, answers=conversations, talk=talk)
    return seen.cpu_s / seen.answers * 1_000
