"""The package's modules as syntax trees, for tests of what each imports or names."""

import ast
import gc
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

PACKAGE: Final = Path(__file__).parents[2] / "aiostream_server"


@cache
def modules() -> Mapping[Path, ast.Module]:
    """Every file of the package, parsed.

    Without the garbage collector: up to Python 3.11.7 its callbacks let another thread parse in between, and then
    `ast.parse` raises a SystemError. https://github.com/python/cpython/issues/106905
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        return {file: ast.parse(file.read_text("utf-8")) for file in sorted(PACKAGE.rglob("*.py"))}
    finally:
        if was_enabled:
            gc.enable()
