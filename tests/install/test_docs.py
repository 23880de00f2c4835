"""docs/install.md says what is tried in the booted box, and names what there is."""

import re
from pathlib import Path

import pytest

from tests.install.in_the_box import CHECK

ROOT = Path(__file__).parents[2]
DOC = (ROOT / "docs" / "install.md").read_text("utf-8")


def test_the_check_with_secrets_is_the_one_that_is_tried() -> None:
    (line,) = re.findall(r"    (systemd-run .*?\\\n.*)$", DOC, re.MULTILINE)
    assert line.replace("\\\n", " ").split() == CHECK.split()


@pytest.mark.parametrize("document", ["docs/install.md", "SECURITY.md"])
def test_what_is_named_exists(document: str) -> None:
    named = re.findall(r"`((?:scripts|requirements|systemd|configs)/[\w./-]+)", (ROOT / document).read_text("utf-8"))
    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []
