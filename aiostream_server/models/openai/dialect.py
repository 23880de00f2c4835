"""What one provider's model takes of the usual options: by its name at first, then by what it refuses.

OpenAI's reasoning models bound an answer by `max_completion_tokens` and take no `temperature`, most other servers know
`max_tokens` alone, and some refuse whatever they do not know. A refusal is learned once, for good.
https://platform.openai.com/docs/api-reference/chat/create
"""

import re
from collections.abc import Container, Mapping
from typing import Any, Final

import structlog
from autogen_core.models import ModelFamily

from aiostream_server.models.openai.messages import Wire

_BOUNDS: Final = ("max_tokens", "max_completion_tokens")
_DISPENSABLE: Final = ("stream_options", *_BOUNDS, "temperature", "top_p", "presence_penalty", "frequency_penalty")
_REASONING: Final = (ModelFamily.GPT_5, ModelFamily.O1, ModelFamily.O3, ModelFamily.O4)

# Of the option as such. "must be at most 2" is about its value, which is for whoever chose it to put right.
_REFUSAL: Final = re.compile(
    r"unsupported|not support|unknown|unrecognized|unexpected|not (?:permitted|allowed)|extra_forbidden", re.IGNORECASE
)

_log = structlog.get_logger()


class Dialect:
    """One provider's. `family` is AutoGen's word for the model's."""

    def __init__(self, family: str, configured: Mapping[str, Any]) -> None:
        is_new = family in _REASONING or "max_completion_tokens" in configured
        self._bounds = _BOUNDS[::-1] if is_new else _BOUNDS
        self._configured = configured
        self._refused: set[str] = set()

    def options(self, requested: Mapping[str, Any]) -> Wire:
        """The configured options and the request's own, which go before them, with one bound on the answer's length."""
        options: Wire = {"stream_options": {"include_usage": True}, **self._configured, **requested}
        bounds = (asked.get(name) for asked in (requested, self._configured) for name in self._bounds)
        bound = next((bound for bound in bounds if bound is not None), None)
        name = next((name for name in self._bounds if name not in self._refused), None)
        dropped = {*self._refused, *_BOUNDS}
        options = {key: value for key, value in options.items() if key not in dropped}
        return options if bound is None or name is None else {**options, name: bound}

    def learn(self, sent: Container[str], status: int, error: bytes) -> bool:
        """Whether the same request would be sent otherwise from now on, after this refusal of what was `sent`."""
        if status not in (400, 422):
            return False
        text = error.decode("utf-8", "replace")
        named = {name for name in _DISPENSABLE if name in sent and re.search(rf"\b{name}\b", text)}
        if not _REFUSAL.search(text):
            named &= {"stream_options"}  # never a user's own: whatever is wrong with it, it can be left out
        for name in sorted(named - self._refused):
            _log.warning("model_option_refused", option=name)
        self._refused |= named
        return bool(named)
