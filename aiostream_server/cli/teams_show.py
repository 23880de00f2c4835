"""`aiostream-server teams show`: a team as a tree in the terminal, as a Mermaid flowchart, or as JSON."""

import asyncio
import io
import json
import os
import shutil
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from dataclasses import asdict
from itertools import count
from pathlib import Path
from typing import Final

import click
from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from aiostream_server.cli.options import config_option, find_modules_beside, tell_unread
from aiostream_server.cli.printing import one_line
from aiostream_server.config.load import load_config
from aiostream_server.service.logging import configure_logging
from aiostream_server.service.trial import InspectedTeam, inspect_team, with_one_team
from aiostream_server.teams.shape import AgentShape, Shape, TeamShape

_MAX_WIDTH: Final = 120
_INDENT: Final = "    "
_ORDERS: Final = {
    "ring": "one after the other",
    "chosen": "a manager chooses each speaker",
    "handoffs": "each speaker hands over to the next",
    "graph": "along the edges of the graph",
    "unknown": "in an order of its own",
}


@click.command()
@click.argument("team", metavar="ID")
@config_option
@click.option("--mermaid", "as_mermaid", is_flag=True, help="As a Mermaid flowchart, for documents.")
@click.option("--json", "as_json", is_flag=True, help="As a JSON object.")
@click.option("--ascii", "as_ascii", is_flag=True, help="With ASCII characters only.")
@click.option("--width", type=click.IntRange(min=24), help="In characters; the default is the terminal's width.")
def show(
    team: str, config_path: Path | None, as_mermaid: bool, as_json: bool, as_ascii: bool, width: int | None
) -> None:
    """Show the agents of the team ID, and which of them can speak after which. The team is built, and not run."""
    if as_mermaid and as_json:
        raise click.UsageError("--mermaid and --json exclude each other")
    seen = _look(config_path, team)
    if as_json:
        click.echo(json.dumps(asdict(seen), indent=2, ensure_ascii=False))
    elif as_mermaid:
        click.echo(mermaid(seen.shape), nl=False)
    else:
        if isinstance(sys.stdout, io.TextIOWrapper):  # rich draws in ASCII on any stream that is not UTF-8
            sys.stdout.reconfigure(encoding="ascii" if as_ascii else None, errors="backslashreplace")
        print_team(seen, width or min(shutil.get_terminal_size().columns, _MAX_WIDTH))


def _look(config_path: Path | None, team: str) -> InspectedTeam:
    config = load_config(config_path, os.environ, needs_secrets=False)
    tell_unread(config.unread)
    find_modules_beside(config_path)
    configure_logging("critical", "text")
    with tempfile.TemporaryDirectory(prefix="aiostream-look-", ignore_cleanup_errors=True) as folder:
        alone = with_one_team(config, team)
        return asyncio.run(inspect_team(alone, Path(folder), team, has_file=config_path is not None))


def print_team(seen: InspectedTeam, width: int) -> None:
    """The id, the name and the description, then the tree. `width` is in characters."""
    console = Console(width=width, highlight=False, markup=False, emoji=False)
    console.print(Text(seen.id, "bold cyan"), end="" if seen.name != seen.id else "\n")
    if seen.name != seen.id:
        console.print(f": {one_line(seen.name)}")
    if seen.description:
        console.print(textwrap.fill(one_line(seen.description), width))
    if seen.client_tools:
        console.print(textwrap.fill("Calls tools that the client brings and runs.", width))
    console.print()
    console.print(team_tree(seen.shape))


def team_tree(shape: Shape) -> Tree:
    """Every agent is a node; below it are its tools, the agents it runs, and an arrow to each possible next speaker."""
    if isinstance(shape, TeamShape):
        tree = Tree(_team_label(shape), guide_style="dim")
        _add_members(tree, shape)
        return tree
    tree = Tree(_agent_label(shape), guide_style="dim")
    _add_details(tree, shape)
    return tree


def _add_members(tree: Tree, team: TeamShape) -> None:
    if team.manager is not None:
        _add_details(tree.add(_agent_label(team.manager, "manager")), team.manager)
    for member in team.members:
        branch = team_tree(member)
        branch.children[:0] = [Tree(Text(note)) for note in _notes(team, member)]
        tree.children.append(branch)
    until = "when no edge is left" if team.order == "graph" else "when a limit of the server is reached"
    tree.add(Text(f"ends {', or '.join(map(one_line, team.ends)) or until}", "dim"))


