"""The tree of errors is the one place that says which errors there are; documents and answers follow it."""

import re
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from autogen_agentchat.base import TaskResult

from aiostream_server import errors
from aiostream_server.errors import ERRORS, TeamFailed, error_for
from aiostream_server.teams.context import TeamContext
from tests.kit.serving import chat_body, config_for, sample_team, serving

DOC = (Path(__file__).parents[1] / "docs" / "openai-api.md").read_text("utf-8")
TREE = {(error.__name__, str(error.status), error.code) for error in ERRORS.values()}


def test_the_docstring_draws_the_tree() -> None:
    """Every error that is rendered stands there, below its base class, with its status and its code."""
    drawn: list[tuple[int, str]] = []
    for indent, name, status, code in re.findall(
        r"^( *)[*-] (\w+) +(\d{3}) (\w+)$", errors.__doc__ or "", re.MULTILINE
    ):
        assert (name, status, code) in TREE
        drawn = [(depth, base) for depth, base in drawn if depth < len(indent)]
        assert ERRORS[code].__bases__[0].__name__ == (drawn[-1][1] if drawn else "Exception")
        drawn.append((len(indent), name))
    assert len(re.findall(r"^ *[*-] \w+ +\d{3} ", errors.__doc__ or "", re.MULTILINE)) == len(TREE)


def test_the_documented_codes_are_those_of_the_tree() -> None:
    documented = re.findall(r"^\| (\d{3}) \| `(\w+)` \| `(\w+)` \|", DOC.split("\n## Errors\n")[1], re.MULTILINE)
    assert {*documented} == {(str(error.status), error.code, error.type) for error in ERRORS.values()}
    assert len(documented) == len(ERRORS)


def test_an_unknown_code_is_a_failed_team() -> None:
    assert type(error_for("of_a_newer_server", "no")) is TeamFailed


@pytest.mark.parametrize("code", ERRORS)
def test_a_code_becomes_its_error(code: str) -> None:
    error = error_for(code, "no")
    assert (error.code, str(error)) == (code, "no")


class Raising:
    """Raises the error that the question names."""

    async def run_stream(self, *, task: Any) -> AsyncGenerator[Any | TaskResult, None]:
        raise error_for(task if isinstance(task, str) else task[-1].content, "it broke")
        yield


def raising(_: TeamContext) -> Raising:
    return Raising()


@pytest.mark.parametrize("code", [error.code for error in ERRORS.values() if issubclass(error, TeamFailed)])
async def test_an_answer_that_is_not_streamed_fails_with_the_code_of_its_run(tmp_path: Path, code: str) -> None:
    """`tool_failed`, `too_many_turns` and `too_many_tool_calls` are not hidden behind `team_failed`."""
    team = sample_team("failing").model_copy(update={"factory": "tests.test_errors:raising"})
    async with (
        serving(config_for("http://127.0.0.1:9/v1", team), tmp_path) as server,
        aiohttp.ClientSession() as session,
        session.post(
            f"{server.url}/v1/chat/completions", json=chat_body(code, model="failing", stream=False)
        ) as response,
    ):
        body = await response.json()
    assert (response.status, body["error"]["code"]) == (ERRORS[code].status, code)
