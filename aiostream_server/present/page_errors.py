"""What a user of a chat page reads in its error box: what happened and what to do, in plain sentences.

The message of an error is worded for programs and operators: it names fields, HTTP statuses and tables of the
configuration. The user of a page can act on none of these.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_AGAIN: Final = "Ask again. If it fails again, tell the operator of this server."
_SOON: Final = "Ask again in a moment."
_OPERATOR: Final = "Only the operator of this server can mend that."
_LASTING: Final = "Asking again at once will not help: tell the operator of this server."
_ADMINISTRATOR: Final = "Tell the administrator of this page."
_LESS: Final = "Ask for less at once."
_SHORTER: Final = "Begin a new chat, or ask with fewer and shorter files."


@dataclass(frozen=True, slots=True)
class _Words:
    """`what` is empty where the error's own message says it; `advice` where that does, too."""

    what: str
    advice: str = ""


_BY_CODE: Final[Mapping[str, _Words]] = {
    "internal_error": _Words("The server made a mistake.", _AGAIN),
    "invalid_api_key": _Words("This server does not accept the page's API key.", _ADMINISTRATOR),
    "forbidden": _Words("The page's API key does not allow this.", f"Choose another model. {_ADMINISTRATOR}"),
    "model_not_found": _Words("This model is no longer offered.", "Choose another one at the top of the page."),
    "request_timeout": _Words("The question did not arrive completely.", "Send it again."),
    "request_too_large": _Words("The question is too large with its files and pictures.", _SHORTER),
    "shutting_down": _Words("The server is being restarted.", _SOON),
    "runs_unavailable": _Words("The server cannot take questions at the moment.", _SOON),
    "team_failed": _Words("", _AGAIN),
    "model_failed": _Words("", _AGAIN),
    "provider_refused": _Words("The model's provider does not accept this server's key.", _OPERATOR),
    "context_length_exceeded": _Words("This chat is longer than the model can read.", _SHORTER),
    "content_filter": _Words(
        "The content filter of the model's provider refused this chat.", "Put the question in other words."
    ),
    "rate_limit_exceeded": _Words("The model is asked too often at the moment.", _SOON),
    "insufficient_quota": _Words("This server's account with the model's provider has no credit left.", _OPERATOR),
    "model_overloaded": _Words("The model is overloaded.", _SOON),
    "model_timeout": _Words("The model took too long to answer.", _AGAIN),
    "tool_failed": _Words("A tool that the team needs is not available.", _AGAIN),
    "too_many_turns": _Words("The agents took as many turns as they may.", _LESS),
    "too_many_tool_calls": _Words("The agents used their tools as often as they may.", _LESS),
    "run_timeout": _Words("The answer took longer than it may.", _LESS),
    "idle_timeout": _Words("The team said nothing for too long, and was stopped.", _AGAIN),
}
_INVALID: Final = (
    (re.compile(r"content: is empty$"), _Words("The question is empty.", "Write something, or add a picture.")),
    (
        re.compile(r"cannot see images"),
        _Words("This model cannot see pictures.", "Send text, or choose another model."),
    ),
    (
        re.compile(r"^messages: the images of all messages"),
        _Words("The pictures of this chat are too large together.", "Send smaller ones, or begin a new chat."),
    ),
    (
        re.compile(r"does not fetch URLs"),
        _Words("Of a picture only its address arrived.", "Attach it as a file."),
    ),
    (
        re.compile(r"image_url|\bimage\b"),
        _Words("A picture is damaged, or of another kind than PNG, JPEG, GIF and WebP.", "Send another one."),
    ),
)
_OTHER_INVALID: Final = "The page sent something that this server does not take"

_TABLE: Final = re.compile(r" (?:of|in) \[[^\]\s]*\]")
_PROVIDER: Final = re.compile(r"\bthe model provider\b(?: at \S+)?")
_ANSWERED: Final = re.compile(r"\banswered [1-5][0-9]{2}\b[A-Za-z' -]*")
_EXCEPTION: Final = re.compile(r"\b[A-Za-z][A-Za-z0-9_.]*(?:Error|Exception): ")
_TOOL: Final = re.compile(r'(?:the )?tool "[^"\n]{1,100}" is not available')
_LONG_WAIT_S: Final = 90


def in_plain_words(code: str, message: str, *, retry_after_s: float | None = None, lasting: bool = False) -> str:
    """One or more whole sentences. `code` and `message` are an error's; `lasting` as in `events.Error`."""
    words = _words(code, message)
    advice = words.advice
    if advice == _SOON and retry_after_s is not None and retry_after_s > 1:
        advice = f"Ask again in {_wait(retry_after_s)}."
    elif advice == _AGAIN and lasting:
        advice = _LASTING
    return f"{words.what or _sentence(message)} {advice}".rstrip()


def _words(code: str, message: str) -> _Words:
    if code == "invalid_request":
        found = next((words for pattern, words in _INVALID if pattern.search(message)), None)
        return found or _Words(f"{_OTHER_INVALID}: {_end(message)}", _ADMINISTRATOR)
    if code == "tool_failed" and (named := _TOOL.search(message)):
        return _Words(_sentence(named[0]), _AGAIN)
    return _BY_CODE.get(code, _Words(""))


def _sentence(message: str) -> str:
    """The message as a sentence, without what only an operator understands."""
    text = _PROVIDER.sub("the model's provider", _TABLE.sub("", _EXCEPTION.sub("", message)))
    text = _ANSWERED.sub("failed", text).strip()
    return _end(text[:1].upper() + text[1:])


def _end(text: str) -> str:
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."


def _wait(seconds: float) -> str:
    minutes = -(-seconds // 60)
    return f"{minutes:.0f} minutes" if seconds > _LONG_WAIT_S else f"{-(-seconds // 1):.0f} seconds"
