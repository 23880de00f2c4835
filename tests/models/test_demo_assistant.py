"""As the general assistant the demo model calculates what it reads completely, and is honest about the rest."""

import pytest
from autogen_core.models import AssistantMessage, LLMMessage
from hypothesis import given
from hypothesis import strategies as st

from aiostream_server.models.demo.assistant import read_calculation
from aiostream_server.tools.calculator import calculate
from tests.models.demo import CALCULATOR, answer, called, returned, user

CALCULATIONS = {
    "What is 15% of 850?": "127.5",
    "12 * (3+4)": "84",
    "square root of 144": "12",
    "what's 17 plus 25": "42",
    "average of 3, 5 and 10": "6",
    "how much is 20 percent off 80": "64",
    "2 to the power of 10": "1024",
    "What is 2^10?": "1024",
    "1,200 * 3": "3600",
    "what is the sum of 1, 2, and 3?": "6",
    "add 3 to 4": "7",
    "subtract 3 from 10": "7",
    "multiply 6 by 7": "42",
    "divide 84 by 2": "42",
    "max(3, 9, 4)": "9",
    "sqrt(16) + 2": "6",
    "5 squared": "25",
    "half of 90": "45",
    "twice 21": "42",
    "1 + 2 = ?": "3",
    "what is -3 * -4": "12",
    "What is 12 x 4?": "48",
    "What is (2 + 3) * (4 - 1) / 5?": "3",
    "Calculate $12 times 3, please": "36",
}


@pytest.mark.parametrize(("question", "value"), CALCULATIONS.items())
def test_the_calculator_gives_what_was_asked(question: str, value: str) -> None:
    read = read_calculation(question)
    assert read is not None
    assert calculate(read.expression) == value


@pytest.mark.parametrize(
    "question",
    [
        *("", "Hello", "I work 24/7", "a 9-5 job", "call 555-1234", "Tell me about 3 things", "v1.2.3", "5", "-"),
        *("What is 3 + 4 apples", "15% of 850 rounded", "How much is 20% of 80 in euros?", "7 plus something"),
        "1 + 1" + " + 1" * 100,  # a part of it would have another result
    ],
)
def test_a_question_with_any_other_word_is_no_calculation(question: str) -> None:
    assert read_calculation(question) is None


@given(st.text(alphabet="0123456789 +-*/%().,xof=sqrtmaxpercnupliv$\n", max_size=80) | st.text(max_size=120))
def test_no_text_breaks_it(text: str) -> None:
    read_calculation(text)


@given(
    st.recursive(
        st.integers(0, 999).map(str),
        lambda inner: st.builds("({} {} {})".format, inner, st.sampled_from("+-*"), inner),
        max_leaves=12,
    )
)
def test_formulas_are_found_whole(formula: str) -> None:
    read = read_calculation(f"What is {formula}?")
    assert (read is None) == (formula.isdigit() or len(formula) > 280)
    assert read is None or read.expression == formula


async def test_the_result_is_said_in_the_words_of_the_question() -> None:
    question = user("What is 15% of 850?")
    assert (await answer(question, tools=CALCULATOR)).arguments == '{"expression": "15% of 850"}'
    said = await answer(question, called("calculate"), returned("calculate", "127.5"), tools=CALCULATOR)
    assert said.text.startswith("15% of 850 is 127.5.")
    assert not said.tool
    # AutoGen's reflection shows the result without the tools.
    said = await answer(user("What is half of 90?"), called("calculate"), returned("calculate", "90 / 2 = 45"))
    assert said.text.startswith("Half of 90 is 45.")
    said = await answer(user("the usual, please"), called("calculate"), returned("calculate", "42"))
    assert said.text.startswith("The result is 42.")


@pytest.mark.parametrize(
    ("content", "is_error"), [("division by zero at character 3", True), ("cannot divide by 0", False)]
)
async def test_a_failure_is_told(content: str, is_error: bool) -> None:
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
        ("bye", "Goodbye!"),
        ("Write a poem about autumn", "You asked “Write a poem about autumn”"),
        ("Write a poem about autumn", "[models.default]"),
        ("", "I can calculate"),
    ],
)
async def test_small_talk(question: str, part: str) -> None:
    said = await answer(user(question), tools=CALCULATOR)
    assert part in said.text
    assert not said.tool


@pytest.mark.parametrize(
    ("earlier", "question", "part"),
    [
        (["My name is Ada."], "What is my name?", "Your name is Ada."),
        (["Call me Grace Hopper, please", "thanks"], "who am I?", "Your name is Grace Hopper."),
        (["my name is 李明"], "what's my name", "Your name is 李明."),
        ([], "What's my name?", "You have not told me your name."),
        ([], "My name is Ada.", "Nice to meet you, Ada."),
        (["My name is Ada."], "Is it warm?", "none of my rules"),
    ],
)
async def test_the_assistant_remembers_what_it_was_told(earlier: list[str], question: str, part: str) -> None:
    assert part in (await answer(*map(user, earlier), user(question), tools=CALCULATOR)).text


@pytest.mark.parametrize("source", ["calls", "words"])
@pytest.mark.parametrize(
    ("question", "expression"),
    [
        ("And half of that?", "127.5 / 2"),
        ("add 10 to it", "127.5 + 10"),
        ("plus 10", "127.5 + 10"),
        ("And then times 2", "127.5 * 2"),
        ("What is 20% of the result?", "20% of 127.5"),
        ("What is 2 + 2?", "2 + 2"),
    ],
)
async def test_the_last_number_stands_for_that(question: str, expression: str, source: str) -> None:
    said = AssistantMessage(content="15% of 850 is 127.5. (demo model)", source="assistant")
    history: list[LLMMessage] = [said] if source == "words" else [called("calculate"), returned("calculate", "127.5")]
    reply = await answer(user("What is 15% of 850?"), *history, user("thanks"), user(question), tools=CALCULATOR)
    assert reply.arguments == f'{{"expression": "{expression}"}}'


async def test_a_failed_calculation_is_no_number() -> None:
    failed: list[LLMMessage] = [called("calculate"), returned("calculate", "division by zero", is_error=True)]
    assert not (await answer(user("1/0"), *failed, user("half of that"), tools=CALCULATOR)).tool
