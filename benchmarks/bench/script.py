"""What is asked: a question that scripts the provider's answer, after a conversation of any length.

Each token carries a stamp, by which its delay is measured: the provider's monotonic clock in microseconds, which all
processes of one machine share.
"""

import json
import random
import time
from dataclasses import asdict, dataclass
from typing import Final

from benchmarks.bench.protocols import CHAT, PROTOCOLS

_TEXT: Final = (
    "the of and to in that is was for with as on by at from this which or had not are but they were all would there "
    "been one so an when who will more no if out what up said about other into than its time only could new them some "
    "sales region month total order customer product price revenue quarter growth stock return average report north "
    "south because however according between compared increased fallen almost twice percent highest lowest expected "
    "result shows difference therefore table column `amount` **2,481** 1,093 17.4 (2024) 2025 Hamburg Lyon Osaka"
)
_WORDS: Final = _TEXT.split()


@dataclass(frozen=True, slots=True)
class Script:
    """`tokens` tokens, one every `pause_s`; without a pause, as fast as the connection takes them.

    With `turn_every`, the provider's event loop turns after so many tokens, so that an answer comes in several reads.
    `team` answers. `protocol` is that of the client.
    """

    tokens: int
    pause_s: float = 0.0
    turn_every: int = 0
    team: str = "solo"
    protocol: str = CHAT

    def question(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, question: str) -> "Script":
        return cls(**json.loads(question))


def microseconds() -> int:
    return time.monotonic_ns() // 1_000


def stamp() -> bytes:
    return b"@%014d " % microseconds()


@dataclass(frozen=True, slots=True)
class History:
    """`turns` earlier questions (about 100 characters) and answers (about 600) are sent with each question.

    With a `name`, each question belongs to a conversation of its own, which the server stores under that name.
    """

    turns: int = 0
    name: str = ""

    def request(self, script: Script, place: int) -> bytes:
        """The HTTP request of the question number `place`, from 0."""
        asked = {"role": "user", "content": script.question().ljust(100)}
        messages = [message for turn in range(self.turns) for message in _turn(turn)]
        protocol = PROTOCOLS[script.protocol]
        body = json.dumps(protocol.body(script.team, [*messages, asked])).encode()
        head = (
            f"POST {protocol.path.format(team=script.team)} HTTP/1.1",
            "Host: localhost",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
            *(f"{name}: {value}" for name, value in protocol.headers.items()),
            *([f"X-Conversation-Id: {self.name}-{place}"] if self.name else []),
        )
        return "\r\n".join((*head, "", "")).encode() + body


NO_HISTORY: Final = History()


def _turn(number: int) -> tuple[dict[str, str], dict[str, str]]:
    """Every turn is different, and compresses about as well as real text."""
    chance = random.Random(number)  # noqa: S311 - nothing is secret
    question, answer = (" ".join(chance.choices(_WORDS, k=words)) for words in (18, 100))
    return {"role": "user", "content": f"{question}?"}, {"role": "assistant", "content": f"{answer}.\n"}
