"""How a column of numbers is written for people: `56,288.50`, as a text about the table writes it, not `56288.5`.

Thousands are apart, and a column of at most two decimal places has two in each row. Numbers that name something, such
as ids and years, stay as they are, and so do numbers with more decimal places, apart from their thousands. No digit is
lost.
"""

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from aiostream_server.tools.sql.cells import Cell, is_number, show_cell

_NAMES: Final = re.compile(
    r"(?:^|[_\W])(?:id|ids|year|years|yr|code|zip|plz|postcode|nr|no|number|key|isbn|ean|sku|phone|serial|version|index|rank)$"
    r"|(?<=[a-z])(?:Id|ID|Year|Code|Nr|Number|Key)$"
)
_MONEY_PLACES: Final = 2


def figures(name: str, cells: Sequence[Cell]) -> list[str | None]:
    """The cells of a column as people read them; None for a cell that stays as it is."""
    if _NAMES.search(name):
        return [None] * len(cells)
    numbers = [_plain(cell) for cell in cells]
    most = max((_places(number) for number in numbers if number is not None), default=0)
    places = _MONEY_PLACES if 0 < most <= _MONEY_PLACES else None
    return [None if number is None else _figure(number, places) for number in numbers]


def _plain(cell: Cell) -> Decimal | None:
    """None for what is no number, or has an exponent."""
    text = show_cell(cell) if is_number(cell) else "e"
    return None if "e" in text else Decimal(text)


def _figure(number: Decimal, places: int | None) -> str:
    return f"{number:,f}" if places is None else f"{number:,.{places}f}"


def _places(number: Decimal) -> int:
    return max(0, -int(number.as_tuple().exponent))
