"""A team as a drawing of boxes and lines, for a terminal of so many cells.

Everybody is a box; a line leaves a box below and ends with an arrow above the one who can speak next. Boxes are in rows
by how far they are from who begins; a line to any other row than the next goes by the side. Teams inside of others are
boxes in boxes. Where the terminal is too narrow for the lines, names of who is next stand in the boxes instead.
"""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Final, TypeVar

from rich.cells import cell_len, chop_cells

from aiostream_server.cli.canvas import Line, Piece, to_ascii, width_of
from aiostream_server.cli.layout import GAP, Layout, Node
from aiostream_server.cli.table import shown
from aiostream_server.teams.shape import Shape, TeamShape

_T = TypeVar("_T")

MIN_WIDTH: Final = 24
_WIDEST_TEXT: Final = 34
_SAID: Final = {
    "ring": "one after the other",
    "chosen": "one is chosen, again and again",
    "handoffs": "whoever speaks hands over to the next",
    "graph": "along the lines",
    "unknown": "in an order of its own",
}


def draw(shape: Shape, width: int, *, in_ascii: bool = False) -> Sequence[Line]:
    """No line is wider than `width`, which is at least `MIN_WIDTH`."""
    if in_ascii:
        return [to_ascii(line) for line in draw(_escaped(shape), width)]
    width = max(width, MIN_WIDTH)
    return _group(shape, width) if isinstance(shape, TeamShape) else _box(shape, (), width, 0)


def _group(team: TeamShape, width: int) -> Sequence[Line]:
    """What is said of the whole, and its members below that."""
    head = _wrapped(f"{_named(team)} · {_SAID[team.order]}", width, "note")
    left_alone = "when the last line is gone" if team.order == "graph" else "when the limits of the server do"
    ends = ", or ".join(map(shown, team.ends)) or left_alone
    return [*head, *_members(team, width), *_wrapped(f"ends {ends}", width, "note")]


def _named(team: TeamShape) -> str:
    if team.name == team.kind:
        return team.kind
    return f"{team.kind}, a {team.name}" if team.name.endswith("GroupChat") else f"{shown(team.name)} · {team.kind}"


