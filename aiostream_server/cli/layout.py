"""Boxes in rows, and the lines between them.

A line leaves a box below and ends above another. To the next row it goes straight, or by a level of its own between the
two; to any other row it goes by the side, on the right of everything.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from aiostream_server.cli.canvas import UP, Canvas, Line, Piece, width_of
from aiostream_server.teams.shape import Shape

GAP: Final = 2
"""Cells between two boxes of a row."""


@dataclass(slots=True)
class Node:
    """One box. `row` and `x` are filled in by the layout; `exit` is where its line leaves."""

    shape: Shape
    notes: Sequence[str]
    targets: list[int] = field(default_factory=list)
    lines: Sequence[Line] = ()
    row: int = 0
    x: int = 0
    exit: int = 0

    @property
    def width(self) -> int:
        return width_of(self.lines[0])

    @property
    def centre(self) -> int:
        return self.x + self.width // 2


@dataclass(frozen=True, slots=True)
class Net:
    """One line, from those who lead to the same ones. `direct` are in the row below its `sources`; it gets to those
    `around` by the side. By number, as in the list of boxes."""

    row: int
    sources: tuple[int, ...]
    direct: tuple[int, ...]
    around: tuple[int, ...]


class Layout:
    """Rows of boxes, and the lines between them. The space below row n is gap n; that above the first is gap -1.

    Every line has places of its own where it ends, and levels of its own on its way: so lines cross, but never meet.
    """

    def __init__(self, nodes: Sequence[Node], rows: Sequence[Sequence[Node]]) -> None:
        self._nodes = nodes
        self._rows = rows
        self._width = max(sum(node.width for node in row) + GAP * (len(row) - 1) for row in rows)
        self._place()
        self._nets = self._find_nets()
        self._entries = {target: self._entries_of(target) for target in range(len(nodes))}
        for net in self._nets:
            for source in net.sources:
                nodes[source].exit = self._exit(net, nodes[source])
        by_side = sorted((net for net in self._nets if net.around), key=self._reach)
        self._lanes = {net: self._width + 1 + 2 * place for place, net in enumerate(by_side)}
        self._tracks = {gap: self._tracks_in(gap) for gap in range(-1, len(rows))}

    def draw(self) -> Sequence[Line]:
        canvas, y = Canvas(), 0
        tops: dict[int, int] = {}
        for gap in range(-1, len(self._rows)):
            if gap >= 0:
                y = self._draw_row(canvas, self._rows[gap], y)
            tops[gap] = y
            y += self._height(gap)
        for net in self._nets:
            self._draw_net(canvas, net, tops)
        for target, entries in self._entries.items():
            gap = self._nodes[target].row - 1
            for x in entries.values():
                canvas.put(x, tops[gap] + self._height(gap) - 1, (Piece("▼", "line"),))
        return canvas.lines()

    def _place(self) -> None:
        for row in self._rows:
            x = (self._width - sum(node.width for node in row) - GAP * (len(row) - 1)) // 2
            for node in row:
                node.x = x
                x += node.width + GAP

    def _find_nets(self) -> Sequence[Net]:
        found: dict[object, Net] = {}
        for number, node in enumerate(self._nodes):
            direct = tuple(sorted(each for each in node.targets if self._nodes[each].row == node.row + 1))
            around = tuple(sorted(set(node.targets) - set(direct)))
            key = (node.row, number if around else direct, bool(around))
            sources = (*(found[key].sources if key in found else ()), number)
            if node.targets:
                found[key] = Net(node.row, sources, direct, around)
        return list(found.values())

    def _entries_of(self, target: int) -> Mapping[Net, int]:
        """Where each line ends above a box: side by side, those that come by the side on the right."""
        node = self._nodes[target]
        direct = [net for net in self._nets if target in net.direct]
        direct.sort(key=lambda net: sum(self._nodes[source].centre for source in net.sources) / len(net.sources))
        nets = [*direct, *(net for net in self._nets if target in net.around)]
        step = max(1, min(4, (node.width - 4) // max(len(nets), 1)))
        first = node.centre - step * (len(nets) - 1) // 2
        return {net: first + step * place for place, net in enumerate(nets)}

    def _exit(self, net: Net, node: Node) -> int:
        """Straight above where the line ends, if it can be; never above where another one does."""
        taken = {
            x
            for number, entries in self._entries.items()
            if self._nodes[number].row == node.row + 1
            for other, x in entries.items()
            if other is not net
        }
        ends = [self._entries[target][net] for target in net.direct]
        wanted = [end for end in ends if abs(end - node.centre) < min(node.width // 2 - 1, 6) and len(ends) == 1]
        offsets = (0, 2, -2, 3, -3, 4, -4, 1, -1, 5, -5)
        possible = [*wanted, *(node.centre + offset for offset in offsets)]
        return next((x for x in possible if x not in taken and node.x < x < node.x + node.width - 1), node.centre)

    def _reach(self, net: Net) -> int:
        """Over how many rows."""
        return max(abs(self._nodes[target].row - net.row) for target in net.around)

    def _is_straight(self, net: Net) -> bool:
        if len(net.sources) > 1 or len(net.direct) > 1 or net.around:
            return False
        return self._entries[net.direct[0]][net] == self._nodes[net.sources[0]].exit

    def _tracks_in(self, gap: int) -> Sequence[Net]:
        """The lines that have a level there."""
        leaving = [net for net in self._nets if net.row == gap and not self._is_straight(net)]
        coming = [net for net in self._lanes if any(self._nodes[each].row == gap + 1 for each in net.around)]
        return [*leaving, *(net for net in coming if net not in leaving)]

    def _height(self, gap: int) -> int:
        is_entered = any(entries and self._nodes[each].row == gap + 1 for each, entries in self._entries.items())
        return len(self._tracks[gap]) + (1 if is_entered or 0 <= gap < len(self._rows) - 1 else 0)

    def _draw_row(self, canvas: Canvas, row: Sequence[Node], y: int) -> int:
        height = max(len(node.lines) for node in row)
        for node in row:
            blank = (Piece("│", "line"), Piece(" " * (node.width - 2)), Piece("│", "line"))
            lines = [*node.lines[:-1], *[blank] * (height - len(node.lines)), node.lines[-1]]
            for number, line in enumerate(lines):
                canvas.put(node.x, y + number, line)
            if node.targets:
                canvas.put(node.exit, y + height - 1, (Piece("┬", "line"),))
        return y + height

    def _draw_net(self, canvas: Canvas, net: Net, tops: Mapping[int, int]) -> None:
        top = tops[net.row]
        bottom = top + self._height(net.row) - 1
        exits = [self._nodes[source].exit for source in net.sources]
        ends = [self._entries[target][net] for target in net.direct]
        y = bottom if self._is_straight(net) else top + self._tracks[net.row].index(net)
        for x in exits:
            canvas.upright(x, top, y, net)
            canvas.join(x, top, UP, net)
        canvas.level(y, min(exits + ends), max(exits + ends), net)
        for x in ends:
            canvas.upright(x, y, bottom, net)
        if net.around:
            self._draw_lane(canvas, net, y, tops)

    def _draw_lane(self, canvas: Canvas, net: Net, leaves_at: int, tops: Mapping[int, int]) -> None:
        lane, levels = self._lanes[net], [leaves_at]
        canvas.level(leaves_at, self._nodes[net.sources[0]].exit, lane, net)
        for row in sorted({self._nodes[target].row for target in net.around}):
            gap = row - 1
            y = tops[gap] + self._tracks[gap].index(net)
            ends = [self._entries[target][net] for target in net.around if self._nodes[target].row == row]
            canvas.level(y, min(ends), lane, net)
            for x in ends:
                canvas.upright(x, y, tops[gap] + self._height(gap) - 1, net)
            levels.append(y)
        canvas.upright(lane, min(levels), max(levels), net)
