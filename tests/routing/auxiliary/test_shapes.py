"""Of what a model writes, only what the client can parse is passed on."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiostream_server.routing.auxiliary.kinds import JSON_KEYS, KINDS, AuxiliaryKind
from aiostream_server.routing.auxiliary.shapes import usable_answer


@pytest.mark.parametrize(
    ("kind", "written", "answer"),
    [
        ("title_generation", '{"title": "Sales by region"}', '{"title": "Sales by region"}'),
        ("title_generation", '```json\n{"title": " \\"**Sales**\\"\\n "}\n```', '{"title": "Sales"}'),
        ("title_generation", 'Sure! {"title": "📈 Sales"} Enjoy.', '{"title": "📈 Sales"}'),
        ("title_generation", '<think>{"title"?}</think>{"title": "A", "why": 1}', '{"title": "A"}'),
        ("title_generation", '{"title": "The {set}"}', '{"title": "The \\u007bset\\u007d"}'),
        ("tags_generation", '{"tags": ["a", " a ", "b", ""]}', '{"tags": ["a", "b"]}'),
        ("follow_up_generation", '{"follow_ups": ["Why?", "How?"]}', '{"follow_ups": ["Why?", "How?"]}'),
        ("follow_up_generation", '{"follow_ups": []}', '{"follow_ups": []}'),
        ("query_generation", '{"queries": ["1", "2", "3", "4"]}', '{"queries": ["1", "2", "3"]}'),
        ("query_generation", '{"queries": []}', '{"queries": []}'),
        ("image_prompt_generation", '{"prompt": "A cat"}', '{"prompt": "A cat"}'),
        ("autocomplete_generation", '{"text": ""}', '{"text": ""}'),
        ("autocomplete_generation", '{"text": " and more"}', '{"text": " and more"}'),
        ("function_calling", '{"tool_calls": []}', '{"tool_calls": []}'),
        (
            "function_calling",
            '{"tool_calls": [{"name": "f", "parameters": {"a": {"b": 1}}, "id": 7}]}',
            '{"tool_calls": [{"name": "f", "parameters": {"a": {"b": 1}}}]}',
        ),
        ("function_calling", '{"name": "f"}', '{"tool_calls": [{"name": "f", "parameters": {}}]}'),
        (
            "memory_review",
            '{"operations": [{"action": "add", "type": "user", "path": "", "content": "Likes tea"}]}',
            '{"operations": [{"action": "add", "type": "user", "path": "", "content": "Likes tea"}]}',
        ),
        ("memory_review", '{"operations": [{"action": "move", "id": "1", "path": ""}]}', None),
        ("emoji_generation", "Here: 👩🏽\u200d💻!", "👩🏽\u200d💻"),
        ("emoji_generation", '"😢"', "😢"),
        ("moa_response_generation", " Both. \n", "Both."),
        ("context_compaction", "They spoke.", "They spoke."),
        ("plain_title", '"Sales by Region"', "Sales by Region"),
    ],
)
def test_usable(kind: AuxiliaryKind, written: str, answer: str | None) -> None:
    assert usable_answer(kind, written) == (answer if answer is not None else written)


@pytest.mark.parametrize(
    ("kind", "written"),
    [
        ("title_generation", "Sales by region"),
        ("title_generation", '{"title": ""}'),
        ("title_generation", '{"title": "\\ud800"}'),
        ("title_generation", '{"title": ["Sales"]}'),
        ("title_generation", f'{{"title": "{"x" * 200}"}}'),
        ("title_generation", '{"tags": ["Sales"]}'),
        ("title_generation", '{"title": "Sal'),
        ("title_generation", "{" * 50_000),
        ("title_generation", "[" * 50_000),
        ("tags_generation", '{"tags": []}'),
        ("tags_generation", '{"tags": "Sales"}'),
        ("tags_generation", '{"tags": ["a", 1]}'),
        ("follow_up_generation", '{"follow_ups": {"a": "b"}}'),
        ("follow_up_generation", '["Why?"]'),
        ("query_generation", '{"queries": [" "]}'),
        ("autocomplete_generation", '{"text": null}'),
        ("function_calling", '{"tool_calls": {}}'),
        ("function_calling", '{"tool_calls": [{"name": 1}]}'),
        ("function_calling", '{"tool_calls": [{"name": "f", "parameters": []}]}'),
        ("function_calling", '{"tool_calls": ["f"]}'),
        ("memory_review", '{"operations": [{"action": "forget everything"}]}'),
        ("memory_review", '{"operations": [{"action": "add", "content": ""}]}'),
        ("memory_review", '{"operations": [{"action": "remove", "id": 1}]}'),
        ("memory_review", '{"operations": ["add"]}'),
        ("memory_review", '{"operations": "none"}'),
        ("emoji_generation", ":-)"),
        ("moa_response_generation", " "),
        ("plain_title", "x" * 200),
        ("plain_title", '""'),
    ],
)
def test_unusable(kind: AuxiliaryKind, written: str) -> None:
    assert usable_answer(kind, written) is None


_json = st.none() | st.text() | st.lists(st.text() | st.dictionaries(st.text(), st.text() | st.none())) | st.floats()


@given(st.sampled_from(sorted(JSON_KEYS)), _json)
def test_whatever_a_model_writes_the_client_gets_its_one_key_or_nothing(kind: AuxiliaryKind, value: object) -> None:
    key = JSON_KEYS[kind]  # type: ignore[index]
    answer = usable_answer(kind, json.dumps({key: value}))
    if answer is not None:
        assert list(json.loads(answer)) == [key]
        answer.encode()


@given(st.sampled_from(sorted(KINDS)), st.text())
def test_no_text_raises(kind: AuxiliaryKind, written: str) -> None:
    usable_answer(kind, written)
