"""The list of models is OpenAI's, and tells Open WebUI how to treat a team."""

import json
from dataclasses import replace

import pytest
from openai.types import Model

from aiostream_server.protocols.chat.models import ModelCard, model_body, models_body

CARD = ModelCard(
    id="data-analysis",
    name="Data analysis",
    description="Answers from your database",
    created=1_760_000_000,
    examples=("Which region had the highest total sales?", "Sales by month"),
)


def test_openais_package_reads_it() -> None:
    listed = json.loads(json.dumps(models_body([CARD])))
    assert listed["object"] == "list"
    model = Model.model_validate(listed["data"][0])
    assert (model.id, model.object, model.created, model.owned_by) == (
        "data-analysis",
        "model",
        1_760_000_000,
        "aiostream-server",
    )
    assert model.model_extra is not None
    assert model.model_extra["name"] == "Data analysis"
    assert model.model_extra["description"] == "Answers from your database"


def meta(card: ModelCard) -> dict[str, object]:
    return json.loads(json.dumps(model_body(card)))["info"]["meta"]  # type: ignore[no-any-return]


def test_open_webui_sends_no_tools_of_its_own_and_asks_for_usage() -> None:
    capabilities = meta(CARD)["capabilities"]
    assert isinstance(capabilities, dict)
    assert (capabilities["builtin_tools"], capabilities["usage"], capabilities["vision"]) == (False, True, False)


def test_examples_are_suggestions_whose_title_has_two_lines() -> None:
    assert meta(CARD)["suggestion_prompts"] == [
        {"content": CARD.examples[0], "title": ["Which region", "had the highest total sales?"]},
        {"content": CARD.examples[1], "title": ["Sales by month", ""]},
    ]


@pytest.mark.parametrize(
    "lines",
    [
        ("What is", "15% of 850?"),
        ("How do I write", "a polite reminder?"),
        ("How did revenue", "develop month by month?"),
        ("Show the ten customers", "with the largest orders"),
        ("Plot revenue by month", "as a line chart"),
        ("Sales by month", ""),
        ("营收按地区是多少？", ""),
    ],
)
def test_a_title_is_split_where_it_reads_well(lines: tuple[str, str]) -> None:
    example = " ".join(filter(None, lines))
    assert meta(replace(CARD, examples=(example,)))["suggestion_prompts"] == [{"content": example, "title": [*lines]}]


def test_the_same_question_is_one_card() -> None:
    card = replace(CARD, examples=("Sales by month", "sales by  month?", "Sales by year"))
    shown = meta(card)["suggestion_prompts"]
    assert isinstance(shown, list)
    assert [each["content"] for each in shown] == ["Sales by month", "Sales by year"]


def test_an_empty_list_is_a_list() -> None:
    assert models_body([])["data"] == []
