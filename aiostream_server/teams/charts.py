"""Charts for teams: draws them, stores them for the run's readers, and links to them. No agent sees a picture's bytes.

`draw_chart` is for agents in code. `chart_tool` is a tool for any agent: the model passes the rows. `chart_tool_over`
draws existing rows, such as those of the last query, which the model cannot change.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Final, NamedTuple

from autogen_core.tools import FunctionTool

from aiostream_server.store.run_files import FileRefused, LinkedFile, current_files
from aiostream_server.tools.chart.arguments import PARAMETERS, ChartNotDrawn, ChartProblem, Format, Kind, Order
from aiostream_server.tools.chart.painter import current_painter
from aiostream_server.tools.chart.plot import Plot
from aiostream_server.tools.sql.rows import Rows

__all__ = ["ChartNotDrawn", "ChartProblem", "DrawnChart", "chart_tool", "chart_tool_over", "draw_chart"]

CHART: Final = "chart"
DESCRIPTION: Final = "Draw a bar, line, scatter or pie chart."
_ASKS_FOR_CHART: Final = re.compile(
    r"\b(?:charts?|plot(?:ted)?|graphs?|graphics?|diagrams?|draw|visuali[sz]\w*|curve|histogram|pie)\b"
    r"|diagramm|grafik|zeichne|kurve|graphique|diagramme|courbe|dessine|gr[áa]fic|dibuja|grafiek|wykres|график|диаграмм|图|グラフ",
    re.IGNORECASE,
)
_NO_ROWS: Final = "there are no rows to draw yet: run a query first"
_NOT_HERE: Final = "pictures cannot be shown here"

_X = Annotated[str, PARAMETERS["x"]["description"]]
_Y = Annotated[list[str], PARAMETERS["y"]["description"]]
_SplitBy = Annotated[str, PARAMETERS["split_by"]["description"]]
_Title = Annotated[str, PARAMETERS["title"]["description"]]
_Kind = Annotated[Kind, PARAMETERS["kind"]["description"]]
_Order = Annotated[Order, PARAMETERS["order"]["description"]]


class DrawnChart(NamedTuple):
    """`file.markdown` shows it, `plot.summary` describes it, and `plot.notes` says what it leaves out."""

    file: LinkedFile
    plot: Plot

    @property
    def remark(self) -> str:
        """A sentence for the model that asked for the chart."""
        left_out = f" ({'; '.join(self.plot.notes)})" if self.plot.notes else ""
        return f"Drawn: {self.plot.summary}{left_out}."


async def draw_chart(
    columns: Sequence[str], rows: Sequence[Sequence[Any]], arguments: Mapping[str, Any], form: Format = "png"
) -> DrawnChart:
    """Raises `ChartProblem` for wrong arguments, and `ChartNotDrawn` if drawing or storing fails."""
    painter, files = current_painter.get(), current_files.get()
    if painter is None or files is None:
        raise ChartNotDrawn(_NOT_HERE)
    drawing = await painter.draw(columns, rows, arguments, form)
    try:
        file = await files.add(drawing.content, drawing.media_type, drawing.plot.title, in_answer=True)
    except FileRefused as exc:
        raise ChartNotDrawn(str(exc)) from exc
    return DrawnChart(file, drawing.plot)


async def expect_chart(question: str) -> None:
    """Start the process that draws where the question asks for a chart: it takes up to two seconds, and is ready when
    the rows are. Charts that no word announces start it themselves."""
    painter = current_painter.get()
    if painter is not None and _ASKS_FOR_CHART.search(question):
        await painter.warm()


def chart_tool(form: Format = "png") -> FunctionTool:
    """A tool to which the model passes the rows. Its result holds the picture's Markdown for the model to repeat.

    If the model does not repeat it, the run adds the picture to the answer.
    """

    async def chart(
        kind: _Kind,
        x: _X,
        y: _Y,
        columns: Annotated[list[str], "The names of the columns."],
        rows: Annotated[list[list[str | float | None]], "The rows: as many values in each as there are columns."],
        split_by: _SplitBy = "",
        title: _Title = "",
        order: _Order = "as given",
    ) -> str:
        if wrong := next((row for row in rows if len(row) != len(columns)), None):
            raise ChartProblem(f"a row has {len(wrong)} values, and there are {len(columns)} columns")
        return await _told(columns, rows, _arguments(kind, x, y, split_by, title, order), form)

    return FunctionTool(chart, name=CHART, description=f"{DESCRIPTION} Give it the rows.")


def chart_tool_over(latest: Callable[[], Rows | None], form: Format = "png") -> FunctionTool:
    """A tool that draws the rows that `latest` returns at the time of the call."""

    async def chart(
        kind: _Kind, x: _X, y: _Y, split_by: _SplitBy = "", title: _Title = "", order: _Order = "as given"
    ) -> str:
        if (rows := latest()) is None:
            raise ChartProblem(_NO_ROWS)
        return await _told(rows.columns, rows.rows, _arguments(kind, x, y, split_by, title, order), form)

    return FunctionTool(chart, name=CHART, description=f"{DESCRIPTION} It draws the rows of the last query.")


async def _told(
    columns: Sequence[str], rows: Sequence[Sequence[Any]], arguments: Mapping[str, Any], form: Format
) -> str:
    drawn = await draw_chart(columns, rows, arguments, form)
    return f"{drawn.remark} To show it, put this line into your answer as it is:\n\n{drawn.file.markdown}"


def _arguments(kind: Kind, x: str, y: list[str], split_by: str, title: str, order: Order) -> Mapping[str, Any]:
    return {"kind": kind, "x": x, "y": y, "split_by": split_by, "title": title, "order": order}
