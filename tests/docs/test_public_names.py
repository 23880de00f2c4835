"""What users may import is a short list, and the documentation uses nothing else."""

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
PUBLIC: Final = {"embed", "client", "events", "config"}
BUILT_IN_FACTORIES: Final = {"aiostream_server.teams.general", "aiostream_server.teams.data"}
"""Not imported by users: they stand as strings in `[[teams]] factory`."""
ABOUT_THE_INSIDE: Final = {"architecture.md"}

DOCUMENTS: Final = [
    *(path for path in (ROOT / "docs").glob("*.md") if path.name not in ABOUT_THE_INSIDE),
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "SECURITY.md")),
    *(ROOT / "examples").rglob("*.py"),
]


def named(text: str) -> Iterator[str]:
    """Every module or name of the package that a text writes with dots."""
    for match in re.finditer(r"\baiostream_server(?:\.\w+)+", text):
        if match[0] not in BUILT_IN_FACTORIES:
            yield match[0]


@pytest.mark.parametrize("document", DOCUMENTS, ids=[str(path.relative_to(ROOT)) for path in DOCUMENTS])
def test_documents_name_only_public_modules(document: Path) -> None:
    wrong = [name for name in named(document.read_text("utf-8")) if name.split(".")[1] not in PUBLIC]
    assert wrong == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=[str(path.relative_to(ROOT)) for path in DOCUMENTS])
def test_examples_import_only_public_names(document: Path) -> None:
    text = document.read_text("utf-8")
    programs = (
        [text] if document.suffix == ".py" else re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    )
    for program in programs:
        for node in ast.walk(ast.parse(program)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("aiostream_server"):
                module = importlib.import_module(str(node.module))
                assert node.module in {f"aiostream_server.{name}" for name in PUBLIC}
                assert {alias.name for alias in node.names} <= set(module.__all__)


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_every_public_name_exists(name: str) -> None:
    module = importlib.import_module(f"aiostream_server.{name}")
    assert module.__all__
    assert [public for public in module.__all__ if not hasattr(module, public)] == []
