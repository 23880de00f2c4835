"""A calculator that models may call: arithmetic in, one number out, exact wherever it can be.

Nothing is ever handed to `eval`: `parsing` reads the text into a tree of its own, `evaluation` computes it within
bounds, so that `9**9**9` is refused at once.
"""

from typing import Annotated

from aiostream_server.tools.calculator.errors import CalculationError
from aiostream_server.tools.calculator.evaluation import evaluate
from aiostream_server.tools.calculator.formatting import show_number
from aiostream_server.tools.calculator.parsing import parse

__all__ = ["CalculationError", "calculate"]


def calculate(
    expression: Annotated[
        str, "Arithmetic such as '15% of 850', '(3 + 4) * 2 ** 10' or 'sqrt(2) * pi'. Numbers and functions only."
    ],
) -> str:
    """Compute an arithmetic expression and return the number.

    Raise `CalculationError`, which says what is wrong and where.
    """
    return show_number(evaluate(parse(expression)))
