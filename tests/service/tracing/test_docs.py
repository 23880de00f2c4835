"""`docs/tracing.md` agrees with the program."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from aiostream_server.config.server import TracingConfig
from aiostream_server.service.tracing.agent_spans import MAX_CHARS
from tests.kit.serving import ask
from tests.service.tracing.collector import tree
from tests.service.tracing.test_spans import DEMO, TOTALS
from tests.service.tracing.traced import traced

ROOT = Path(__file__).parents[3]
DOC = (ROOT / "docs" / "tracing.md").read_text("utf-8")
NAME = re.compile(r"(?:gen_ai|http|aiostream|error)\.[a-z_.]+")


async def test_the_documented_tree_is_the_tree_of_a_run(tmp_path: Path) -> None:
    shown = re.search(r"^```\n(POST .*?)\n```", DOC, re.MULTILINE | re.DOTALL)
    assert shown is not None
    assert TOTALS in DOC
    async with traced(DEMO, tmp_path) as server:
        await ask(server.url, TOTALS)
    assert tree(server.spans) == shown[1].split("\n")


def _names_in_code() -> Iterator[str]:
    for file in (ROOT / "aiostream_server" / "service" / "tracing").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and NAME.fullmatch(node.value):
                yield node.value


def test_exactly_the_attributes_in_the_code_are_documented() -> None:
    assert set(re.findall(rf"`({NAME.pattern})`", DOC)) == set(_names_in_code())


def test_every_documented_setting_exists() -> None:
    blocks = re.findall(r"^```toml\n(.*?)```", DOC, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        TracingConfig.model_validate(tomllib.loads(block)["tracing"])
    assert f"{MAX_CHARS:,} characters" in DOC
