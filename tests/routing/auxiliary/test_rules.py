"""Without a model every auxiliary question has an answer, in the shape that Open WebUI parses."""

import json
from typing import Any

import pytest

from aiostream_server.routing.auxiliary.kinds import JSON_KEYS, JSON_KINDS, Auxiliary, AuxiliaryKind
from aiostream_server.routing.auxiliary.recognise import recognise
from aiostream_server.routing.auxiliary.rules import answer_by_rules
from tests.kit.cpu import takes_less_than
from tests.routing.auxiliary.cases import AUXILIARY, Case, recognised

_TEMPLATE = "### Chat History:\n<chat_history>\n{}\n</chat_history>"
_RETRIEVAL = (
    "### Task:\nRespond to the user query using the provided context.\n<context>\n{}\n</context>\n\n"
    "<user_query>\nWho wrote Hamlet?\n</user_query>"
)


def _as_open_webui_reads(kind: AuxiliaryKind, answer: str) -> Any:
    """`utils/middleware.py`: from the first brace to the last; 0.12.4 begins at the last one for these two."""
    if kind in ("query_generation", "image_prompt_generation"):
        assert answer.find("{") == answer.rfind("{")
    return json.loads(answer[answer.find("{") : answer.rfind("}") + 1])


def _answer(kind: AuxiliaryKind, history: str, team: str = "") -> Any:
    return json.loads(answer_by_rules(Auxiliary(kind, _TEMPLATE.format(history)), team))[JSON_KEYS[JSON_KINDS[kind]]]


def _title(history: str, team: str = "") -> Any:
    return _answer("title_generation", history, team)


@pytest.mark.parametrize("case", AUXILIARY, ids=[case.name for case in AUXILIARY])
def test_every_prompt_of_open_webui_is_answered_in_the_right_shape(case: Case) -> None:
    auxiliary = recognise(case.question, None, is_streamed=case.is_streamed)
    assert auxiliary is not None
    answer = answer_by_rules(auxiliary, "Data analysis")
    assert answer
    if (kind := JSON_KINDS.get(auxiliary.kind)) is None:
        return
    parsed = _as_open_webui_reads(kind, answer)
    assert list(parsed) == [JSON_KEYS[kind]]
    value = parsed[JSON_KEYS[kind]]
    match kind:
        case "title_generation" | "image_prompt_generation":
            assert isinstance(value, str)
            assert value
        case "autocomplete_generation":
            assert value == ""
        case "tags_generation":
            assert value == ["Data analysis"]
        case "query_generation":
            assert len(value) == 1
            assert value[0]
        case _:
            assert value == []


class TestTitles:
    @pytest.mark.parametrize(
        ("name", "title"),
        [
            ("short", "What were our total sales by…"),
            ("german", "Welche Kunden haben im März am…"),
            ("japanese", "先月の売上を地域別に教えてください"),
            ("arabic", "ما هي أفضل ثلاثة منتجات مبيعًا…"),
            ("code", "Why is this not valid?"),
            ("braces", "Explain the LaTeX \\frac{a}{b} and the…"),
            ("quotes_tags", "What does </chat_history> mean?"),
        ],
    )
    def test_are_the_first_words_of_the_question(self, name: str, title: str) -> None:
        for version in ("0_12_4", "0_6_36"):
            answer = answer_by_rules(recognised(f"{version} generate_title {name}"))
            assert _as_open_webui_reads("title_generation", answer) == {"title": title}

    def test_come_from_what_was_typed_not_from_what_wraps_it(self) -> None:
        wrapped = _RETRIEVAL.format("A chat:\nUSER: Sell!\nASSISTANT: No.\n</context> and so on")
        assert _title(f"USER: {wrapped}\nASSISTANT: Shakespeare.") == "Who wrote Hamlet?"
        files = '<attached_files>\n<file name="sales.csv"/>\n</attached_files>\n\n'
        assert _title(f"USER: {files}Who wrote Hamlet?") == "Who wrote Hamlet?"

    def test_are_the_users_even_where_the_team_speaks_first(self) -> None:
        assert _title("ASSISTANT: ✅ **Writer**\n\nHello!\nUSER: Who wrote Hamlet?") == "Who wrote Hamlet?"

    @pytest.mark.parametrize("history", ["USER: None", "USER: ", "", "USER: ***", "ASSISTANT: hi"])
    def test_of_a_conversation_without_words_are_the_teams_name(self, history: str) -> None:
        assert _title(history, "Data analysis") == "Data analysis"
        assert _title(history) == "New Chat"

    def test_are_plain_text_where_no_json_is_wanted(self) -> None:
        prompt = "Provide a title.\n\nConversation:\nUser: Who wrote Hamlet?\nAI: Shakespeare."
        assert answer_by_rules(Auxiliary("plain_title", prompt)) == "Who wrote Hamlet?"
        assert answer_by_rules(Auxiliary("unknown", prompt)) == "Who wrote Hamlet?"


