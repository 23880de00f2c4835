"""Charts over rows: which column is x and which are y, never code. Read, planned, and drawn in another process.

`arguments` says what may be asked; `planning` makes a `Plot` of that and of the rows, or says in one line what is
wrong; `painting` draws it with matplotlib, in a process of its own that `painter` starts and ends. Without matplotlib
(the extra `charts`) there is no chart tool.
"""

from importlib.util import find_spec


def can_draw() -> bool:
    """Whether matplotlib is installed. It is not imported here."""
    return find_spec("matplotlib") is not None
