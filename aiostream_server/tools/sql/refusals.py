"""What a refusal says: the words of the statement that are refused, and what to write instead.

A model reads these lines and corrects its statement, so they never name a class of the parser.
"""

from collections.abc import Mapping
from typing import Final

from sqlglot import exp
from sqlglot.errors import ErrorLevel, ParseError

from aiostream_server.text import clipped, one_line
from aiostream_server.tools.sql.dialects import DIALECTS, TITLES, DialectName

_MAX_SHOWN_CHARS: Final = 60


class NotAllowed(Exception):
    """The statement breaks a rule of the guard; the message quotes the part and says what to write instead."""


def shown(part: object, dialect: DialectName) -> str:
    """The beginning of the part, as SQL in backquotes; of a command its keyword."""
    if isinstance(part, exp.Command):
        return _quoted(str(part.this).upper())
    if isinstance(part, exp.Placeholder):
        return _quoted(f":{part.name}" if part.name.isidentifier() else "?")
    if not isinstance(part, exp.Expr):
        return _quoted(str(part))
    try:
        text = part.sql(
            DIALECTS[dialect], comments=False, unsupported_level=ErrorLevel.IGNORE, normalize_functions=False
        )
    except Exception:  # sqlglot cannot write every tree that it reads
        text = part.name
    return _quoted(text or part.name)


def keyword(node: exp.Expr, dialect: DialectName) -> str:
    """What kind of statement it is, by its first word: DELETE, also after WITH."""
    if isinstance(node, exp.Command):
        return str(node.this).upper()
    first = shown(node, dialect).strip("`").partition(" ")[0].upper()
    return node.key.upper() if first == "WITH" else first


def not_understood(error: ParseError, sql: str, dialect: DialectName) -> NotAllowed:
    """Where the parser stopped. Its own message can name its classes, so it is left out."""
    first = error.errors[0] if error.errors else {}
    near = one_line(f"{first.get('highlight') or ''}{first.get('end_context') or ''}").strip()
    before = one_line(str(first.get("start_context") or "")).strip()
    place = f"line {first.get('line', 1)}, column {first.get('col', 1)}"
    where = f"at {_quoted(near)}" if near else f"after {_quoted(before[-_MAX_SHOWN_CHARS:])}" if before else ""
    advice = "check the parentheses and commas there, or write it in plainer SQL"
    if dialect == "postgres" and "`" in sql:
        advice = 'write names in double quotes, "like this", and not in backquotes'
    return NotAllowed(f"not understood as {TITLES[dialect]} {where} ({place}): {advice}")


def function_refused(name: str, dialect: DialectName) -> NotAllowed:
    instead = _INSTEAD[dialect].get(name) or _EITHER.get(name)
    if instead is None and name.startswith(("pg_", "sqlite", "pragma_", "lo_", "has_", "txid", "inet_")):
        instead = "ask the tables of the schema only"
    general = "compute it with the common functions, operators and CASE"
    return NotAllowed(f"the function `{clipped(name, _MAX_SHOWN_CHARS)}` is not allowed: {instead or general}")


def node_refused(node: exp.Expr, dialect: DialectName) -> NotAllowed:
    advice = _NODES.get(type(node))
    if advice is None and dialect == "sqlite":
        advice = _SQLITE_NODES.get(type(node))
    return NotAllowed(f"{shown(node, dialect)} is not allowed: {advice or 'leave it out, or write it in plainer SQL'}")


def part_refused(part: str, value: object, node: exp.Expr, dialect: DialectName) -> NotAllowed:
    if part in _CLAUSES:
        clause, advice = _CLAUSES[part]
        if part == "search" and isinstance(value, exp.Expr):
            clause = "CYCLE" if value.args.get("kind") == "CYCLE" else "SEARCH"
        return NotAllowed(f"`{clause}` is not allowed: {advice}")
    what = shown(value[0] if isinstance(value, list) else value, dialect)
    return NotAllowed(f"{what} is not allowed in {shown(node, dialect)}: leave it out, or write it in plainer SQL")


def _quoted(text: str) -> str:
    return f"`{clipped(one_line(text).replace('`', chr(39)), _MAX_SHOWN_CHARS)}`"


