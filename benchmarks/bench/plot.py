"""The plot that the README shows: CPU per token on a logarithmic scale, for light and dark pages."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from typing import Final

from benchmarks.bench.contender import Kind, LoopName
from benchmarks.bench.report import NAMES
from benchmarks.bench.results import Result, Results, median
from benchmarks.bench.targets import LOOPS

_WIDTH: Final = 820
_LEFT: Final = 220
_RIGHT: Final = 90
_ROW: Final = 34
_TOP: Final = 74
_BETWEEN: Final = 62
_FOOT: Final = 64
_TICKS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000)
_STYLE: Final = """
  text { font: 13px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #24292f; }
  .title { font-size: 16px; font-weight: 600; } .panel { font-weight: 600; }
  .small { font-size: 11px; fill: #57606a; } .value { font-size: 11px; }
  .page { fill: #ffffff; } .grid { stroke: #d8dee4; } .join { stroke: #afb8c1; stroke-width: 2; }
  .dot { fill: #57606a; stroke: #57606a; stroke-width: 2; } .ours { fill: #0969da; stroke: #0969da; }
  .hollow { fill: #ffffff; } .own { font-weight: 600; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; } .small { fill: #9198a1; } .page { fill: #0d1117; } .grid { stroke: #2a313c; }
    .join { stroke: #4d5562; } .dot { fill: #9198a1; stroke: #9198a1; } .ours { fill: #4493f8; stroke: #4493f8; }
    .hollow { fill: #0d1117; }
  }
"""


def draw(results: Results) -> str:
    """As SVG that follows the reader's preference for light or dark."""
    kinds = [kind for kind in NAMES if any(result.kind == kind for result in results.contenders)]
    panels: list[tuple[str, Callable[[Result], Sequence[float]]]] = [
        ("Burst: 200-token answers, as fast as the provider gives them", lambda result: result.burst_us),
        (_paced_title(results), lambda result: result.paced_us),
    ]
    height = _TOP + sum(len(kinds) * _ROW + _BETWEEN for _ in panels) + _FOOT - 20
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img">',
        "<title>CPU time of the server's process per streamed token</title>",
        f"<style>{_STYLE}</style>",
        f'<rect class="page" width="{_WIDTH}" height="{height}" rx="6"/>',
        _text(20, 30, "CPU time per streamed token, in microseconds (less is better)", "title"),
        *_legend(),
    ]
    top = _TOP
    for title, taken in panels:
        lines += _panel(results, kinds, title, taken, top)
        top += len(kinds) * _ROW + _BETWEEN
    lines += [_text(20, top + 10 + 16 * place, line, "small") for place, line in enumerate(_foot(results))]
    return "\n".join([*lines, "</svg>", ""])


def _panel(
    results: Results, kinds: Sequence[Kind], title: str, taken: Callable[[Result], Sequence[float]], top: int
) -> Iterator[str]:
    bottom = top + len(kinds) * _ROW + 12
    yield _text(20, top, title, "panel")
    for tick in _TICKS:
        yield f'<line class="grid" x1="{_x(tick):.1f}" x2="{_x(tick):.1f}" y1="{top + 10}" y2="{bottom}"/>'
        yield _text(_x(tick), bottom + 14, f"{tick:,}", "small", anchor="middle")
    for place, kind in enumerate(kinds):
        y = top + 30 + place * _ROW
        yield _text(_LEFT - 12, y + 4, NAMES[kind], "own" if kind == "server" else "", anchor="end")
        found = {
            result.loop: value
            for result in results.contenders
            if result.kind == kind and (value := median(taken(result))) is not None
        }
        if len(found) == 2:
            low, high = sorted(found.values())
            yield f'<line class="join" x1="{_x(low):.1f}" x2="{_x(high):.1f}" y1="{y}" y2="{y}"/>'
        for loop, value in found.items():
            yield _dot(_x(value), y, is_ours=kind == "server", is_hollow=loop == "asyncio")
        if found:
            yield _text(_x(max(found.values())) + 11, y + 4, _values(found), "value")


def _values(found: Mapping[LoopName, float]) -> str:
    """The values on asyncio's loop, then on uvloop."""
    told = {loop: f"{us:.1f}" if us < 100 else f"{us:.0f}" for loop, us in found.items()}
    return " / ".join(told[loop] for loop in LOOPS if loop in told)


def _legend() -> Iterator[str]:
    yield _dot(27, 48, is_ours=False, is_hollow=True)
    yield _text(38, 52, "asyncio's loop", "small")
    yield _dot(137, 48, is_ours=False, is_hollow=False)
    yield _text(148, 52, "uvloop", "small")


def _paced_title(results: Results) -> str:
    streams = max((result.paced_streams for result in results.contenders), default=0)
    slow = next((r for r in results.contenders if r.kind == "usual" and r.paced_streams < streams), None)
    fewer = f" ({slow.paced_streams} for {NAMES['usual']}: more would saturate it)" if slow else ""
    return f"Paced: a token every 20 ms in each of {streams} streams{fewer}"


def _foot(results: Results) -> Iterator[str]:
    told = results.machine
    yield f"{told['date']} · {told['processor']} · {told['system']} · one process each"
    packages = ("python", "aiohttp", "uvloop", "autogen-agentchat", "openai", "fastapi", "uvicorn")
    yield " · ".join(f"{name} {told[name]}" for name in packages)


def _x(us: float) -> float:
    """A logarithmic scale."""
    low, high = math.log10(_TICKS[0]), math.log10(_TICKS[-1])
    place = (math.log10(min(max(us, _TICKS[0]), _TICKS[-1])) - low) / (high - low)
    return _LEFT + place * (_WIDTH - _LEFT - _RIGHT)


def _dot(x: float, y: float, *, is_ours: bool, is_hollow: bool) -> str:
    classes = " ".join(["dot", *(["ours"] if is_ours else []), *(["hollow"] if is_hollow else [])])
    return f'<circle class="{classes}" cx="{x:.1f}" cy="{y}" r="5"/>'


def _text(x: float, y: float, text: str, style: str, *, anchor: str = "start") -> str:
    return f'<text class="{style}" x="{x:.1f}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'
