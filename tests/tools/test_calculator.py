"""The calculator: exact where the result is rational, and bounded in size and time."""

from contextlib import suppress
from fractions import Fraction

import pytest
from autogen_core import CancellationToken
from autogen_core.tools import FunctionTool
from hypothesis import given
from hypothesis import strategies as st

from aiostream_server.tools.calculator import CalculationError, calculate
from tests.kit.cpu import takes_less_than


@pytest.mark.parametrize(
    ("expression", "answer"),
    [
        ("15% of 850", "127.5"),
        ("15%of 850", "127.5"),
        ("15 %", "0.15"),
        ("(5 + 10)% of 200", "30"),
        ("10 + 15% of 850", "137.5"),
        ("50%%", "0.005"),
        ("15% * 850", "127.5"),
        ("200 + 10%", "220"),
        ("200 - 10%", "180"),
        ("10 % 3", "1"),
        ("5 %(3)", "2"),
        ("3 % pi", "3"),
        ("7.5 % 2", "1.5"),
        ("0.1 + 0.2", "0.3"),
        ("1/3", "0.333333333333333"),
        ("1/7*7", "1"),
        ("-2**2", "-4"),
        ("2**3**2", "512"),
        ("2^10", "1024"),
        ("2**-1", "0.5"),
        ("2**0.5", "1.4142135623731"),
        ("(-1)**999999999999", "-1"),
        ("(-1)**-999999999998", "1"),
        ("7//2", "3"),
        ("-7//2", "-4"),
        ("7.5//sqrt(2)", "5"),
        ("+5 - -3", "8"),
        ("1,234,567.89*2", "2469135.78"),
        ("(1,000 + 1)*2", "2002"),
        ("max(1,234)", "234"),
        ("max((1,234), 3)", "ERR"),
        ("1_000 + 1", "1001"),
        ("1e5 + .5 + 5.", "100005.5"),
        ("1.5E-3", "0.0015"),
        ("3×4÷2−1", "5"),
        ("2 + 2 =", "4"),
        ("SQRT(16)", "4"),
        ("sqrt(2.25)", "1.5"),
        ("sqrt(2)", "1.4142135623731"),
        ("sqrt(pi - pi)", "0"),
        ("round(2.675, 2)", "2.68"),
        ("round(2.5)", "3"),
        ("round(-2.5)", "-3"),
        ("round(pi, 4)", "3.1416"),
        ("round(1234, -2)", "1200"),
        ("floor(-2.5) + ceil(2.1)", "0"),
        ("abs(-3) + min(1, 2) + max(1, 2)", "6"),
        ("sum(1, 2, 3.5)", "6.5"),
        ("avg(1, 2, 3.5) - mean(1, 2, 3.5)", "0"),
        ("log(8, 2) + log(100, 10) + log(9, 3)", "7"),
        ("log(pi)", "1.1447298858494"),
        ("ln(e) + log10(1000) + log2(8)", "7"),
        ("exp(1)", "2.71828182845905"),
        ("sin(pi) + cos(0) + tan(0)", "1"),
        ("degrees(pi) + radians(0)", "180"),
        ("asin(0) + acos(1) + atan(0) + cbrt(27)", "3"),
        ("π - pi + tau - 2*pi", "0"),
        ("factorial(20)", "2432902008176640000"),
        ("pow(2, 10) + mod(7, 4)", "1027"),
        ("1/10**40", "1e-40"),
        ("1/3/10**9", "3.33333333333333e-10"),
        ("2.0**100/3", "4.22550200076076e+29"),
        ("-0.05", "-0.05"),
        ("-1/8", "-0.125"),
    ],
)
def test_the_answer_is_written_as_people_write_numbers(expression: str, answer: str) -> None:
    if answer == "ERR":
        with pytest.raises(CalculationError):
            calculate(expression)
    else:
        assert calculate(expression) == answer


