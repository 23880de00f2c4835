"""Breaks a query that stands in one long line before its clauses, so that people can read it.

Only white space changes, and none inside quotes or comments: it is the same statement, as its agent wrote it.
"""

import re
from typing import Final

_LINE_CHARS: Final = 80
_MAX_CHARS: Final = 8_000
_TOKEN: Final = re.compile(
    r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`[^`]*`|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$|/\*.*?\*/"
    r"|\s+(?P<clause>(?:"
    r"FROM|WHERE|HAVING|LIMIT|WINDOW|GROUP\s+BY|ORDER\s+BY|UNION|INTERSECT|EXCEPT|SELECT"
    r"|(?:NATURAL\s+)?(?:(?:LEFT|RIGHT|FULL)\s+(?:OUTER\s+)?|INNER\s+|CROSS\s+)?JOIN)\b)"
    r"|(?P<open>\((?P<query>\s*(?:SELECT|WITH)\b)?)|(?P<close>\))",
    re.IGNORECASE | re.DOTALL,
)
_NO_CLAUSE: Final = re.compile(r"\b(?:DISTINCT|ALL)\Z", re.IGNORECASE)  # IS DISTINCT FROM, UNION ALL SELECT


def in_lines(sql: str) -> str:
    """The query; as it is where it has lines already, is short, or has a comment to the end of the line."""
    if "\n" in sql or "--" in sql or not _LINE_CHARS < len(sql) <= _MAX_CHARS:
        return sql
    pieces: list[str] = []
    inside: list[bool] = []  # for each open parenthesis, whether it holds a query
    at = 0
    for token in _TOKEN.finditer(sql):
        pieces.append(sql[at : token.start()])
        at = token.end()
        if token["open"]:
            inside.append(token["query"] is not None)
        elif token["close"] and inside:
            inside.pop()
        is_clause = token["clause"] and all(inside) and not _NO_CLAUSE.search(sql[: token.start()][-10:])
        pieces.append(f"\n{'  ' * len(inside)}{token['clause']}" if is_clause else token[0])
    return "".join([*pieces, sql[at:]])