_CLAUSES: Final = {
    "locks": ("FOR UPDATE", "nothing may lock rows; leave the clause out"),
    "into": ("INTO", "nothing may be written; leave it out, and SELECT gives the rows"),
    "pivots": ("PIVOT", "write sum(CASE WHEN ... THEN ... END) for each column"),
    "by_name": ("BY NAME", "name the columns in the same order on both sides"),
    "search": ("SEARCH", "keep the way in a column, path || id, and stop where id = ANY(path)"),
    "indexed": ("INDEXED BY", "the database chooses the index; leave it out"),
}
_NODES: Final[Mapping[type[exp.Expr], str]] = {
    exp.Parameter: "write the value itself",
    exp.Placeholder: "write the value itself",
    exp.SessionParameter: "write the value itself",
    exp.Operator: "write the operator alone, without OPERATOR(...)",
    exp.Insert: "only SELECT may run, nothing may be written",
    exp.Update: "only SELECT may run, nothing may be written",
    exp.Delete: "only SELECT may run, nothing may be written",
    exp.Concat: "join texts with ||",
    exp.RegexpLike: "use LIKE or GLOB",
    exp.Match: "use LIKE '%word%'",
    exp.CurrentUser: "it asks who is connected; leave it out",
    exp.JSON: "write jsonb_typeof(x) IS NOT NULL",
}
_SQLITE_NODES: Final[Mapping[type[exp.Expr], str]] = {
    exp.Interval: "SQLite has no intervals; write date(x, '+1 month')",
    exp.Lateral: "SQLite has no LATERAL; use a subquery in SELECT, or ROW_NUMBER()",
    exp.Rollup: "SQLite has no ROLLUP; join two SELECTs with UNION ALL",
    exp.Cube: "SQLite has no CUBE; join SELECTs with UNION ALL",
    exp.GroupingSets: "SQLite has no GROUPING SETS; join SELECTs with UNION ALL",
    exp.Array: "SQLite has no arrays; use json_each over a JSON text",
    exp.ILike: "LIKE ignores case in SQLite; write LIKE",
    exp.Extract: "write strftime('%Y', x), '%m' or '%d'",
    exp.AtTimeZone: "write datetime(x, '+2 hours')",
    exp.Unnest: "SQLite has no arrays; use json_each over a JSON text",
    exp.Any: "write IN (SELECT ...)",
    exp.All: "compare with (SELECT max(...)) or (SELECT min(...))",
}
_CONNECTED: Final = "it asks who is connected; leave it out"
_SETTING: Final = "settings may not be read or changed; leave it out"
_WAITS: Final = "nothing may wait or lock; leave it out"
_FILES: Final = "files cannot be reached; ask the tables of the schema only"
_RUNS: Final = "it runs SQL from a text; write that SQL as the statement itself"
_SEQUENCE: Final = "sequences may not be read or moved; use max(id)"
_EITHER: Final[Mapping[str, str]] = {
    **dict.fromkeys(("version", "sqlite_version"), "the version is in the first lines of the schema"),
    **dict.fromkeys(("current_database", "current_schema", "inet_server_addr", "inet_client_addr"), _CONNECTED),
    **dict.fromkeys(("current_setting", "set_config"), _SETTING),
    **dict.fromkeys(("pg_sleep", "pg_sleep_for", "pg_sleep_until", "pg_advisory_lock", "sleep", "benchmark"), _WAITS),
    **dict.fromkeys(("pg_read_file", "pg_read_binary_file", "pg_ls_dir", "readfile", "writefile", "lo_import"), _FILES),
    **dict.fromkeys(("load_extension", "lo_export", "load_file"), _FILES),
    **dict.fromkeys(("query_to_xml", "table_to_xml", "ts_stat", "dblink", "database_to_xml"), _RUNS),
    **dict.fromkeys(("nextval", "currval", "setval", "lastval", "last_insert_rowid"), _SEQUENCE),
    **dict.fromkeys(("getdate", "sysdate", "curdate", "sysdatetime"), "write CURRENT_TIMESTAMP or CURRENT_DATE"),
    **dict.fromkeys(("nvl", "isnull"), "write coalesce(a, b)"),
    **dict.fromkeys(("len", "datalength"), "write length(x)"),
    **dict.fromkeys(("rand", "newid"), "write random()"),
    **dict.fromkeys(("ucase", "lcase"), "write upper(x) or lower(x)"),
    **dict.fromkeys(("randomblob", "zeroblob", "array_fill"), "values of any length cannot be made; leave it out"),
    "decode": "write CASE x WHEN ... THEN ... END",
}
_MONTHS: Final = "write strftime('%Y', x), '%m', '%d' or '%w'"
_DISTANCES: Final = "write julianday(a) - julianday(b) for days"
_EXTRACTS: Final = "write extract(year FROM x), or another field"
_STEPS: Final = "write x + interval '1 month'"
_INSTEAD: Final[Mapping[DialectName, Mapping[str, str]]] = {
    "sqlite": {
        **dict.fromkeys(("extract", "date_part", "datepart", "year", "month", "day", "hour", "dayofweek"), _MONTHS),
        **dict.fromkeys(("to_char", "date_format", "to_date"), _MONTHS),
        **dict.fromkeys(("datediff", "age", "timestampdiff", "months_between"), _DISTANCES),
        **dict.fromkeys(("dateadd", "date_add", "date_sub", "add_months"), "write date(x, '+1 month')"),
        **dict.fromkeys(("now", "current_timestamp"), "write datetime('now') or date('now')"),
        **dict.fromkeys(
            ("stddev", "stddev_pop", "stddev_samp", "variance", "var_pop", "var_samp"),
            "write sqrt(avg(x * x) - avg(x) * avg(x))",
        ),
        **dict.fromkeys(
            ("regexp_replace", "regexp_matches", "regexp_like", "regexp_substr"), "use LIKE, GLOB or replace"
        ),
        **dict.fromkeys(("array_agg", "listagg", "json_agg"), "write group_concat(x) or json_group_array(x)"),
        **dict.fromkeys(("lpad", "rpad"), "write printf('%05d', x) or printf('%-10s', x)"),
        **dict.fromkeys(("strpos", "charindex", "position", "locate"), "write instr(text, part)"),
        "date_trunc": "write date(x, 'start of month'), or 'start of year'",
        "generate_series": "write WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10)",
        "left": "write substr(x, 1, n)",
        "right": "write substr(x, -n)",
        "split_part": "write substr(x, 1, instr(x, ',') - 1)",
        "greatest": "write max(a, b)",
        "least": "write min(a, b)",
        "to_number": "write CAST(x AS REAL)",
        "md5": "SQLite has no md5; compare the texts",
        "unnest": "SQLite has no arrays; use json_each over a JSON text",
        "initcap": "write upper(substr(x, 1, 1)) || lower(substr(x, 2))",
        "reverse": "SQLite has no reverse; leave it out",
    },
    "postgres": {
        **dict.fromkeys(("year", "month", "day", "hour", "quarter", "week", "dayofweek", "weekday"), _EXTRACTS),
        **dict.fromkeys(("strftime", "date_format"), "write to_char(x, 'YYYY-MM-DD')"),
        **dict.fromkeys(("datediff", "timestampdiff", "julianday"), "write a::date - b::date for days"),
        **dict.fromkeys(("dateadd", "date_add", "date_sub", "add_months"), _STEPS),
        **dict.fromkeys(("ifnull", "nvl"), "write coalesce(a, b)"),
        **dict.fromkeys(("iif", "if"), "write CASE WHEN ... THEN ... ELSE ... END"),
        **dict.fromkeys(("group_concat", "listagg", "wm_concat"), "write string_agg(x::text, ', ')"),
        **dict.fromkeys(("instr", "charindex", "locate"), "write strpos(text, part)"),
        **dict.fromkeys(("json_extract", "json_value", "get_json_object"), "write x -> 'key' or x ->> 'key'"),
        **dict.fromkeys(("printf", "to_string"), "write format('%s', x) or to_char(x, ...)"),
        "substring_index": "write split_part(text, ',', 1)",
        "unix_timestamp": "write extract(epoch FROM x)",
        "from_unixtime": "write to_timestamp(x)",
        "datetime": "write x::timestamp",
        "total": "write coalesce(sum(x), 0)",
        "median": "write percentile_cont(0.5) WITHIN GROUP (ORDER BY x)",
        "typeof": "write pg_typeof(x)",
        "char": "write chr(n)",
        "log2": "write log(2, x)",
        "json_each": "write jsonb_each(x)",
        "convert": "write CAST(x AS type)",
    },
}
