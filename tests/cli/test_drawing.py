"""A team's drawing: everybody and every line is in it, and it fits."""

from collections.abc import Iterator, Sequence

from hypothesis import example, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from aiostream_server.cli.canvas import DOWN, LEFT, RIGHT, UP, plain
from aiostream_server.cli.drawing import draw
from aiostream_server.cli.mermaid import mermaid
from aiostream_server.teams.shape import AgentShape, Edge, Inside, Shape, TeamShape, names_in
from tests.teams.drawn import DIAMOND, LOOP

_SIGNS = dict(zip(" ╵╶╰╷│╭├╴╯─┴╮┤┬┼", range(16), strict=True))
_STEPS = {UP: (0, -1), DOWN: (0, 1), LEFT: (-1, 0), RIGHT: (1, 0)}
_OPPOSITE = {UP: DOWN, DOWN: UP, LEFT: RIGHT, RIGHT: LEFT}


@st.composite
def teams(draw_from: st.DrawFn, most: int = 7, inside: st.SearchStrategy[Shape] | None = None) -> TeamShape:
    """Flat, or with agents that run others."""
    count = draw_from(st.integers(1, most))
    names = [f"N{number}" for number in range(count)]
    pairs = st.tuples(st.sampled_from(names), st.sampled_from(names))
    edges = draw_from(st.lists(pairs, unique=True, max_size=12))
    members: list[Shape] = []
    for name in names:
        others = draw_from(st.lists(inside, max_size=1)) if inside is not None else []
        model = draw_from(st.sampled_from([None, "large"]))
        tools = tuple(draw_from(st.lists(st.sampled_from(["look", "search_everywhere"]), max_size=2, unique=True)))
        members.append(
            AgentShape(name, "AssistantAgent", model, tools, inside=tuple(Inside("tool t", o) for o in others))
        )
    manager = draw_from(st.sampled_from([None, AgentShape("boss", "says who is next")]))
    drawn = tuple(Edge(*pair, when=draw_from(st.sampled_from(["", "if well"]))) for pair in edges)
    return TeamShape(
        "Team", "GraphFlow", "graph", tuple(members), () if manager else drawn, (names[0],), manager=manager
    )


def test_branches_and_loops_look_so() -> None:
    assert [plain(line).rstrip() for line in draw(DIAMOND.shape, 60)] == DIAMOND.drawing.splitlines()
    assert [plain(line).rstrip() for line in draw(LOOP.shape, 60)] == LOOP.drawing.splitlines()


@settings(max_examples=50)
@given(teams(), st.integers(24, 130))
@example(DIAMOND.shape, 60)
@example(LOOP.shape, 60)
def test_every_line_leads_from_its_source_to_its_target_and_to_nobody_else(team: TeamShape, width: int) -> None:
    lines = [plain(line) for line in draw(team, width)]
    wanted = {(edge.source, edge.target) for edge in team.edges}
    if team.manager:
        wanted = {(team.manager.name, member.name) for member in team.members}
    if "▼" in "".join(lines) or not wanted:
        assert set(Traced(lines, [*names_in(team)][1:]).edges()) == wanted
    else:
        words = " ".join("".join(lines).replace("│", " ").split())
        assert all(f"→ {target}" in words or f", {target}" in words for _, target in wanted)


@settings(max_examples=50)
@given(teams(2, teams(2, teams(2))), st.integers(24, 130), st.booleans())
def test_everybody_is_in_it_however_narrow_it_is(team: TeamShape, width: int, in_ascii: bool) -> None:
    lines = [plain(line) for line in draw(team, width, in_ascii=in_ascii)]
    if width >= 40:  # boxes in boxes in boxes need some room
        assert max(map(cell_len, lines)) <= width
    for name in names_in(team):
        assert any(name in line for line in lines), name
    assert not in_ascii or "".join(lines).isascii()


@given(st.text(min_size=1), st.text(min_size=1), st.integers(24, 80), st.booleans())
def test_whatever_a_name_holds_the_frame_stays_whole(name: str, tool: str, width: int, in_ascii: bool) -> None:
    """Wide characters, combining ones, and those that a terminal obeys."""
    agent = AgentShape(name, "AssistantAgent", tool, (tool,))
    team = TeamShape("T", "Swarm", "handoffs", (agent, AgentShape("B", "b")), (Edge(name, "B"),) if name != "B" else ())
    lines = [plain(line) for line in draw(team, width, in_ascii=in_ascii)]
    assert max(map(cell_len, lines)) <= width
    assert not any(sign in line for line in lines for sign in "\x1b\r\n\u202e\u2028")
    frames = {cell_len(line.rstrip()) for line in lines if line.startswith(("│", "|"))}
    assert len(frames) <= 2  # that of the agent, and its lane
    assert "\x1b" not in mermaid(team)


@settings(max_examples=50)
@given(teams(3, teams(2)))
def test_a_flowchart_has_a_box_for_everybody_and_each_line_once(team: TeamShape) -> None:
    chart = mermaid(team).splitlines()
    assert chart[0] == "flowchart TD"
    assert sum('["' in line for line in chart) >= len([*names_in(team)])
    opened = sum(line.lstrip().startswith("subgraph ") for line in chart)
    assert opened == sum(line.strip() == "end" for line in chart)
    ids = [line.strip().removeprefix("subgraph ").partition("[")[0] for line in chart if '["' in line]
    assert len(ids) == len(set(ids))


class Traced:
    """Follows the lines of a drawing without boxes in boxes, as an eye does: straight on where two cross."""

    def __init__(self, lines: Sequence[str], names: Sequence[str]) -> None:
        width = max(map(len, lines))
        self._lines = [line.ljust(width) for line in lines]
        self._boxes = {name: self._box(name) for name in names}

    def edges(self) -> Iterator[tuple[str, str]]:
        for name, (left, right, _, bottom) in self._boxes.items():
            for x in range(left, right + 1):
                if self._lines[bottom][x] == "┬":
                    yield from ((name, target) for target in self._reached(x, bottom))

    def _box(self, name: str) -> tuple[int, int, int, int]:
        """Left, right, top, bottom."""
        for y, line in enumerate(self._lines):
            if (x := line.find(f"│ {name} ")) >= 0:
                bottom = next(below for below in range(y, len(self._lines)) if self._lines[below][x] == "╰")
                top = next(above for above in range(y, -1, -1) if self._lines[above][x] == "╭")
                return x, self._lines[bottom].index("╯", x), top, bottom
        raise AssertionError(name)

    def _reached(self, x: int, y: int) -> set[str]:
        found, seen, waiting = set(), set(), [(x, y, DOWN)]
        while waiting:
            step = waiting.pop()
            if step in seen:
                continue
            seen.add(step)
            x, y, way = step
            x, y = x + _STEPS[way][0], y + _STEPS[way][1]
            sign = self._lines[y][x] if 0 <= y < len(self._lines) else " "
            if sign == "▼":
                found |= {
                    name for name, (left, right, top, _) in self._boxes.items() if top == y + 1 and left <= x <= right
                }
            elif any(left <= x <= right and top <= y <= bottom for left, right, top, bottom in self._boxes.values()):
                continue
            elif not _SIGNS[sign] & _OPPOSITE[way]:
                assert sign == "│", (sign, x, y)
                waiting.append((x, y, way))
            else:
                waiting += [(x, y, side) for side in _STEPS if side != _OPPOSITE[way] and _SIGNS[sign] & side]
        return found