def _members(team: TeamShape, width: int) -> Sequence[Line]:
    """Side by side where there is room, else below each other, else without lines."""
    count = len(team.members) + (team.manager is not None)
    for abreast in (*range(min(count, 6), 0, -1), 0):
        nodes = _nodes(team, names_targets=abreast == 0)
        rows = [[node] for node in nodes] if abreast == 0 else _rows(nodes, abreast)
        lanes = 0 if abreast == 0 else sum(_needs_lane(node, nodes) for node in nodes)
        room = width - (2 * lanes + 1 if lanes else 0)
        widest = max(map(len, rows))
        each = (room - GAP * (widest - 1)) // widest
        if abreast == 0 or each >= (MIN_WIDTH - 4 if widest > 1 else MIN_WIDTH // 2):
            drawn = _try_to_draw(nodes, rows, each, lines=abreast > 0, width=width)
            if drawn is not None:
                return drawn
    raise AssertionError("unreachable: the last attempt always fits")


def _nodes(team: TeamShape, *, names_targets: bool) -> list[Node]:
    nodes = [Node(member, list(_notes(team, member, names_targets))) for member in team.members]
    index = {node.shape.name: number for number, node in enumerate(nodes)}
    for edge in team.edges:
        source, target = nodes[index[edge.source]], index[edge.target]
        if target not in source.targets:
            source.targets.append(target)
    if team.manager is None:
        return nodes
    notes = [f"→ {shown(', '.join(index))}"] if names_targets else []
    manager = Node(team.manager, notes, [number + 1 for number in index.values()])
    for node in nodes:
        node.targets = [target + 1 for target in node.targets]
    return [manager, *nodes]


def _notes(team: TeamShape, member: Shape, names_targets: bool) -> Iterator[str]:
    if member.name in team.starts and team.manager is None and len(team.members) > 1:
        yield "begins"
    if joins := (team.joins or {}).get(member.name):
        yield shown(joins)
    for edge in team.edges:
        if edge.source == member.name and (edge.when or names_targets):
            yield shown(f"→ {edge.target} {edge.when}".rstrip())


def _rows(nodes: Sequence[Node], abreast: int) -> list[list[Node]]:
    """By the longest way from a beginning, lines that lead back left out; then as many as are wanted side by side."""
    levels = [0] * len(nodes)
    forward = [(source, target) for source in range(len(nodes)) for target in _forward(nodes, source)]
    for _ in nodes:
        for source, target in forward:
            levels[target] = max(levels[target], min(levels[source] + 1, len(nodes) - 1))
    rows: list[list[Node]] = []
    for level in sorted(set(levels)):
        peers = [node for node, at in zip(nodes, levels, strict=True) if at == level]
        each = -(-len(peers) // -(-len(peers) // abreast))  # so that all rows are about equally full
        rows += [peers[start : start + each] for start in range(0, len(peers), each)]
    for number, row in enumerate(rows):
        for node in row:
            node.row = number
    return rows


def _forward(nodes: Sequence[Node], source: int) -> Sequence[int]:
    return [target for target in nodes[source].targets if target not in _ancestors(nodes, source)]


def _ancestors(nodes: Sequence[Node], node: int) -> set[int]:
    """The node itself, and who leads to it when everybody is visited depth first, in order."""
    return _stacks(nodes)[node]


def _stacks(nodes: Sequence[Node]) -> list[set[int]]:
    stacks: list[set[int]] = [set() for _ in nodes]
    seen: set[int] = set()
    for first in range(len(nodes)):
        waiting = [(first, frozenset[int]())]
        while waiting:
            node, above = waiting.pop()
            if node in seen:
                continue
            seen.add(node)
            stacks[node] = {*above, node}
            waiting += [(target, above | {node}) for target in reversed(nodes[node].targets)]
    return stacks


def _needs_lane(node: Node, nodes: Sequence[Node]) -> bool:
    return any(nodes[target].row != node.row + 1 for target in node.targets)


def _try_to_draw(
    nodes: Sequence[Node], rows: Sequence[Sequence[Node]], each: int, *, lines: bool, width: int
) -> Sequence[Line] | None:
    """None where somebody's box is too wide."""
    for node in nodes:
        node.lines = _box(node.shape, node.notes, each, 0)
    same = max(node.width for node in nodes)
    if same <= each:
        for node in nodes:
            node.lines = _box(node.shape, node.notes, each, same)
    drawn = Layout(nodes, rows).draw() if lines else [line for node in nodes for line in node.lines]
    return drawn if not lines or max(map(width_of, drawn)) <= width else None


def _box(shape: Shape, notes: Sequence[str], widest: int, at_least: int) -> Sequence[Line]:
    """With its frame; all lines are equally wide, at most `widest`, which is never less than what a box takes."""
    content = list(_content(shape, notes, max(widest - 4, 6)))
    inner = max(at_least - 4, *map(width_of, content))
    framed = [
        (Piece("│ ", "line"), *line, Piece(" " * (inner - width_of(line))), Piece(" │", "line")) for line in content
    ]
    return [(Piece(f"╭{'─' * (inner + 2)}╮", "line"),), *framed, (Piece(f"╰{'─' * (inner + 2)}╯", "line"),)]


def _content(shape: Shape, notes: Sequence[str], width: int) -> Iterator[Line]:
    text = min(width, _WIDEST_TEXT)
    if isinstance(shape, TeamShape):
        yield from (line for note in notes for line in _wrapped(note, text, ""))
        yield from _group(shape, width)
        return
    yield from _wrapped(shown(shape.name), text, "name")
    model = f" · {shown(shape.model)}" if shape.model else ""
    person = " · a person" if shape.is_person and shape.kind != "the user" else ""
    yield from _wrapped(f"{shown(shape.kind)}{person}{model}", text, "note")
    if shape.tools:
        yield from _wrapped(f"tools: {shown(', '.join(shape.tools))}", text, "")
    yield from (line for note in notes for line in _wrapped(note, text, ""))
    for each in shape.inside:
        yield from _wrapped(f"{shown(each.how)}:", text, "note")
        yield from _group(each.shape, width) if isinstance(each.shape, TeamShape) else _box(each.shape, (), width, 0)


def _escaped(thing: _T) -> _T:
    """The same with every text in it in ASCII, before it is known how much room it takes."""
    if isinstance(thing, str):
        return thing.encode("ascii", "backslashreplace").decode()  # type: ignore[return-value]  # mypy: a narrower str
    if isinstance(thing, tuple):
        return tuple(map(_escaped, thing))  # type: ignore[return-value]  # of the same
    if isinstance(thing, Mapping):
        return {_escaped(name): _escaped(value) for name, value in thing.items()}  # type: ignore[return-value]  # likewise
    if is_dataclass(thing) and not isinstance(thing, type):
        return replace(thing, **{each.name: _escaped(getattr(thing, each.name)) for each in fields(thing)})
    return thing


def _wrapped(text: str, width: int, tone: str) -> Iterator[Line]:
    """Between words where that is possible; what is wider than a line is cut."""
    lines = textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False) or [""]
    for line in lines:
        for part in chop_cells(line, width) if cell_len(line) > width else [line]:
            yield (Piece(part, tone),)  # type: ignore[arg-type]  # the tones of this module
