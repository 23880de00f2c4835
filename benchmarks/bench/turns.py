"""The cost of a turn, by the number of earlier turns in its conversation.

Plain clients resend the whole conversation with each question. With a name (`X-Conversation-Id`) they send only the new
question, and the server keeps the rest. In both cases the provider must receive all of it. The rewriting relay shows
the minimum cost of that: it only parses, encodes and sends the same messages. So the relay's growth, in milliseconds,
is subtracted from the server's cost of the long conversation, and the rest is compared with its cost of the short one.
(Comparing the two growths in per cent would favour the server, because its short turn costs more to begin with.)
"""

from typing import Final

from benchmarks.bench.parts import Subject
from benchmarks.bench.results import Turns, Way
from benchmarks.bench.script import History, Script

_EARLIER: Final = (1, 10, 100)
_ANSWER: Final = Script(tokens=40)  # 640 characters
_CONNECTIONS: Final = 4
_CHEAPER: Final = 4  # times as many turns, to measure half a second where nothing is stored


def begin(subject: Subject, way: Way) -> Turns:
    """An empty result."""
    return Turns(subject.contender.kind, subject.contender.loop, way, {earlier: [] for earlier in _EARLIER})


async def measure(subject: Subject, turns: Turns, *, conversations: int, time: int) -> None:
    """Round number `time`: one turn in each of the conversations, for each length."""
    for earlier, found in turns.ms.items():
        if turns.way == "resent":
            found.append(await _ask(subject, History(earlier), _CHEAPER * conversations))
            continue
        name = f"round-{time}-{earlier}"
        await _ask(subject, History(earlier - 1, name), conversations)  # the last of the earlier ones
        found.append(await _ask(subject, History(name=name), conversations))


async def _ask(subject: Subject, history: History, conversations: int) -> float:
    """CPU milliseconds of a turn."""
    seen = await subject.put(_ANSWER, connections=_CONNECTIONS, answers=conversations, history=history)
    return seen.cpu_s / seen.answers * 1_000