def test_queries_and_image_prompts_are_the_last_question() -> None:
    history = "USER: Hello\nASSISTANT: Hi\nUSER: A cat {in a hat}\nASSISTANT: Meow"
    assert _answer("query_generation", history) == ["A cat {in a hat}"]
    assert _answer("image_prompt_generation", history) == "A cat {in a hat}"
    assert _answer("query_generation", "ASSISTANT: hi") == []


def test_tags_without_a_team_are_general() -> None:
    assert _answer("tags_generation", "USER: hi") == ["General"]


@pytest.mark.parametrize(("message", "emoji"), [("I won!", "🙂"), ("Why?", "🤔")])
def test_an_emoji_is_one(message: str, emoji: str) -> None:
    assert answer_by_rules(Auxiliary("emoji_generation", f"Your task?\n\nMessage: ```{message}```")) == emoji


def test_a_merge_is_the_longest_answer_without_our_decoration() -> None:
    assert answer_by_rules(recognised("0_12_4 generate_moa_response True short")) == "Europe leads."
    assert answer_by_rules(Auxiliary("moa_response_generation", "nothing")) == "There is no response to merge."


class TestSummaries:
    def test_hold_the_older_summary_and_what_was_compacted_alone(self) -> None:
        summary = answer_by_rules(recognised("0_12_4 context_compaction short"))
        assert summary == "The user prefers tables.\n- user: What were our total sales by region last year?"

    def test_of_long_conversations_are_short(self) -> None:
        messages = "\n".join(
            f"USER: question {number} {'x' * 500}\nASSISTANT: answer {number}" for number in range(200)
        )
        prompt = (
            f"### Task:\n\n### Messages Being Compacted:\n{messages}\n\n### Recent Messages Kept In Context:\nUSER: hi"
        )
        summary = answer_by_rules(Auxiliary("context_compaction", prompt))
        assert "earlier messages are left out" in summary
        assert "- assistant: answer 199" in summary
        assert len(summary) < 9_000

    def test_of_nothing_say_so(self) -> None:
        assert answer_by_rules(Auxiliary("context_compaction", "### Task:")) == "Nothing was said before."


@pytest.mark.parametrize(
    "filler",
    [
        "USER: a\n",
        "ASSISTANT: <details>\n<summary>⚡</summary>\n",
        "USER: ### Task:\nRespond to the user query using the provided context\n",
        "x",
        "_",
    ],
)
@pytest.mark.parametrize("kind", ["title_generation", "query_generation", "context_compaction"])
def test_a_megabyte_of_history_takes_no_time(kind: AuxiliaryKind, filler: str) -> None:
    prompt = _TEMPLATE.format(f"USER: hi\n{filler * (1_000_000 // len(filler))}\nUSER: bye")
    with takes_less_than(1):
        assert answer_by_rules(Auxiliary(kind, prompt))
