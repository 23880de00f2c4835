"""A chart that can be drawn: every number checked, every text short enough, everything counted that was left out.

Plain values only, so that it travels to the process that draws it, as JSON.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

from aiostream_server.tools.chart.arguments import Kind

Axis: TypeAlias = Literal["names", "numbers", "dates"]


@dataclass(frozen=True, slots=True)
class Series:
    """`values` are as many as the plot's `x`; None is a gap."""

    name: str
    values: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Plot:
    """`x` holds names, numbers, or (`dates`) days since 1970, as `axis` says. `notes` say what was left out."""

    kind: Kind
    axis: Axis
    x: tuple[str, ...] | tuple[float, ...]
    series: tuple[Series, ...]
    title: str
    x_label: str
    y_label: str
    notes: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        """`line chart: 12 points`, `bar chart: 5 bars, 2 series`."""
        count = len(self.x)
        word = {"bar": "bar", "line": "point", "scatter": "point", "pie": "part"}[self.kind]
        text = f"{self.kind} chart: {count} {word}{'' if count == 1 else 's'}"
        if len(self.series) > 1:
            text += f", {len(self.series)} series"
        return text

    def to_json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=True, allow_nan=False)


def read_plot(text: str) -> Plot:
    """What `to_json` gave."""
    fields: dict[str, Any] = json.loads(text)
    series = tuple(Series(each["name"], tuple(each["values"])) for each in fields.pop("series"))
    x: Sequence[Any] = fields.pop("x")
    notes: Sequence[str] = fields.pop("notes")
    return Plot(x=tuple(x), series=series, notes=tuple(notes), **fields)
