"""What a person typed is told from the text that the chat page added."""

import pytest

from aiostream_server.text import shortened, typed_question

_RETRIEVAL = """### Task:
Respond to the user query using the provided context, incorporating inline citations in the format [id].

### Output:
Provide a clear and direct response to the user's query.

<context>
<source id="1">Sales by region. A stray </context> tag. Revenue per month.</source>
</context>
"""
_FILES = '<attached_files>\n<file type="file" name="sales.csv"/>\n</attached_files>\n\n'


@pytest.mark.parametrize(
    ("message", "question"),
    [
        ("  Who wrote Hamlet? ", "Who wrote Hamlet?"),
        (_RETRIEVAL + "\nWho wrote Hamlet?", "Who wrote Hamlet?"),
        (_RETRIEVAL + "<user_query>\nWho wrote Hamlet?\n</user_query>\n", "Who wrote Hamlet?"),
        (_FILES + "Who wrote Hamlet?", "Who wrote Hamlet?"),
        (_FILES + _RETRIEVAL + "Who wrote Hamlet?", "Who wrote Hamlet?"),
        (_RETRIEVAL + _FILES + "Who wrote Hamlet?", "Who wrote Hamlet?"),
        ("### Task:\nTranslate this.", "### Task:\nTranslate this."),
        ("", ""),
    ],
)
def test_text_that_the_client_added_is_dropped(message: str, question: str) -> None:
    assert typed_question(message) == question


@pytest.mark.parametrize("message", [_RETRIEVAL.strip(), _FILES.strip(), "<attached_files>never closed"])
def test_added_text_without_a_question_stays(message: str) -> None:
    """Routing by the added text is better than routing by nothing."""
    assert typed_question(message) == message


def test_shortened_keeps_both_ends() -> None:
    assert shortened("question", 8) == "question"
    assert shortened("a" * 50 + "b" * 50, 40) == "a" * 30 + " … " + "b" * 10
