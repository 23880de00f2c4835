"""Text from outside, made fit for a label, a log or an error: on one line, printable, of limited length."""


def one_line(text: object, most_chars: int | None = None) -> str:
    """The text with one space for each run of white space, at most `most_chars` characters long."""
    line = " ".join(str(text).split())
    return line if most_chars is None else clipped(line, most_chars)


def printable_line(text: str, most_chars: int | None = None) -> str:
    """As `one_line`, without control characters and characters that hide or reverse other text."""
    return one_line("".join(char if char.isprintable() else " " for char in text), most_chars)


def clipped(text: str, most_chars: int) -> str:
    """At most `most_chars` characters; text that was cut ends with "…"."""
    return text if len(text) <= most_chars else f"{text[: most_chars - 1].rstrip()}…"
