"""Charts of rows: the model names the columns for x and y, and never writes code.

`arguments` reads what the model asks for, `plot` makes a `Plot` of that and the rows, or says in one line what is
wrong, and `painter` has it drawn by `painting`, with matplotlib, in a process of its own.
"""

from importlib.util import find_spec


def can_draw() -> bool:
    """Whether matplotlib (the extra `charts`) is installed. Without it there is no chart tool. Does not import it."""
    return find_spec("matplotlib") is not None
