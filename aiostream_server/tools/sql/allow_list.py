"""The syntax and the types that a statement may use. The guard refuses everything else.

`SYNTAX` lists the node types of sqlglot's tree, each with its allowed parts. So an unknown node, and a known node with
an unknown clause (`SELECT ... INTO`, `FOR UPDATE`), is refused, also where a later sqlglot adds it. The functions are
in `functions`.
"""

import re
from collections.abc import Mapping
from typing import Final

from sqlglot import exp

from aiostream_server.tools.sql.dialects import DialectName


def _parts(names: str) -> frozenset[str]:
    return frozenset(names.split())


_BINARY: Final = _parts("this expression")
_UNARY: Final = _parts("this")
_LIST: Final = _parts("expressions")
_NOTHING: Final = frozenset[str]()
_QUERY: Final = "with_ order limit offset"

_COMMON: Final[dict[type[exp.Expr], frozenset[str]]] = {
    # Queries
    exp.Select: _parts(f"{_QUERY} expressions distinct from_ joins where group having windows"),
    exp.Union: _parts(f"{_QUERY} this expression distinct"),
    exp.Except: _parts(f"{_QUERY} this expression distinct"),
    exp.Intersect: _parts(f"{_QUERY} this expression distinct"),
    exp.Subquery: _parts(f"{_QUERY} this alias joins"),
    exp.With: _parts("expressions recursive"),
    exp.CTE: _parts("this alias materialized"),
    exp.Values: _parts("expressions alias order limit offset"),
    # Where rows come from
    exp.From: _UNARY,
    exp.Table: _parts("this alias db catalog joins ordinality sample"),
    exp.TableAlias: _parts("this columns"),
    exp.Join: _parts("this on side kind using method"),
    # Clauses
    exp.Where: _UNARY,
    exp.Group: _parts("expressions grouping_sets cube rollup"),
    exp.Having: _UNARY,
    exp.Order: _parts("this expressions"),
    exp.Ordered: _parts("this desc nulls_first"),
    exp.Limit: _parts("expression"),
    exp.Offset: _parts("expression"),
    exp.Distinct: _parts("expressions on"),
    exp.Window: _parts("this partition_by order spec alias over"),
    exp.WindowSpec: _parts("kind start start_side end end_side exclude"),
    exp.Filter: _BINARY,
    # Names and values
    exp.Alias: _parts("this alias"),
    exp.Column: _parts("this table db catalog"),
    exp.Identifier: _parts("this quoted"),
    exp.Star: _NOTHING,
    exp.Literal: _parts("this is_string"),
    exp.Boolean: _UNARY,
    exp.Null: _NOTHING,
    exp.Var: _UNARY,
    exp.Paren: _UNARY,
    exp.Tuple: _LIST,
    # Operators
    **dict.fromkeys((exp.Add, exp.Sub, exp.Mul, exp.Mod, exp.NullSafeEQ, exp.NullSafeNEQ, exp.Escape), _BINARY),
    **dict.fromkeys((exp.And, exp.Or, exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE), _BINARY),
    exp.Div: _parts("this expression typed safe"),
    exp.DPipe: _parts("this expression safe"),
    **dict.fromkeys((exp.BitwiseAnd, exp.BitwiseOr, exp.BitwiseLeftShift, exp.BitwiseRightShift), _BINARY),
    exp.BitwiseNot: _UNARY,
    exp.Like: _parts("this expression negate"),
    exp.Is: _parts("this expression negate"),
    exp.Neg: _UNARY,
    exp.Not: _UNARY,
    exp.In: _parts("this expressions query"),
    exp.Between: _parts("this low high symmetric"),
    exp.Exists: _UNARY,
    exp.Case: _parts("this ifs default"),
    exp.If: _parts("this true"),
    exp.JSONExtract: _parts("this expression only_json_types"),
    exp.JSONExtractScalar: _parts("this expression only_json_types"),
    # Functions with a grammar of their own; all others are `Anonymous` and are checked by name
    exp.Anonymous: _parts("this expressions"),
    exp.Cast: _parts("this to"),
    exp.DataType: _parts("this expressions nested kind"),
    exp.DataTypeParam: _UNARY,
    exp.CurrentDate: _NOTHING,
    exp.CurrentTime: _NOTHING,
    exp.CurrentTimestamp: _NOTHING,
    exp.HexString: _parts("this is_integer"),
}
_POSTGRES: Final[dict[type[exp.Expr], frozenset[str]]] = {
    exp.Lateral: _parts("this alias"),
    exp.Rollup: _LIST,
    exp.Cube: _LIST,
    exp.GroupingSets: _LIST,
    exp.Fetch: _parts("direction count limit_options"),
    exp.LimitOptions: _parts("rows with_ties"),
    exp.WithinGroup: _BINARY,
    exp.Array: _parts("expressions bracket_notation value_constructor"),
    exp.Interval: _parts("this unit"),
    exp.ILike: _parts("this expression negate"),
    **dict.fromkeys((exp.SimilarTo, exp.RegexpLike, exp.RegexpILike), _BINARY),
    exp.Any: _UNARY,
    exp.All: _UNARY,
    exp.AtTimeZone: _parts("this zone"),
    exp.Extract: _BINARY,
    exp.Trim: _parts("this expression position"),
    exp.Substring: _parts("this start length"),
    exp.StrPosition: _parts("this substr"),
    exp.Overlay: _parts("this expression from_ for_"),
    exp.Localtime: _NOTHING,
    exp.Localtimestamp: _NOTHING,
    exp.Collate: _BINARY,
    exp.Dot: _BINARY,  # in the name of a type, and a field of a composite value
    exp.TableSample: _parts("method percent size seed"),
    exp.Overlaps: _BINARY,
    **dict.fromkeys((exp.Pow, exp.BitwiseXor, exp.StartsWith, exp.Distance), _BINARY),
    exp.Sqrt: _UNARY,
    exp.Cbrt: _UNARY,
    exp.BitString: _UNARY,
    exp.ByteString: _UNARY,
    exp.UnicodeString: _UNARY,
    exp.Table: _parts("this alias db catalog joins ordinality sample rows_from only"),
    exp.ColumnDef: _parts("this kind"),
    exp.Kwarg: _BINARY,
    exp.Variadic: _UNARY,
    exp.IntervalSpan: _BINARY,
    exp.PropertyEQ: _BINARY,
    exp.MatchAgainst: _parts("this expressions"),
    # Arrays and JSON
    exp.Bracket: _parts("this expressions"),
    exp.Slice: _BINARY,
    exp.Unnest: _parts("expressions alias offset"),
    **dict.fromkeys((exp.ArrayContainsAll, exp.ArrayContainedBy, exp.ArrayOverlaps), _BINARY),
    **dict.fromkeys((exp.JSONBContainsTopKey, exp.JSONBContainsAnyTopKeys, exp.JSONBContainsAllTopKeys), _BINARY),
    exp.JSONBExtract: _BINARY,
    exp.JSONBPathExists: _BINARY,
    exp.JSONBDeleteAtPath: _BINARY,
    **dict.fromkeys((exp.Adjacent, exp.ExtendsLeft, exp.ExtendsRight), _BINARY),
    exp.JSONBExtractScalar: _BINARY,
}
_SQLITE: Final[dict[type[exp.Expr], frozenset[str]]] = {
    exp.Glob: _BINARY,
    exp.Collate: _BINARY,
}  # no REGEXP: SQLite calls Python's for it, which cannot be interrupted
SYNTAX: Final[Mapping[DialectName, Mapping[type[exp.Expr], frozenset[str]]]] = {
    "sqlite": _COMMON | _SQLITE,
    "postgres": _COMMON | _POSTGRES,
}

