"""Extracts the question that a person typed from a user message, without the text that their client added.

Open WebUI prepends its retrieval template to the last user message ("### Task:\\nRespond to the user query using the
provided context", then `<context>` with whole documents) and a list of attached files. Their words would mislead the
rules. Only routing drops them; the team gets the whole message.
"""

from typing import Final

RETRIEVAL: Final = "### Task:\nRespond to the user query using the provided context"


def routing_question(text: str) -> str:
    """The typed part of `text`, or all of it where no added text is recognised."""
    text = _without_files(text.strip())
    if text.startswith(RETRIEVAL):
        text = _without_files(_after_context(text))
    return text


def shortened(text: str, chars: int) -> str:
    """About `chars` characters from the beginning and the end, where instructions stand; pasted text is between."""
    if len(text) <= chars:
        return text
    tail = chars // 4
    return f"{text[: chars - tail]} … {text[-tail:]}"


def _without_files(text: str) -> str:
    if not text.startswith("<attached_files>"):
        return text
    return text.partition("</attached_files>")[2].strip() or text


def _after_context(text: str) -> str:
    # The last end tag is the template's: the documents before it may contain one too.
    rest = text.rpartition("</context>")[2].strip()
    quoted = rest.partition("<user_query>")[2].rpartition("</user_query>")[0].strip()
    return quoted or rest or text