def _add_details(tree: Tree, agent: AgentShape) -> None:
    if agent.tools:
        tree.add(Text(f"tools: {one_line(', '.join(agent.tools))}"))
    for inner in agent.inside:
        tree.add(Text(f"{one_line(inner.how)}:", "dim")).children.append(team_tree(inner.shape))


def _notes(team: TeamShape, member: Shape) -> Iterator[str]:
    if member.name in team.starts and team.manager is None and len(team.members) > 1:
        yield "begins"
    if joins := (team.joins or {}).get(member.name):
        yield f"speaks {one_line(joins)}"
    for edge in team.edges:
        if edge.source == member.name:
            yield one_line(f"-> {edge.target} {edge.when}".rstrip())


def _team_label(team: TeamShape) -> Text:
    name, kind = one_line(team.name), team.kind
    if name.endswith("GroupChat") and name != kind:  # no name of its own, but that of AutoGen's class
        name, kind = kind, name
    kind = f" ({kind})" if name != kind else ""
    return Text.assemble((name, "bold"), (f"{kind}: {_ORDERS[team.order]}", "dim"))


def _agent_label(agent: AgentShape, role: str = "") -> Text:
    facts = [role, agent.kind, agent.model or "", "a person" if agent.is_person and agent.kind != "the user" else ""]
    return Text.assemble((one_line(agent.name), "bold cyan"), (f" ({one_line(', '.join(filter(None, facts)))})", "dim"))


def mermaid(shape: Shape) -> str:
    """The team as a flowchart: https://mermaid.js.org/syntax/flowchart.html. Teams, and agents that run others, are
    subgraphs."""
    return "".join(f"{line}\n" for line in ("flowchart TD", *_Flowchart().lines(shape, 1)[1]))


class _Flowchart:
    """Numbers the boxes, because two teams may have agents of the same name."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def lines(self, shape: Shape, depth: int) -> tuple[str, list[str]]:
        """The id of the shape's box, and the lines that draw it."""
        box = f"n{next(self._numbers)}"
        if isinstance(shape, TeamShape):
            return box, list(self._team(box, shape, depth))
        if not shape.inside:
            return box, [f'{_INDENT * depth}{box}["{_mermaid_label(shape)}"]']
        return box, list(self._agent_with_others(box, shape, depth))

    def _team(self, box: str, team: TeamShape, depth: int) -> Iterator[str]:
        inner = _INDENT * (depth + 1)
        title = team.kind if team.name == team.kind else f"{team.name}: {team.kind}"
        yield f'{_INDENT * depth}subgraph {box}["{_quoted(title)}"]'
        ids: dict[str, str] = {}
        for member in team.members:
            ids[member.name], lines = self.lines(member, depth + 1)
            yield from lines
        if team.manager is not None:
            manager, lines = self.lines(team.manager, depth + 1)
            yield from lines
            yield from (f"{inner}{manager} <--> {each}" for each in ids.values())
        for edge in team.edges:
            condition = f'|"{_quoted(edge.when)}"|' if edge.when else ""
            yield f"{inner}{ids[edge.source]} -->{condition} {ids[edge.target]}"
        yield f"{_INDENT * depth}end"

    def _agent_with_others(self, box: str, agent: AgentShape, depth: int) -> Iterator[str]:
        inner = _INDENT * (depth + 1)
        own = f"n{next(self._numbers)}"
        yield f'{_INDENT * depth}subgraph {box}["{_quoted(agent.name)}"]'
        yield f'{inner}{own}["{_mermaid_label(agent)}"]'
        for each in agent.inside:
            other, lines = self.lines(each.shape, depth + 1)
            yield from lines
            yield f'{inner}{own} -.->|"{_quoted(each.how)}"| {other}'
        yield f"{_INDENT * depth}end"


def _mermaid_label(agent: AgentShape) -> str:
    parts = [agent.name, agent.kind, *([agent.model] if agent.model else [])]
    parts += [f"tools: {', '.join(agent.tools)}"] if agent.tools else []
    return "<br/>".join(map(_quoted, parts))


def _quoted(text: str) -> str:
    """Escape what would end the label, or be HTML or Markdown in it."""
    return "".join(sign if sign.isalnum() or sign in " .,:;-_/()'=+?!" else f"#{ord(sign)};" for sign in one_line(text))
