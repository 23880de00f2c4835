"""Classifies what a provider says when it fails: a status, its codes and its words become one class of `errors`.

Providers agree on few codes, so each kind is recognised by whatever tells it: OpenAI's and Azure's codes, Anthropic's
and LiteLLM's class names, Gemini's `status`, and the phrases that vLLM, SGLang, llama.cpp, Ollama, TGI, Mistral, Groq,
DeepSeek, Moonshot, Qwen, xAI and Bedrock use. Only an error's codes and messages are read, never a prompt that a
validation error repeats.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final

from aiostream_server import errors
from aiostream_server.errors import ModelFailed

_MOST_CHARS: Final = 4_000
_MOST_DEPTH: Final = 6
_TELLING: Final = frozenset(
    {"code", "type", "status", "reason", "message", "msg", "error", "detail", "object", "title"}
)
_NESTED: Final = frozenset(
    {"error", "message", "errors", "detail", "details", "innererror", "metadata", "violations", "body"}
)
_UNSAID: Final = (0, 200)  # an error inside an answer

_CONTEXT: Final = re.compile(
    r"context[ _-]?(?:length|window|size|limit)|exceed_context|contextwindow|context the overflows"
    r"|\b(?:prompts?|inputs?|requests?|conversation|messages?)\b[^.\n]{0,60}\btoo (?:long|large)\b"
    r"|\b(?:prompt|input|inputs`?|requested) tokens?\b[^\n]{0,80}(?:exceed|more than|greater than|longer than|<=)"
    r"|\b(?:input|prompt) (?:\(\d+ tokens\)|token count|length)[^\n]{0,80}(?:exceed|longer than|should be)"
    r"|maximum (?:prompt|input|model|sequence|allowed content) (?:length|tokens|size)|model token limit"
    r"|too many (?:input |prompt )?tokens|exceeds? (?:the )?max(?:imum)? (?:input |prompt |content )?length"
    r"|reduce the length of the|number of tokens[^\n]{0,60}(?:exceed|greater than)"
)
_FILTER: Final = re.compile(
    r"content[ _-]?filter|content[ _-]?polic|content management policy|responsibleai|data_?inspection_?failed"
    r"|inappropriate content|content exists risk|considered high risk|\bflagged\b|prohibited_content"
    r"|content[ _-]?moderation|unsafe content|guardrail"
)
_QUOTA: Final = re.compile(
    r"insufficient[ _-]?(?:account )?(?:quota|balance|credits?|funds?)|credit balance|credit_limit|payment[ _]required"
    r"|(?:quota|balance|credits?)\b[^.\n]{0,30}\b(?:insufficient|depleted|used up|run out|too low|not enough)"
    r"|out of credits?|(?:no|any|all available|more) credits|not enough credits|exceeded_current_quota"
    r"|arrearage|overdue|billing[ _](?:hard[ _]limit|not[ _]active)"
)
_KEY: Final = re.compile(
    r"api[ _-]?key[^.\n]{0,40}(?:invalid|not valid|incorrect|missing|expired|revoked|required)|api_key_invalid"
    r"|(?:invalid|incorrect|wrong|missing)[ _](?:api[ _-]?key|authentication|credentials|auth)\b"
    r"|authentication_?error|permission_?(?:error|denied)|unauthorized|unauthenticated"
)
_RATE: Final = re.compile(r"rate[ _-]?limit|too[ _]many[ _]requests|resource[ _]exhausted|throttl|quota")
_OVERLOAD: Final = re.compile(
    r"overload|(?:over|at|no) capacity|capacity exceeded|unavailable|loading model|is loading"
)
_TIMEOUT: Final = re.compile(r"time[ _-]?out|timed[ _-]out|deadline[ _]exceeded")


def error_kind(status: int, error: object) -> type[ModelFailed]:
    """The class for an HTTP `status` and the decoded `error` (or its text). 200 is an error inside an answer."""
    said = words_in(error)
    status = _status_in(error) or status if status in _UNSAID else status
    is_unsaid = status in _UNSAID
    if status == 413 or (status not in (401, 402, 403, 404, 429) and _CONTEXT.search(said)):
        return errors.ContextTooLong
    if (status in (400, 403, 422, 451, 500) or is_unsaid) and _FILTER.search(said):
        return errors.ContentFiltered
    if status == 402 or ((status < 500 or is_unsaid) and _QUOTA.search(said)):
        return errors.QuotaExhausted
    if status in (401, 403, 407) or ((status in (400, 500) or is_unsaid) and _KEY.search(said)):
        return errors.ProviderRefused
    if status == 429 or (is_unsaid and _RATE.search(said)):
        return errors.RateLimited
    if status in (408, 504, 524) or (is_unsaid and _TIMEOUT.search(said)):
        return errors.ModelTimeout
    if status in (498, 503, 529) or ((status == 500 or is_unsaid) and _OVERLOAD.search(said)):
        return errors.ModelOverloaded
    return ModelFailed


LASTING: Final = (errors.ProviderRefused, errors.ContextTooLong, errors.ContentFiltered, errors.QuotaExhausted)
"""The kinds that no retry mends, whatever the status."""


def words_in(error: object) -> str:
    """The codes and the words of an error, in lower case, without what it repeats of the request."""
    return "\n".join(_said(error))[:_MOST_CHARS].lower()


def _said(error: object, depth: int = 0) -> Iterator[str]:
    """The codes and the words of an error, wherever providers put them."""
    match error:
        case str() | int():
            yield str(error)
        case list() if depth < _MOST_DEPTH:
            for each in error[:20]:
                yield from _said(each, depth + 1)
        case dict() if depth < _MOST_DEPTH:
            for key, value in error.items():
                if key in _NESTED or (key in _TELLING and isinstance(value, str | int)):
                    yield from _said(value, depth + 1)
                elif key in ("raw", "quotaId") and isinstance(value, str):
                    yield value


def _status_in(error: object) -> int | None:
    """The HTTP status that OpenRouter, Gemini and LiteLLM repeat as the error's `code`."""
    if isinstance(error, list) and error:
        error = error[0]
    if isinstance(error, Mapping):
        inner = error.get("error")
        source = inner if isinstance(inner, Mapping) else error
        for key in ("code", "status", "status_code"):
            found = source.get(key)
            if isinstance(found, str) and found.isascii() and found.isdecimal():
                found = int(found[:4])
            if type(found) is int and 400 <= found < 600:
                return found
    return None
