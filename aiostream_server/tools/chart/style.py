"""How charts look: on the ground of the page that shows them, with few lines and distinguishable colours.

The ground is transparent, so ink and colours have a contrast of 3 to 1 or more with a white page and with a dark one.
"""

from typing import Any, Final

from matplotlib import font_manager

GROUND: Final = "none"
INK: Final = "#7b7b7b"
GRID: Final = "#80808040"
BASELINE: Final = "#808080a0"
COLOURS: Final = ("#3469d6", "#d36f12", "#0f9f8f", "#cf3f93", "#7a5bd3", "#a87f05", "#d1453b", "#75829a")
WIDTH_IN: Final = 8.0
HEIGHT_IN: Final = 4.5
DPI: Final = 160

# matplotlib brings DejaVu Sans: Latin, Greek, Cyrillic, Hebrew and Arabic letters. Other installed fonts may have more.
_FONT: Final = "DejaVu Sans"
_FURTHER_FONTS: Final = (
    *("Noto Sans", "Noto Emoji", "Source Han Sans", "Droid Sans Fallback", "WenQuanYi", "IPAGothic", "IPAexGothic"),
    *("TakaoGothic", "Lohit", "Symbola", "Unifont"),
)
_TICKS: Final = {"color": BASELINE, "labelcolor": INK, "major.size": 0, "major.pad": 6}


def colour(number: int) -> str:
    """The colour of the series, or part of a pie, with that number."""
    return COLOURS[number % len(COLOURS)]


def settings(*, text_as_paths: bool) -> dict[Any, Any]:  # keys: a Literal of all that matplotlib knows
    """For `matplotlib.rc_context`. Text is never parsed as a formula; an SVG holds it as paths or as text elements."""
    return {
        "text.parse_math": False,
        "text.usetex": False,
        "font.family": [_FONT, *_further_fonts()],
        "font.size": 10.5,
        "text.color": INK,
        "axes.edgecolor": BASELINE,
        "axes.labelcolor": INK,
        "axes.facecolor": GROUND,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "figure.facecolor": GROUND,
        "savefig.facecolor": GROUND,
        "grid.color": GRID,
        "grid.linewidth": 0.9,
        **{f"{axis}tick.{name}": value for axis in "xy" for name, value in _TICKS.items()},
        "legend.frameon": False,
        "svg.fonttype": "path" if text_as_paths else "none",
        "svg.hashsalt": "chart",
    }


def _further_fonts() -> list[str]:
    return sorted({font.name for font in font_manager.fontManager.ttflist if font.name.startswith(_FURTHER_FONTS)})
