"""A calculator that models may call: an arithmetic expression in, one number out, exact where the result is rational.

`expression` parses and computes in one pass, `arithmetic` computes each step within bounds, so that `9**9**9` is
refused at once. No library fits: simpleeval, asteval and numexpr compute `0.1 + 0.2` with floats, sympy's parser calls
`eval`. Python's own grammar, which all of them parse, has no `15% of 850`, `200 + 10%` or `1,234.5`.
"""

from typing import Annotated

from aiostream_server.tools.calculator.arithmetic import CalculationError, show_number
from aiostream_server.tools.calculator.expression import evaluate

__all__ = ["CalculationError", "calculate"]


def calculate(
    expression: Annotated[
        str, "Arithmetic such as '15% of 850', '(3 + 4) * 2 ** 10' or 'sqrt(2) * pi'. Numbers and functions only."
    ],
) -> str:
    """Compute an arithmetic expression and return the number.

    Raise `CalculationError`, which says what is wrong and where.
    """
    return show_number(evaluate(expression))
