"""No team runs for a title, and no question is answered with one."""

import re
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiostream_server.protocols.chat.request import ChatRequest, read_question
from aiostream_server.routing.auxiliary.kinds import KINDS, JsonKind
from aiostream_server.routing.auxiliary.recognise import PromptPattern, recognise
from tests.kit.cpu import takes_less_than
from tests.routing.auxiliary.cases import AUXILIARY, CASES, TURNS, rendered

_TITLE = rendered("0_12_4 generate_title short")
_PROMPT: str = _TITLE.body["messages"][0]["content"]


def _chat(*texts: str, system: str = "", **fields: Any) -> ChatRequest:
    roles = ("user", "assistant")
    messages = [{"role": roles[number % 2], "content": text} for number, text in enumerate(texts)]
    before = [{"role": "system", "content": system}] if system else []
    return ChatRequest.model_validate({"model": "data", "messages": [*before, *messages], **fields})


def _request(body: dict[str, Any]) -> ChatRequest:
    return ChatRequest.model_validate(body)


def _kind(chat: ChatRequest, task: str | None = None, *patterns: str) -> str | None:
    compiled = [PromptPattern(re.compile(pattern)) for pattern in patterns]
    found = recognise(read_question(chat), task, compiled, is_streamed=chat.stream)
    return None if found is None else found.kind


class TestTheCorpus:
    def test_is_large_and_has_every_kind_of_both_versions(self) -> None:
        new = {case.kind for case in AUXILIARY if "0_12_4" in case.name}
        old = {case.kind for case in AUXILIARY if "0_6_36" in case.name}
        assert len(AUXILIARY) >= 200
        assert len(TURNS) >= 150
        assert new == KINDS.keys() - {"plain_title", "plain_tags", "unknown"}
        assert old == new - {"context_compaction", "memory_review"}

    def test_is_told_apart_without_a_mistake(self) -> None:
        tasks = {case.name: case.task if case in TURNS else None for case in CASES}
        wrong = [case.name for case in CASES if _kind(_request(case.body), tasks[case.name]) != case.kind]
        assert not wrong

    def test_is_told_apart_by_the_header_alone(self) -> None:
        assert all(_kind(_request(case.body), case.task) == case.kind for case in AUXILIARY)
        assert not [case.name for case in CASES if _kind(_request(case.body), "")]

    def test_does_not_need_line_ends_as_they_were(self) -> None:
        """Proxies and filters trim."""
        for case in AUXILIARY:
            body = {**case.body, "messages": [dict(message) for message in case.body["messages"]]}
            body["messages"][-1]["content"] = body["messages"][-1]["content"].strip()
            assert _kind(ChatRequest.model_validate(body)) == case.kind, case.name

    def test_is_told_apart_when_content_comes_in_parts(self) -> None:
        for case in AUXILIARY:
            messages = [
                {**message, "content": [{"type": "text", "text": message["content"]}]}
                for message in case.body["messages"]
            ]
            assert _kind(ChatRequest.model_validate({**case.body, "messages": messages})) == case.kind, case.name


class TestTheTaskHeader:
    @pytest.mark.parametrize("kind", sorted(KINDS))
    def test_names_the_kind_whatever_the_prompt_says(self, kind: str) -> None:
        assert _kind(_chat("Erzeuge einen Titel.", stream=True), kind) == kind

    @pytest.mark.parametrize("empty", ["", " ", "\t"])
    def test_is_empty_for_a_turn_whatever_the_prompt_says(self, empty: str) -> None:
        assert _kind(_request(_TITLE.body), empty, ".") is None

    def test_may_name_a_task_of_the_future(self) -> None:
        assert _kind(_request(_TITLE.body), "short_title_generation") == "title_generation"
        assert _kind(_chat("What now?"), "mood_generation") == "unknown"

    @pytest.mark.parametrize("value", ["{{TASK}}", "None", "null", "task", "Sum up the sales", "a_" * 40, "täsk_x"])
    def test_that_names_no_task_says_nothing(self, value: str) -> None:
        """0.6.36 does not fill templates in: `{{TASK}}` comes with every request."""
        assert _kind(_chat("What is 2+3?"), value) is None
        assert _kind(_request(_TITLE.body), value) == "title_generation"


