"""The demo model finds the sum in a question, and leaves alone what is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiostream_server.models.demo.arithmetic import find_sum
from aiostream_server.models.demo.number_words import digits_for_words
from aiostream_server.tools.calculator import calculate

SUMS = {
    "What is 15% of 850?": "127.5",
    "12 * (3+4)": "84",
    "square root of 144": "12",
    "what's 17 plus 25": "42",
    "average of 3, 5 and 10": "6",
    "how much is 20 percent off 80": "64",
    "2 to the power of 10": "1024",
    "2 to the 10th power": "1024",
    "What is 2^10?": "1024",
    "What is seven times eight?": "56",
    "twenty-five minus three": "22",
    "two hundred divided by 4": "50",
    "3 thousand plus 1": "3001",
    "1,200 * 3": "3600",
    "How much are 3 books at $12 each?": "36",
    "200 + 10%": "220",
    "50 - 10%": "45",
    "increase 200 by 10%": "220",
    "reduce 200 by 10 percent": "180",
    "10% more than 50": "55",
    "what is the sum of 1, 2, and 3?": "6",
    "add 3 and 4": "7",
    "add 3 to 4": "7",
    "subtract 3 from 10": "7",
    "multiply 6 by 7": "42",
    "divide 84 by 2": "42",
    "product of 6 and 7": "42",
    "difference between 3 and 10": "7",
    "What percent is 30 of 120?": "25",
    "30 is what percent of 120": "25",
    "largest of 3, 9 and 4": "9",
    "the minimum of 3, 9, 4": "3",
    "max(3, 9, 4)": "9",
    "sqrt(16) + 2": "6",
    "absolute value of -5": "5",
    "5 squared plus 3": "28",
    "3 cubed": "27",
    "half of 90": "45",
    "twice 21": "42",
    "What is 10 percent of 50 plus 3?": "8",
    "remainder of 17 divided by 5": "2",
    "What is 9-5?": "4",
    "9-5": "4",
    "1 + 2 = ?": "3",
    "what is -3 * -4": "12",
    "What is 12 x 4?": "48",
    "What is 84 ÷ 2 − 1?": "41",
    "What is (2 + 3) * (4 - 1) / 5?": "3",
    "Calculate (1+2": "3",
    "What is 3 + 4 apples": "7",
    "round 3.14159 to 2 decimals": "3.14",
}


@pytest.mark.parametrize(("question", "value"), SUMS.items())
def test_the_calculator_gives_what_was_asked(question: str, value: str) -> None:
    found = find_sum(question)
    assert found is not None
    assert calculate(found.expression) == value


@pytest.mark.parametrize(
    ("question", "spoken"),
    [
        ("What is 15% of 850?", "15% of 850"),
        ("Square root of 144, please", "the square root of 144"),
        ("average of 3, 5 and 10", "the average of 3, 5 and 10"),
        ("what's 17 plus 25", "17 + 25"),
    ],
)
def test_sums_are_said_as_they_were_asked(question: str, spoken: str) -> None:
    found = find_sum(question)
    assert found is not None
    assert found.spoken == spoken


@pytest.mark.parametrize(
    "question",
    [
        "",
        "Hello",
        "I work 24/7",
        "a 9-5 job",
        "call 555-1234",
        "the news of 2024-05-01",
        "Tell me about 3 things",
        "Which region had sales over 500 in 2024?",
        "five six",
        "v1.2.3",
    ],
)
def test_what_is_no_sum_is_left_alone(question: str) -> None:
    assert find_sum(question) is None


@given(st.text(alphabet="0123456789 +-*/%().,xof=sqrtmaxpercnupliv$\n", max_size=80) | st.text(max_size=120))
def test_no_text_breaks_it(text: str) -> None:
    find_sum(text)


@given(
    st.recursive(
        st.integers(0, 999).map(str),
        lambda inner: st.builds("({} {} {})".format, inner, st.sampled_from("+-*"), inner),
        max_leaves=12,
    )
)
def test_formulas_are_found_whole(formula: str) -> None:
    found = find_sum(f"What is {formula}?")
    assert (found is None) == formula.isdigit()
    assert found is None or found.expression == formula


@given(st.text(max_size=100))
def test_number_words_never_fail(text: str) -> None:
    digits_for_words(text)
