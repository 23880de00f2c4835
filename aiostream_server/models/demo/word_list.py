"""Lists of words, written as text."""


def word_list(text: str) -> tuple[str, ...]:
    """The words of a text, in its order."""
    return tuple(text.split())
