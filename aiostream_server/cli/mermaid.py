"""A team as a Mermaid flowchart, for pages that draw those: https://mermaid.js.org/syntax/flowchart.html"""

from collections.abc import Iterator
from itertools import count
from typing import Final

from aiostream_server.cli.table import shown
from aiostream_server.teams.shape import AgentShape, Shape, TeamShape

_INDENT: Final = "    "


def mermaid(shape: Shape) -> str:
    """Ends with a line's end. Agents that run others, and nested teams, are subgraphs."""
    return "".join(f"{line}\n" for line in ("flowchart TD", *_Chart().lines(shape, 1)[1]))


class _Chart:
    """Gives every box an id of its own: two teams may have agents of the same name."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def lines(self, shape: Shape, depth: int) -> tuple[str, list[str]]:
        """The box's id, and its lines."""
        box = f"n{next(self._numbers)}"
        if isinstance(shape, TeamShape):
            return box, list(self._team(box, shape, depth))
        if not shape.inside:
            return box, [f'{_INDENT * depth}{box}["{_label(shape)}"]']
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
        yield f'{inner}{own}["{_label(agent)}"]'
        for each in agent.inside:
            other, lines = self.lines(each.shape, depth + 1)
            yield from lines
            yield f'{inner}{own} -.->|"{_quoted(each.how)}"| {other}'
        yield f"{_INDENT * depth}end"


def _label(agent: AgentShape) -> str:
    parts = [agent.name, agent.kind, *([agent.model] if agent.model else [])]
    parts += [f"tools: {', '.join(agent.tools)}"] if agent.tools else []
    return "<br/>".join(map(_quoted, parts))


def _quoted(text: str) -> str:
    """Without what would end the text, or be HTML or Markdown in it."""
    return "".join(sign if sign.isalnum() or sign in " .,:;-_/()'=+?!" else f"#{ord(sign)};" for sign in shown(text))
