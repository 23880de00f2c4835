"""docs/protocols.md has a row for each protocol, and each cell leads to a test that exists."""

import re
from pathlib import Path
from typing import Final

DOCS: Final = Path(__file__).parents[2] / "docs"
PAGE: Final = (DOCS / "protocols.md").read_text("utf-8")


def rows() -> list[list[str]]:
    table = PAGE.split("## What each protocol shows\n", 1)[1]
    lines = [line for line in table.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_cell_leads_to_a_test() -> None:
    heading, _, *protocols = rows()
    links = dict(re.findall(r'^\[([\w-]+)\]: (\S+ "\w+")$', PAGE, re.MULTILINE))
    used = []
    for name, *cells in protocols:
        assert len(cells) == len(heading) - 1, name
        for cell in cells:
            found = re.fullmatch(r"\[[^\]]+\]\[([\w-]+)\]", cell)
            assert found is not None, cell
            used.append(found[1])
            path, test = links[found[1]].split(" ")
            code = (DOCS / path).read_text("utf-8")
            assert re.search(rf"^(?:async )?def {test.strip(chr(34))}\(", code, re.MULTILINE), (cell, path, test)
    assert sorted(used) == sorted(links)


def test_every_protocol_has_a_row_and_a_manual() -> None:
    told = dict(re.findall(r"^\| \[([^\]]+)\]\((\S+\.md)\) \|", PAGE, re.MULTILINE))
    assert list(told) == [row[0] for row in rows()[2:]]
    assert all((DOCS / manual).exists() for manual in told.values())
