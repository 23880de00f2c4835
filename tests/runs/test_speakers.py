"""The last resort: it recognises what is stated, and is not fooled by what is mentioned."""

from typing import get_args

import pytest

from aiostream_server.config.model import SpeechRole
from aiostream_server.events import SpeechKind
from aiostream_server.runs.speakers import speech_kind

RECOGNISED: list[tuple[str, SpeechRole]] = [
    ("Validating the draft now.", "validation"),
    ("I'm validating the query against the schema.", "validation"),
    ("Now validating: one SELECT, two joins.", "validation"),
    ("Validation passed.", "validation"),
    ("Validation failed: unknown column.", "validation"),
    ("APPROVED: read-only.", "validation"),
    ("Not approved: it writes.", "validation"),
    ("Rejected: two statements.", "validation"),
    ("Blocked: DROP is not allowed.", "validation"),
    ("The query is valid and read-only.", "validation"),
    ("The SQL looks safe.", "validation"),
    ("This statement is not safe.", "validation"),
    ("✅ Validation passed", "validation"),
    ("Query: SELECT 1", "thinking"),
    ("SQL query: SELECT name FROM regions", "thinking"),
    ("Let me think about the joins.", "thinking"),
    ("First, I will read the schema.", "thinking"),
    ("First I'll look at the orders.", "thinking"),
    ("Plan: join orders with regions.", "thinking"),
    ("Let me check the tables.", "thinking"),
    ("In conclusion, the north leads.", "analysis"),
    ("In summary: sales rose.", "analysis"),
    ("To sum up, nothing changed.", "analysis"),
    ("4 rows returned.", "analysis"),
    ("1 row was returned", "analysis"),
    ("Key findings: the north leads.", "analysis"),
    ("The data shows a peak in May.", "analysis"),
    ("The results show growth.", "analysis"),
    ("**Analysis:** it grew.", "analysis"),
]

MENTIONED = [
    "",
    "Hello!",
    "I'll be happy to help.",
    "It is safe to travel there in winter.",
    "The code is in the second file.",
    "Here is a validation function for e-mail addresses.",
    "Validating is the act of checking something.",
    "Validating a form in HTML takes the attribute `required`.",
    "Approved drugs are listed by the agency.",
    "Blocked drains are best cleared with a plunger.",
    "Rejected manuscripts can be sent elsewhere.",
    "You asked whether the query is valid: it depends on your database.",
    "If the query is valid, run it.",
    "I don't know whether the code is safe.",
    "The answer is valid only for whole numbers.",
    "The answer is 42.",
    "Queries can be slow without an index.",
    "A query has a SELECT and a FROM.",
    "Your query was answered yesterday.",
    "Query languages are declarative.",
    "Your plan sounds good.",
    "My planet is Mars.",
    "The plan: a novel by an unknown author.",
    "Let me know if you need more.",
    "Let me seek a compromise.",
    "First, a joke.",
    "First I was afraid.",
    "Thinking about it makes me smile.",
    "I think so, too.",
    "It shows the results of the election.",
    "The database holds the data of 60 customers.",
    "The number showing on the dial is 7.",
    "A conclusion is the last part of an essay.",
    "In conclusions, avoid new arguments.",
    "Summaries should be short.",
    "The theatre has 12 rows.",
    "Twelve rows returned to their seats would be a joke.",
    "He read 12 rows returned by the query aloud, then stopped.",
    "12 rows of potatoes were planted.",
    "Finding a good book is hard.",
    "Insight is a rover on Mars.",
    "Analysis paralysis is a real thing.",
    "SELECT is a keyword of SQL.",
    "The word 'blocked' has seven letters.",
    "He said: in conclusion, I disagree.",
    "Is the statement safe?",
    "To concludes is bad grammar.",
    "Danger: this is unsafe at any speed.",
]


def test_the_lists_are_long_enough() -> None:
    assert len(set(MENTIONED)) >= 40
    assert len({text for text, _ in RECOGNISED}) >= 20


@pytest.mark.parametrize(("text", "kind"), RECOGNISED)
def test_recognised(text: str, kind: SpeechRole) -> None:
    assert speech_kind("Helper", text) == kind


@pytest.mark.parametrize("text", MENTIONED)
def test_not_fooled(text: str) -> None:
    assert speech_kind("Helper", text) == "message"


def test_what_comes_late_in_a_long_text_is_no_sign() -> None:
    assert speech_kind("Helper", "x " * 300 + "\nIn conclusion, no.") == "message"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("ValidationAgent", "validation"),
        ("code_reviewer", "validation"),
        ("QAChecker", "validation"),
        ("Critic", "validation"),
        ("DataAnalyst", "analysis"),
        ("Summarizer", "analysis"),
        ("ReportWriter", "analysis"),
        ("SQLAgent", "thinking"),
        ("MySQLHelper", "thinking"),
        ("planner", "thinking"),
        ("researcher_2", "thinking"),
        ("Previewer", "message"),
        ("CriticalCareNurse", "message"),
        ("Airplane", "message"),
        ("Consultant", "message"),
        ("Draft", "message"),
        ("Assistant", "message"),
        ("用户", "message"),
    ],
)
def test_names(name: str, kind: SpeechRole) -> None:
    assert speech_kind(name) == kind


def test_a_name_decides_before_words() -> None:
    assert speech_kind("Analyst", "Validation passed.") == "analysis"


def test_every_kind_of_speech_but_the_answer_is_a_role() -> None:
    """A kind without a role could be said by no agent: `[[teams]] roles` would refuse it."""
    assert {*get_args(SpeechRole)} == {*get_args(SpeechKind)} - {"final"}
