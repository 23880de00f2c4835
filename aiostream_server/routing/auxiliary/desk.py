"""The desk that answers what clients ask beside the conversation, so that no team is run for it."""

import re
from dataclasses import dataclass
from typing import Final, Literal

from autogen_core.models import ChatCompletionClient

from aiostream_server.config.model import AuxiliaryConfig
from aiostream_server.events import TokenCount
from aiostream_server.intake.question import Question
from aiostream_server.routing.auxiliary.kinds import Auxiliary
from aiostream_server.routing.auxiliary.model import answer_with_model
from aiostream_server.routing.auxiliary.recognise import recognise
from aiostream_server.routing.auxiliary.rules import answer_by_rules

_MOST_CALLS: Final = 16
_NO_TOKENS: Final = TokenCount()


@dataclass(frozen=True, slots=True)
class AuxiliaryAnswer:
    """`usage` is what the model reported; nothing where none was asked."""

    text: str
    by: Literal["model", "rules"]
    usage: TokenCount = _NO_TOKENS


class AuxiliaryDesk:
    """Shared by all requests. The client stays its owner's to close.

    At most 16 calls of the model go on at once; what comes on top of them is answered without it.
    """

    def __init__(self, config: AuxiliaryConfig, client: ChatCompletionClient | None = None) -> None:
        """Without `client` everything is answered without a model."""
        self._patterns = tuple(re.compile(pattern) for pattern in config.patterns)
        self._timeout_s = config.timeout_s
        self._client = client
        self._calls = 0

    def recognise(self, question: Question, task: str | None, *, is_streamed: bool) -> Auxiliary | None:
        """None for a turn of a conversation. `task` is the task header's value, None where it was not sent."""
        return recognise(question, task, self._patterns, is_streamed=is_streamed)

    async def answer(self, auxiliary: Auxiliary, team_name: str = "") -> AuxiliaryAnswer:
        """Never fails. `team_name` is the tag, and the title of a conversation without words."""
        if self._client is not None and self._calls < _MOST_CALLS:
            self._calls += 1
            try:
                answer = await answer_with_model(auxiliary, self._client, timeout_s=self._timeout_s)
            finally:
                self._calls -= 1
            if answer is not None:
                return AuxiliaryAnswer(answer.text, "model", answer.usage)
        return AuxiliaryAnswer(answer_by_rules(auxiliary, team_name), "rules")