@pytest.mark.parametrize(
    ("expression", "complaint"),
    [
        ("", "a number was expected at character 1"),
        ("3 +", "a number was expected at character 4, not the end"),
        ("1 of", "a number was expected at character 5"),
        ("(2", "a closing bracket was expected at character 3"),
        ("max(1", "a closing bracket was expected at character 6"),
        ("2)", "was expected at character 2, not '\\)'"),
        ("5 5", "an operator or the end was expected at character 3, not '5'"),
        ("1.2.3", "'1' at character 1 is not understood"),
        ("2 + $3", "'\\$' at character 5 is not understood"),
        ("1,23", "character 2, not ','"),
        ("__import__('os')", "is not understood"),
        ("().__class__", "'.' at character 3 is not understood"),
        ("what", "what at character 1 is not known; there are: "),
        ("nope(1)", "the function nope at character 1 is not known"),
        ("sqrt", "needs brackets"),
        ("max()", "max at character 1 does not take 0 values"),
        ("sqrt(1,024)", "sqrt at character 1 does not take 2 values"),
        ("avg()", "avg at character 1 does not take 0 values"),
        ("1/0", "division by zero at character 2"),
        ("1 % (1-1)", "division by zero"),
        ("mod(1, 0)", "division by zero at character 1"),
        ("0**-1", "division by zero"),
        ("sqrt(-1)", "sqrt at character 1 has no value there"),
        ("ln(0)", "has no value there"),
        ("(-8)**(1/3)", "not a real number"),
        ("round(1, 0.5)", "whole number of places"),
        ("round(1, 1000)", "at most 100"),
        ("factorial(1000)", "whole numbers from 0 to 400"),
        ("factorial(2.5)", "whole numbers"),
        ("9**9**9", "too many digits"),
        ("(10**600)*(10**700)", "too many digits"),
        ("2.5**(10**9)", "too many digits"),
        ("1e999999999", "too large or too small"),
        ("exp(1000)", "result of exp at character 1 is too large"),
        ("exp(700)*exp(700)", "the result is too large"),
        ("10**400 + pi", "too large"),
        ("pi**(10**300)", "too large"),
        ("exp(10**400)", "too large"),
        ("(" * 60 + "1" + ")" * 60, "nested more than 40 deep"),
        ("-" * 60 + "1", "nested more than 40 deep"),
        ("1+" * 300 + "1", "longer than 500 characters"),
    ],
)
def test_a_complaint_says_what_is_wrong_and_where_at_once(expression: str, complaint: str) -> None:
    with takes_less_than(0.2), pytest.raises(CalculationError, match=complaint):
        calculate(expression)


@given(st.text(alphabet="0123456789.,%+-*/^() eo\x00fpisqrtmaxπ=", max_size=60) | st.text(max_size=60))
def test_any_text_gives_a_number_or_a_complaint(text: str) -> None:
    with suppress(CalculationError):
        float(calculate(text))


@given(st.integers(-(10**30), 10**30), st.integers(-(10**30), 10**30), st.sampled_from("+-*"))
def test_whole_numbers_are_exact(left: int, right: int, sign: str) -> None:
    expected = {"+": left + right, "-": left - right, "*": left * right}[sign]
    assert calculate(f"{left} {sign} ({right})") == str(expected)


@given(st.decimals(-(10**9), 10**9, places=6), st.decimals(-(10**9), 10**9, places=6))
def test_decimals_are_exact(left: object, right: object) -> None:
    assert Fraction(calculate(f"({left}) + ({right})")) == Fraction(str(left)) + Fraction(str(right))


async def test_autogen_can_wrap_it() -> None:
    tool = FunctionTool(calculate, description="Calculates.")
    parameters = tool.schema["parameters"]
    assert "15% of 850" in parameters["properties"]["expression"]["description"]
    assert await tool.run_json({"expression": "15% of 850"}, CancellationToken()) == "127.5"
