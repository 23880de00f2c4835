"""docs/proxies.md tells of lines that stand in the examples."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOC = (ROOT / "docs" / "proxies.md").read_text("utf-8")
EXAMPLES = {
    "nginx": ROOT / "configs" / "nginx" / "aiostream-server.conf",
    "Caddy": ROOT / "configs" / "caddy" / "Caddyfile",
}


def lines(program: str) -> Iterator[str]:
    """The first column of its table."""
    section = DOC.partition(f"\n## {program}\n")[2].partition("\n## ")[0]
    return (row.split("|")[1] for row in section.splitlines() if row.startswith("| ") and "---" not in row)


@pytest.mark.parametrize("program", EXAMPLES)
def test_every_line_that_is_explained_stands_there_and_what_must_not_does_not(program: str) -> None:
    text = EXAMPLES[program].read_text("utf-8")
    directives = re.sub(r"(^|\s)#.*", "", text)
    explained = [line for line in lines(program) if "`" in line]
    assert len(explained) >= 6
    for line in explained:
        for name in re.findall(r"`([^`]+)`", line):
            pattern = r"\s+.*".join(map(re.escape, name.split(" ... ")))
            if " no " in line:
                assert not re.search(pattern, directives), line
            else:
                assert re.search(pattern, text), line


@pytest.mark.parametrize("path", EXAMPLES.values(), ids=EXAMPLES)
def test_the_examples_say_where_to_read_on(path: Path) -> None:
    assert "docs/proxies.md" in path.read_text("utf-8")
    assert str(path.relative_to(ROOT)) in DOC
