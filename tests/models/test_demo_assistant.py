"""As the general assistant the demo model calculates, says the result, and is honest about the rest."""

import pytest
from autogen_core.models import LLMMessage

from tests.models.demo import CALCULATOR, answer, called, returned, user


async def test_result_is_said_in_the_words_of_the_question() -> None:
    question = user("What is 15% of 850?")
    assert (await answer(question, tools=CALCULATOR)).arguments == '{"expression": "15% of 850"}'
    said = await answer(question, called("calculate"), returned("calculate", "127.5"), tools=CALCULATOR)
    assert said.text.startswith("15% of 850 is 127.5.")
    assert not said.tool


async def test_result_is_said_where_the_tool_is_not_offered_again() -> None:
    """AutoGen's reflection shows the result without the tools."""
    said = await answer(user("What is half of 90?"), called("calculate"), returned("calculate", "90 / 2 = 45"))
    assert said.text.startswith("Half of 90 is 45.")


async def test_result_of_an_unknown_sum_is_said() -> None:
    said = await answer(user("the usual, please"), called("calculate"), returned("calculate", "42"))
    assert said.text.startswith("The result is 42.")


@pytest.mark.parametrize(
    ("content", "is_error"), [("division by zero at character 3", True), ("cannot divide by 0", False)]
)
async def test_failure_is_told(content: str, is_error: bool) -> None:
    said = await answer(user("What is 1/0?"), called("calculate"), returned("calculate", content, is_error=is_error))
    assert content in said.text
    assert "could not" in said.text


async def test_results_of_earlier_questions_do_not_count() -> None:
    earlier: list[LLMMessage] = [user("What is 1 + 1?"), called("calculate"), returned("calculate", "2")]
    said = await answer(*earlier, user("What is 2 + 2?"), tools=CALCULATOR)
    assert said.arguments == '{"expression": "2 + 2"}'


@pytest.mark.parametrize(
    ("question", "part"),
    [
        ("Hello there", "Hello!"),
        ("Who are you?", "demo model of this server"),
        ("Are you a language model?", "demo model of this server"),
        ("What can you do?", "I can calculate"),
        ("thanks a lot", "You are welcome."),
        ("How are you?", "in order"),
        ("bye", "Goodbye!"),
        ("Write a poem about autumn", "You asked “Write a poem about autumn”"),
        ("", "I can calculate"),
    ],
)
async def test_small_talk(question: str, part: str) -> None:
    said = await answer(user(question), tools=CALCULATOR)
    assert part in said.text
    assert not said.tool
