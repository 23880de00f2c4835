"""`aiostream-server teams show`: every agent and every edge is in the tree and in the flowchart."""

import io
import json
import re
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from aiostream_server.cli.teams_show import mermaid, team_tree
from aiostream_server.config.model import Config, DemoModelConfig
from aiostream_server.errors import ConfigError
from aiostream_server.service.trial import inspect_team
from aiostream_server.teams.shape import AgentShape, Edge, Inside, Shape, TeamShape, names_in
from tests.kit.process import start

ROOT: Final = Path(__file__).parents[2]
EXAMPLES: Final = ("--config", str(ROOT / "examples" / "server.toml"))
DEMO: Final = Config(models={"default": DemoModelConfig(provider="demo")})


async def shown(folder: Path, *arguments: str, **extra: str) -> tuple[int | None, str, str]:
    extra = {"OPENAI_API_KEY": "none", **extra}
    process = await start("teams", "show", *arguments, state_directory=folder / "state", extra=extra)
    out, errors = await process.communicate()
    assert not (folder / "state").exists(), "nothing is kept"
    return process.returncode, out.decode(), errors.decode()


@st.composite
def teams(draw: st.DrawFn, most: int = 7, inside: st.SearchStrategy[Shape] | None = None) -> TeamShape:
    """A flat team, or one with agents that run others."""
    names = [f"N{number}" for number in range(draw(st.integers(1, most)))]
    members: list[Shape] = []
    for name in names:
        others = draw(st.lists(inside, max_size=1)) if inside is not None else []
        model = draw(st.sampled_from([None, "large"]))
        tools = tuple(draw(st.lists(st.sampled_from(["look", "search_everywhere"]), max_size=2, unique=True)))
        inner = tuple(Inside("tool t", other) for other in others)
        members.append(AgentShape(name, "AssistantAgent", model, tools, inside=inner))
    pairs = draw(st.lists(st.tuples(st.sampled_from(names), st.sampled_from(names)), unique=True, max_size=12))
    edges = tuple(Edge(*pair, when=draw(st.sampled_from(["", "if well"]))) for pair in pairs)
    manager = draw(st.sampled_from([None, AgentShape("boss", "says who is next")]))
    return TeamShape(
        "Team", "GraphFlow", "graph", tuple(members), () if manager else edges, (names[0],), manager=manager
    )


def printed(shape: Shape, width: int = 200) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width, highlight=False, markup=False, emoji=False).print(team_tree(shape))
    return out.getvalue().splitlines()


def agents_with_arrows(lines: list[str]) -> Iterator[tuple[str, str]]:
    """The edges of a flat team: an arrow belongs to the agent above it."""
    source = ""
    for line in lines:
        if agent := re.match(r"[├└]── (\w+) \(", line):
            source = agent[1]
        elif arrow := re.match(r"[│ ]   [├└]── -> (\w+)", line):
            yield source, arrow[1]


async def test_the_tree_in_the_documents_is_the_one_that_is_printed(tmp_path: Path) -> None:
    doc = (ROOT / "docs" / "teams.md").read_text("utf-8")
    (tree,) = re.findall(r"```text\n(graph: Newsroom\n.*?)```", doc, re.DOTALL)
    status, out, errors = await shown(tmp_path, "graph", "--width", "80", *EXAMPLES)
    assert (status, errors) == (0, "")
    assert out == tree


@pytest.mark.parametrize(("arguments", "encoding"), [((), "ascii"), (("--ascii",), "utf-8")])
async def test_where_only_ascii_can_be_written_the_tree_is_in_ascii(
    tmp_path: Path, arguments: tuple[str, ...], encoding: str
) -> None:
    status, out, errors = await shown(tmp_path, "data", *arguments, PYTHONIOENCODING=encoding, COLUMNS="60")
    assert (status, errors) == (0, "")
    assert "+-- SQLAgent" in out
    assert out.isascii()
    assert max(map(len, out.splitlines())) <= 60


@given(teams())
def test_every_edge_is_an_arrow_below_its_source(team: TeamShape) -> None:
    assert set(agents_with_arrows(printed(team))) == {(edge.source, edge.target) for edge in team.edges}


@settings(max_examples=50)
@given(teams(2, teams(2, teams(2))), st.integers(40, 130))
def test_every_agent_is_in_the_tree_however_narrow_it_is(team: TeamShape, width: int) -> None:
    lines = printed(team, width)
    assert max(map(cell_len, lines)) <= width
    for name in names_in(team):
        assert any(name in line for line in lines), name


@given(st.text(min_size=1), st.text(min_size=1))
def test_no_name_steers_the_terminal_or_starts_a_line(name: str, tool: str) -> None:
    agent = AgentShape(name, "AssistantAgent", tool, (tool,))
    edges = (Edge(name, "B"),) if name != "B" else ()
    team = TeamShape("T", "Swarm", "handoffs", (agent, AgentShape("B", "b")), edges)
    lines = printed(team, 1000)
    assert len(lines) == 5 + len(edges)
    assert not any(sign in line for line in [*lines, mermaid(team)] for sign in "\x1b\r\u202e\u2028")


@settings(max_examples=50)
@given(teams(3, teams(2)))
def test_a_flowchart_has_a_box_for_every_agent_and_each_edge_once(team: TeamShape) -> None:
    chart = mermaid(team).splitlines()
    assert chart[0] == "flowchart TD"
    assert sum('["' in line for line in chart) >= len([*names_in(team)])
    opened = sum(line.lstrip().startswith("subgraph ") for line in chart)
    assert opened == sum(line.strip() == "end" for line in chart)
    ids = [line.strip().removeprefix("subgraph ").partition("[")[0] for line in chart if '["' in line]
    assert len(ids) == len(set(ids))


async def test_json_has_the_team_and_an_unknown_team_is_one_line(tmp_path: Path) -> None:
    seen = json.loads(json.dumps(asdict(await inspect_team(DEMO, tmp_path, "general"))))
    assert (seen["id"], seen["shape"]["name"], seen["shape"]["tools"]) == ("general", "Assistant", ["calculate"])
    with pytest.raises(ConfigError, match=r"^there is no team 'missing'; there are: general, data$"):
        await inspect_team(DEMO, tmp_path, "missing")
    built_in = r"there are: general, data \(no --config was given: these are the built-in teams\)$"
    with pytest.raises(ConfigError, match=built_in):
        await inspect_team(DEMO, tmp_path, "missing", has_file=False)


async def test_no_secret_is_needed(tmp_path: Path) -> None:
    """Neither that of a model, nor a database's, nor a tool's."""
    path = tmp_path / "server.toml"
    text = """
[models.default]
provider = "openai"
model = "m"
api_key_env = "NO_SUCH_KEY"
[database.sales]
url_env = "NO_SUCH_KEY"
[conversations]
url_file = "$CREDENTIALS_DIRECTORY/url"
[tools.search]
kind = "http"
description = "searches"
url = "https://example.org/"
header_env = { Authorization = "NO_SUCH_KEY" }
[[teams]]
id = "a"
factory = "tests.kit.sample_teams:solo"
tools = ["search"]
"""
    path.write_text(text, "utf-8")
    status, out, errors = await shown(tmp_path, "a", "--config", str(path))
    assert status == 0
    assert out.startswith("a\n")
    assert sorted(line.split(": ")[1] for line in errors.splitlines()) == [
        "api_key_env",
        "header_env",
        "url_env",
        "url_file",
    ]
