"""How long the value of one function call can become, from the lengths of its arguments. Lengths are characters.

A gathered value (`string_agg`) counts as `GATHERED_CHARS`: what reads it once may double it, but not split it into an
array of characters, each of which takes thirty bytes.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from sqlglot import exp

from aiostream_server.tools.sql.bounds import MAX_PADDING

GATHERED_CHARS: Final = 1024**2
MAX_DIGITS: Final = 4_000
NUMBER_DIGITS: Final = 20
_STORED_CHARS: Final = 4096  # of a document in a column, each character of which may be replaced by many
_BYTES_OF_A_PIECE: Final = 32
_GATHERING: Final = frozenset(
    ("array_agg", "json_agg", "json_object_agg", "jsonb_agg", "jsonb_object_agg", "string_agg")
)
_JOINING: Final = frozenset(
    (
        *("array_append", "array_cat", "array_prepend", "array_replace", "concat", "json_array", "json_object"),
        *("json_build_array", "json_build_object", "jsonb_build_array", "jsonb_build_object", "row"),
    )
)
_FACTORS: Final[Mapping[str, int]] = {
    **dict.fromkeys(("hex", "quote", "encode", "to_json", "to_jsonb", "json_quote", "row_to_json"), 2),
    **dict.fromkeys(
        ("regexp_matches", "regexp_split_to_array", "regexp_split_to_table", "string_to_array", "string_to_table"),
        _BYTES_OF_A_PIECE,
    ),
}
_EXPONENT: Final = re.compile(r"[\d.]+e([+-]?\d+)", re.IGNORECASE)


class TooLarge(Exception):
    """The message says what would become too large, and what to do."""


def called_chars(name: str, arguments: Sequence[exp.Expr], inner: Sequence[float]) -> float:
    """`inner` are the lengths of the arguments. Raises `TooLarge`."""
    longest = max(inner, default=0)
    match name, arguments:
        case (("replace" | "regexp_replace" | "translate"), [_, searched, _, *_]):
            # Each character of the first may be replaced by the whole third.
            factor = inner[2] / (max(1.0, inner[1]) if name == "replace" and searched.is_string else 1.0)
            return max(inner[0], _STORED_CHARS) * factor if factor > 1 else inner[0]
        case (("power" | "pow"), [_, exponent]):
            _check_exponent(exponent)
        case "repeat", [_, *_]:
            return max(inner[0], _STORED_CHARS) * MAX_PADDING
        case (("lpad" | "rpad" | "round" | "trunc"), [_, length, *_]):
            return max(longest, float(length.to_py()) if length.is_int else MAX_PADDING)
        case (("format" | "printf"), [template, *_]):
            return sum(inner) + longest * template.name.count("%")
        case "concat_ws", [_, *_]:
            return sum(inner) + inner[0] * len(inner)
        case "array_to_string", [_, _, *_]:
            return inner[0] * max(1.0, inner[1])
    if name in _GATHERING:
        return max(longest, GATHERED_CHARS)
    return sum(inner) if name in _JOINING else longest * _FACTORS.get(name, 1)


def _check_exponent(exponent: exp.Expr) -> None:
    if isinstance(exponent, exp.Literal) and not exponent.is_string and float(exponent.this) > MAX_DIGITS / 4:
        raise TooLarge(f"power needs an exponent of at most {MAX_DIGITS // 4}")


def literal_chars(literal: exp.Literal) -> float:
    """The length of a literal; of a number, the digits before its point: `1e100000` has 100,000."""
    if exponent := _EXPONENT.fullmatch(literal.name.strip()):
        return max(len(literal.name), min(abs(float(exponent[1])), 10.0**6))
    return len(literal.name) if literal.is_string else min(NUMBER_DIGITS, len(literal.name))
