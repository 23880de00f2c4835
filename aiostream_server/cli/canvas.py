"""Lines and text on a grid of characters.

Lines of one net join where they meet; those of two nets cross, the upright one in front, unless both turn there.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final, Literal, TypeAlias

from rich.cells import cell_len, get_character_cell_size

Tone: TypeAlias = Literal["", "name", "line", "note"]

UP, RIGHT, DOWN, LEFT = 1, 2, 4, 8
_UPRIGHT: Final = UP | DOWN
_LEVEL: Final = LEFT | RIGHT
_SIGNS: Final = " ╵╶╰╷│╭├╴╯─┴╮┤┬┼"
_IN_ASCII: Final = str.maketrans(
    dict.fromkeys("╭╮╰╯├┤┬┴┼╵╷", "+")
    | {"│": "|", "─": "-", "╴": "-", "╶": "-", "▼": "v", "→": ">", "·": "-", "…": "~", "\ufffd": "?"}
)


@dataclass(frozen=True, slots=True)
class Piece:
    """Text in one tone: `name` stands out, `line` and `note` stand back."""

    text: str
    tone: Tone = ""


Line: TypeAlias = tuple[Piece, ...]


def plain(line: Line) -> str:
    return "".join(piece.text for piece in line)


def width_of(line: Line) -> int:
    """In cells of a terminal."""
    return sum(cell_len(piece.text) for piece in line)


def to_ascii(line: Line) -> Line:
    """The same with other signs; what else is not ASCII is escaped."""
    return tuple(Piece(_escaped(piece.text.translate(_IN_ASCII)), piece.tone) for piece in line)


def _escaped(text: str) -> str:
    return text.encode("ascii", "backslashreplace").decode()


class Canvas:
    """Grows to what is put on it. `x` and `y` count cells from the upper left corner."""

    def __init__(self) -> None:
        self._texts: dict[tuple[int, int], tuple[str, Tone]] = {}
        self._nets: dict[tuple[int, int], dict[object, int]] = {}
        self._height = 0

    def put(self, x: int, y: int, line: Line) -> None:
        """In the place of whatever is there. A character that is two cells wide takes the next one, too."""
        self._height = max(self._height, y + 1)
        for piece in line:
            for sign in piece.text:
                wide = get_character_cell_size(sign)
                if wide == 0 and (x - 1, y) in self._texts:
                    before, tone = self._texts[x - 1, y]
                    self._texts[x - 1, y] = before + sign, tone
                    continue
                self._texts[x, y] = sign, piece.tone
                if wide == 2:
                    self._texts[x + 1, y] = "", piece.tone
                x += max(wide, 1)

    def join(self, x: int, y: int, sides: int, net: object) -> None:
        """A line of `net` that leaves the cell at those sides."""
        self._height = max(self._height, y + 1)
        self._texts.pop((x, y), None)
        nets = self._nets.setdefault((x, y), {})
        nets[net] = nets.get(net, 0) | sides

    def upright(self, x: int, top: int, bottom: int, net: object) -> None:
        """From the one cell to the other, both included, open to neither side beyond."""
        for y in range(top, bottom + 1):
            self.join(x, y, (UP if y > top else 0) | (DOWN if y < bottom else 0), net)

    def level(self, y: int, left: int, right: int, net: object) -> None:
        for x in range(left, right + 1):
            self.join(x, y, (LEFT if x > left else 0) | (RIGHT if x < right else 0), net)

    def lines(self) -> Sequence[Line]:
        return [tuple(self._line(y)) for y in range(self._height)]

    def _line(self, y: int) -> Iterator[Piece]:
        ends = [x for x, row in (*self._texts, *self._nets) if row == y]
        cells = [self._cell(x, y) for x in range(max(ends, default=-1) + 1)]
        for tone, group in groupby(cells, key=lambda cell: cell[1]):
            yield Piece("".join(sign for sign, _ in group), tone)

    def _cell(self, x: int, y: int) -> tuple[str, Tone]:
        if (x, y) in self._texts:
            return self._texts[x, y]
        nets = list(self._nets.get((x, y), {}).values())
        if len(nets) > 1 and any(each & _UPRIGHT == 0 for each in nets):
            nets = [each for each in nets if each & _UPRIGHT] or nets  # what only passes by is behind
        sides = 0
        for each in nets:
            sides |= each
        return _SIGNS[sides], "line" if sides else ""
