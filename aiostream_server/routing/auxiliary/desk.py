"""Answers auxiliary questions without a team: with a small model where one is configured, otherwise by rules.

The model gets the client's own prompt: that is the instruction. Its answer is used only if it is what the client can
parse, whatever the conversation in the prompt says. Otherwise rules answer.
"""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import structlog
from autogen_core.models import ChatCompletionClient, LLMMessage, SystemMessage, UserMessage

from aiostream_server.config.model import AuxiliaryConfig
from aiostream_server.events import TokenCount
from aiostream_server.intake.question import Question
from aiostream_server.routing.auxiliary.follow_ups import fixed_replies
from aiostream_server.routing.auxiliary.history import condensed
from aiostream_server.routing.auxiliary.kinds import JSON_KINDS, Auxiliary
from aiostream_server.routing.auxiliary.language import language_of
from aiostream_server.routing.auxiliary.recognise import PromptPattern, recognise
from aiostream_server.routing.auxiliary.rules import answer_by_rules
from aiostream_server.routing.auxiliary.shapes import usable_answer
from aiostream_server.text import shortened

_log: Final = structlog.get_logger()
_MAX_CALLS: Final = 16
_PROMPT_CHARS: Final = 200_000
_MAX_TURNS: Final = 40
_TURN_CHARS: Final = 4_000
_NO_TOKENS: Final = TokenCount()


@dataclass(frozen=True, slots=True)
class AuxiliaryAnswer:
    """`usage` is what the model reported; nothing where no model was asked."""

    text: str
    by: Literal["model", "rules"]
    usage: TokenCount = _NO_TOKENS


class AuxiliaryDesk:
    """Shared by all requests. Does not close its client.

    At most 16 model calls run at once; rules answer the questions beyond them.
    """

    def __init__(self, config: AuxiliaryConfig, client: ChatCompletionClient | None = None) -> None:
        """Without a `client`, rules answer everything."""
        self._patterns = tuple(
            PromptPattern(re.compile(entry.pattern), entry.place, entry.answer) for entry in config.patterns
        )
        self._timeout_s = config.timeout_s
        self._client = client
        self._calls = 0

    def recognise(self, question: Question, task: str | None, *, is_streamed: bool) -> Auxiliary | None:
        """None for a turn of a conversation. `task` is the task header's value, None where it was not sent."""
        return recognise(question, task, self._patterns, is_streamed=is_streamed)

    async def answer(self, auxiliary: Auxiliary, team_name: str = "", examples: Sequence[str] = ()) -> AuxiliaryAnswer:
        """Never fails. `team_name` is the tag, and the title of a conversation without words.

        `examples` are questions that the team answers. Replies that its last message asks for need no model.
        """
        has_replies = auxiliary.kind == "follow_up_generation" and fixed_replies(auxiliary.prompt)
        if self._client is not None and self._calls < _MAX_CALLS and not has_replies:
            self._calls += 1
            try:
                answer = await _ask_model(auxiliary, self._client, timeout_s=self._timeout_s)
            finally:
                self._calls -= 1
            if answer is not None:
                return answer
        return AuxiliaryAnswer(answer_by_rules(auxiliary, team_name, examples), "rules")


async def _ask_model(auxiliary: Auxiliary, client: ChatCompletionClient, *, timeout_s: float) -> AuxiliaryAnswer | None:
    """None where the model gave no usable answer within `timeout_s`; the log says why."""
    prompt = _prompt(auxiliary)
    if len(prompt) + len(auxiliary.system) > _PROMPT_CHARS:
        _log.info("auxiliary_prompt_too_long", kind=auxiliary.kind, chars=len(prompt) + len(auxiliary.system))
        return None
    messages: list[LLMMessage] = [SystemMessage(content=auxiliary.system)] if auxiliary.system else []
    messages.append(UserMessage(content=prompt, source="user"))
    is_json = auxiliary.kind in JSON_KINDS or bool(auxiliary.wrapping.fields)
    try:
        async with asyncio.timeout(timeout_s):
            result = await client.create(messages, json_output=is_json and client.model_info["json_output"])
    except TimeoutError:
        _log.warning("auxiliary_model_timed_out", kind=auxiliary.kind, timeout_s=timeout_s)
        return None
    except Exception as exc:  # a configured component may raise anything
        _log.warning("auxiliary_model_failed", kind=auxiliary.kind, error=type(exc).__name__)
        return None
    is_whole = is_json or result.finish_reason != "length"  # half an object does not parse anyway
    written = result.content if is_whole and isinstance(result.content, str) else ""
    text = usable_answer(auxiliary.kind, written)
    if text is None:
        _log.warning("auxiliary_model_answer_unusable", kind=auxiliary.kind, finish_reason=result.finish_reason)
        return None
    usage = TokenCount(result.usage.prompt_tokens, result.usage.completion_tokens)
    return AuxiliaryAnswer(auxiliary.wrapping.around(text, language_of(text)), "model", usage)


def _prompt(auxiliary: Auxiliary) -> str:
    """Messages that stand beside the instruction come before it, as lines of one prompt."""
    lines = [f"{said.role}: {shortened(said.text, _TURN_CHARS)}" for said in auxiliary.said[-_MAX_TURNS:]]
    return "\n".join(lines) + f"\n\n{auxiliary.prompt}" if lines else condensed(auxiliary.prompt)
