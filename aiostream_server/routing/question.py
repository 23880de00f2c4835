"""The question inside a user message: what a person typed, without what their client put around it.

Open WebUI prepends its retrieval template to the last user message ("### Task:\\nRespond to the user query using the
provided context", then `<context>` with whole documents) and a list of attached files. Both would be routed by their
own words. Only routing drops them: the team gets the whole message.
"""

from typing import Final

_RETRIEVAL: Final = "### Task:\nRespond to the user query using the provided context"


def routing_question(text: str) -> str:
    """The typed part of `text`, or all of it where nothing is recognised as wrapping."""
    text = _without_files(text.strip())
    if text.startswith(_RETRIEVAL):
        text = _without_files(_after_context(text))
    return text


def shortened(text: str, chars: int) -> str:
    """At most about `chars` of it: an instruction stands first or last, what is between is pasted material."""
    if len(text) <= chars:
        return text
    tail = chars // 4
    return f"{text[: chars - tail]} … {text[-tail:]}"


def _without_files(text: str) -> str:
    if not text.startswith("<attached_files>"):
        return text
    return text.partition("</attached_files>")[2].strip() or text


def _after_context(text: str) -> str:
    # The last end tag is the template's own: the documents before it may contain one as well.
    rest = text.rpartition("</context>")[2].strip()
    quoted = rest.partition("<user_query>")[2].rpartition("</user_query>")[0].strip()
    return quoted or rest or text
