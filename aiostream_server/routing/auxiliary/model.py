"""Answers with a small model: one call, whose answer is used only where it is what the client can parse.

The model gets the client's own prompt: that is the instruction. Nothing of it is for us, and whatever stands in the
conversation that it quotes, the answer is checked text of the kind that was asked for, or None.
"""

import asyncio
from dataclasses import dataclass
from typing import Final

import structlog
from autogen_core.models import ChatCompletionClient, CreateResult, LLMMessage, SystemMessage, UserMessage

from aiostream_server.events.model import TokenCount
from aiostream_server.routing.auxiliary.history import condensed
from aiostream_server.routing.auxiliary.kinds import JSON_KINDS, Auxiliary
from aiostream_server.routing.auxiliary.shapes import usable_answer

_log: Final = structlog.get_logger()
_PROMPT_CHARS: Final = 200_000


@dataclass(frozen=True, slots=True)
class ModelAnswer:
    """`text` is what the client parses."""

    text: str
    usage: TokenCount


async def answer_with_model(
    auxiliary: Auxiliary, client: ChatCompletionClient, *, timeout_s: float
) -> ModelAnswer | None:
    """None where the model gave no usable answer within `timeout_s`; the log says why."""
    prompt = condensed(auxiliary.prompt)
    if len(prompt) + len(auxiliary.system) > _PROMPT_CHARS:
        _log.info("auxiliary_prompt_too_long", kind=auxiliary.kind, chars=len(prompt) + len(auxiliary.system))
        return None
    try:
        async with asyncio.timeout(timeout_s):
            result = await client.create(_messages(auxiliary, prompt), json_output=_json_output(auxiliary, client))
    except TimeoutError:
        _log.warning("auxiliary_model_timed_out", kind=auxiliary.kind, timeout_s=timeout_s)
        return None
    except Exception as exc:  # a configured component may raise anything; there is an answer without it
        _log.warning("auxiliary_model_failed", kind=auxiliary.kind, error=type(exc).__name__)
        return None
    text = _usable(auxiliary, result)
    if text is None:
        _log.warning("auxiliary_model_answer_unusable", kind=auxiliary.kind, finish_reason=result.finish_reason)
        return None
    return ModelAnswer(text, TokenCount(result.usage.prompt_tokens, result.usage.completion_tokens))


def _messages(auxiliary: Auxiliary, prompt: str) -> list[LLMMessage]:
    system: list[LLMMessage] = [SystemMessage(content=auxiliary.system)] if auxiliary.system else []
    return [*system, UserMessage(content=prompt, source="user")]


def _json_output(auxiliary: Auxiliary, client: ChatCompletionClient) -> bool:
    return auxiliary.kind in JSON_KINDS and client.model_info["json_output"]


def _usable(auxiliary: Auxiliary, result: CreateResult) -> str | None:
    is_whole = auxiliary.kind in JSON_KINDS or result.finish_reason != "length"  # half an object does not parse anyway
    return usable_answer(auxiliary.kind, result.content) if is_whole and isinstance(result.content, str) else None
