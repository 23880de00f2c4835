"""Text for labels, logs, errors and pages: on one line, printable, of limited length; and JSON on indented lines.

And the question that a person typed, out of a message to which the chat page added more.
"""

import json
from typing import Final

RETRIEVAL: Final = "### Task:\nRespond to the user query using the provided context"
"""How Open WebUI begins a question for which it searched in files."""


def one_line(text: object, most_chars: int | None = None) -> str:
    """The text with one space for each run of white space, at most `most_chars` characters long."""
    line = " ".join(str(text).split())
    return line if most_chars is None else clipped(line, most_chars)


def printable_line(text: str, most_chars: int | None = None) -> str:
    """Like `one_line`, and drops control characters and characters that hide or reverse other text."""
    return one_line("".join(char if char.isprintable() else " " for char in text), most_chars)


def clipped(text: str, most_chars: int) -> str:
    """The text in at most `most_chars` characters; text that was cut ends with "…"."""
    return text if len(text) <= most_chars else f"{text[: most_chars - 1].rstrip()}…"


def indented_json(value: object, *, margin: str = "\n") -> str:
    """Like `json.dumps(value, indent=2, ensure_ascii=False)`, for what is JSON: dicts have strings as keys.

    The standard library's takes longer, and leaves its functions to the garbage collector, 4 KiB each time.
    """
    inner = f"{margin}  "
    if isinstance(value, dict) and value:
        parts = [f"{_json(key)}: {indented_json(item, margin=inner)}" for key, item in value.items()]
        return f"{{{inner}{f',{inner}'.join(parts)}{margin}}}"
    if isinstance(value, list) and value:
        parts = [indented_json(item, margin=inner) for item in value]
        return f"[{inner}{f',{inner}'.join(parts)}{margin}]"
    return _json(value)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def shortened(text: str, chars: int) -> str:
    """About `chars` characters from the beginning and the end, where instructions stand; pasted text is between."""
    if len(text) <= chars:
        return text
    tail = chars // 4
    return f"{text[: chars - tail]} … {text[-tail:]}"


def typed_question(text: str) -> str:
    """The part of a user's message that a person typed, or all of it where no added text is recognised.

    Open WebUI puts its retrieval template before the question, with whole documents in `<context>`, and a list of
    attached files.
    """
    text = _without_files(text.strip())
    if text.startswith(RETRIEVAL):
        text = _without_files(_after_context(text))
    return text


def _without_files(text: str) -> str:
    if not text.startswith("<attached_files>"):
        return text
    return text.partition("</attached_files>")[2].strip() or text


def _after_context(text: str) -> str:
    # The last end tag is the template's: the documents before it may contain one too.
    rest = text.rpartition("</context>")[2].strip()
    quoted = rest.partition("<user_query>")[2].rpartition("</user_query>")[0].strip()
    return quoted or rest or text
