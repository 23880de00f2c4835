"""The page's modules agree with each other and with the server's events, says TypeScript's compiler."""

import subprocess
from pathlib import Path

import pytest

from tests.kit.needs import CLIENTS, needs

pytestmark = [needs("clients"), pytest.mark.timeout(120)]
HERE = Path(__file__).parent


def test_the_compiler_finds_nothing_wrong() -> None:
    compiler = CLIENTS / "typescript" / "node_modules" / ".bin" / "tsc"
    checked = subprocess.run(
        [compiler, "--project", HERE, "--pretty", "false"], capture_output=True, text=True, check=False
    )
    assert (checked.stdout, checked.returncode) == ("", 0)