_T: Final = exp.DType
POSTGRES_TYPES: Final = frozenset(
    {_T.INT, _T.SMALLINT, _T.BIGINT, _T.FLOAT, _T.DOUBLE, _T.DECIMAL, _T.TEXT, _T.VARCHAR, _T.CHAR, _T.BOOLEAN}
    | {_T.DATE, _T.TIME, _T.TIMETZ, _T.TIMESTAMP, _T.TIMESTAMPTZ, _T.INTERVAL, _T.ARRAY, _T.UUID, _T.JSON, _T.JSONB}
    | {_T.MONEY, _T.VARBINARY, _T.BIT, _T.INET, _T.NAME, _T.INT4RANGE, _T.INT8RANGE, _T.NUMRANGE, _T.DATERANGE}
    | {_T.TSRANGE, _T.TSTZRANGE, _T.INT4MULTIRANGE, _T.INT8MULTIRANGE, _T.NUMMULTIRANGE, _T.DATEMULTIRANGE}
    | {_T.TSMULTIRANGE, _T.TSTZMULTIRANGE, _T.BPCHAR, _T.POINT, _T.GEOMETRY, _T.GEOGRAPHY}
)
# Types that sqlglot has no word for.
POSTGRES_TYPE_NAMES: Final = _parts("char cidr jsonpath macaddr macaddr8 tsquery tsvector varbit")
SQLITE_TYPE: Final = re.compile(r"[a-z]\w*( \w+)*( ?\( ?\d+ ?(, ?\d+ ?)?\))?", re.IGNORECASE)  # any word is a type