class TestEditedPrompts:
    def test_are_known_by_their_frame(self) -> None:
        edited = _PROMPT.replace("Generate a concise title summarizing the chat history.", "Gib dem Chat einen Titel.")
        assert edited != _PROMPT
        assert _kind(_chat(edited)) == "title_generation"

    @pytest.mark.parametrize(
        ("there", "instead"),
        [
            ("### Output:\n", "### Answer:\n"),
            ('"title"', '"name"'),
            ("### Chat History:\n", ""),
            ("<chat_history>\nUSER: ", "<chat_history>\n"),
            ("</chat_history>", "</chat_history>\nWhat is this?"),
        ],
    )
    def test_are_not_known_by_a_part_of_it(self, there: str, instead: str) -> None:
        edited = _PROMPT.replace("Generate a concise title summarizing the chat history.", "Gib dem Chat einen Titel.")
        assert there in edited
        assert _kind(_chat(edited.replace(there, instead))) is None

    def test_are_known_by_their_wording_where_the_frame_is_gone(self) -> None:
        """As those of other apps are; the answer has the key that they ask for."""
        edited = _chat(_PROMPT.replace("### Task:\n", "Please:\n"))
        found = recognise(read_question(edited), None, is_streamed=False)
        assert found is not None
        assert (found.kind, found.wrapping.fields) == ("plain_title", (("title", "text"),))

    def test_are_known_by_the_administrators_patterns(self) -> None:
        prompt = 'Erzeuge einen Titel: { "title": "..." }\nUSER: Hallo'
        assert _kind(_chat(prompt)) is None
        assert _kind(_chat(prompt), None, "^nichts", "^Erzeuge einen Titel") == "title_generation"
        assert _kind(_chat(prompt, stream=True), None, "^Erzeuge") == "title_generation"

    @pytest.mark.parametrize(
        ("prompt", "system", "kind"),
        [
            ("Schlagworte bitte.", "", "unknown"),
            ("Schlagworte bitte. (tags_generation)", "", "tags_generation"),
            ("Query: Wetter?", 'Schlagworte bitte: {"tool_calls" : []}', "function_calling"),
        ],
    )
    def test_are_of_the_kind_that_the_pattern_or_the_json_key_tells(self, prompt: str, system: str, kind: str) -> None:
        patterns = (r"\((?P<tags_generation>tags_generation)\)", "^Schlagworte")
        assert _kind(_chat(prompt, system=system), None, *patterns) == kind

    def test_a_pattern_takes_no_turn_of_a_conversation(self) -> None:
        files = '<attached_files>\n<file name="a"/>\n</attached_files>\n\nTitel?'
        assert _kind(_chat("Titel?", "Welcher?", "Der Titel."), None, "Titel") is None
        assert _kind(_chat(files), None, "Titel") is None

    def test_a_pattern_reads_only_the_beginning(self) -> None:
        assert _kind(_chat("x" * 8_000 + "Titel"), None, "Titel") is None


def test_a_models_own_system_prompt_changes_nothing() -> None:
    assert _kind(_chat(_PROMPT, system="You are a pirate.")) == "title_generation"


def test_what_a_page_streams_is_a_turn() -> None:
    """But for a merge of answers, which Open WebUI's page streams."""
    streamed = [case for case in AUXILIARY if _kind(ChatRequest.model_validate({**case.body, "stream": True}))]
    assert {case.kind for case in streamed} == {"moa_response_generation"}


def test_librechats_question_for_a_title() -> None:
    prompt = (
        "Provide a concise, 5-word-or-less title for the conversation, using title case conventions. "
        "Only return the title itself.\n\nConversation:\nUser: Who wrote Hamlet?\nAI: Shakespeare."
    )
    assert _kind(_chat(prompt)) == "plain_title"
    assert _kind(_chat(prompt, stream=True)) == "plain_title"
    assert _kind(_chat(f"Why this? {prompt}")) is None


def test_every_json_kind_is_a_kind() -> None:
    assert set(get_args(JsonKind)) < KINDS.keys()


@given(st.text().filter(str.strip) | st.text().map("### Task:\n".__add__) | st.text().map(_PROMPT.__add__))
def test_text_of_any_kind_is_a_turn_or_ends_as_the_template(text: str) -> None:
    assert text.strip().endswith("</chat_history>") or _kind(_chat(text)) is None


@pytest.mark.parametrize(
    "filler",
    [" ", "\n", "x", "<chat_history>\nUSER: ", "\n### Output:\n\n\n", "</context>", '"""\n\n', "USER: a\n"],
)
@pytest.mark.parametrize("kind", ["title", "queries", "autocompletion search query", "emoji", "moa_response True"])
def test_a_megabyte_takes_milliseconds(kind: str, filler: str) -> None:
    """A quadratic reading would take minutes."""
    prompt: str = rendered(f"0_12_4 generate_{kind} short").body["messages"][0]["content"]
    inside = _chat(prompt.replace("What were", filler * (1_000_000 // len(filler)) + "What were", 1))
    behind = _chat(prompt + filler * (1_000_000 // len(filler)))
    with takes_less_than(1):
        _kind(inside)
        _kind(behind)
