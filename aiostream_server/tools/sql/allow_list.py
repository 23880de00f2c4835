"""The allow-lists: the syntax, functions and types that a statement may use. The guard refuses everything else.

`SYNTAX` lists the node types of sqlglot's tree, each with its allowed parts. So an unknown node, and a known node with
an unknown clause (`SELECT ... INTO`, `FOR UPDATE`, `TABLESAMPLE`), is refused, also where a later sqlglot adds it.
`FUNCTIONS` and `TYPES` list names per dialect. They leave out functions that read files, settings or catalogs, sleep,
take locks, run SQL from a string, or make large values from small ones (`generate_series`, `repeat`, `randomblob`).
"""

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
    exp.With: _LIST,
    exp.CTE: _parts("this alias materialized"),
    exp.Values: _parts("expressions alias"),
    # Where rows come from
    exp.From: _UNARY,
    exp.Table: _parts("this alias db joins"),
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
    exp.Column: _parts("this table"),
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
    exp.DataType: _parts("this expressions nested"),
    exp.DataTypeParam: _UNARY,
    exp.CurrentDate: _NOTHING,
    exp.CurrentTimestamp: _NOTHING,
}
_POSTGRES: Final[dict[type[exp.Expr], frozenset[str]]] = {
    exp.Lateral: _parts("this alias"),
    exp.Rollup: _LIST,
    exp.Cube: _LIST,
    exp.GroupingSets: _LIST,
    exp.Fetch: _parts("direction count limit_options"),
    exp.LimitOptions: _parts("rows with_ties"),
    exp.WithinGroup: _BINARY,
    exp.Array: _parts("expressions bracket_notation"),
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
    exp.Localtimestamp: _NOTHING,
}
_SQLITE: Final[dict[type[exp.Expr], frozenset[str]]] = {
    exp.Glob: _BINARY,
    exp.Collate: _BINARY,
}  # no REGEXP: SQLite calls Python's for it, which cannot be interrupted
SYNTAX: Final[Mapping[DialectName, Mapping[type[exp.Expr], frozenset[str]]]] = {
    "sqlite": _COMMON | _SQLITE,
    "postgres": _COMMON | _POSTGRES,
}

_COMMON_FUNCTIONS: Final = """
    abs avg ceil ceiling coalesce count cume_dist dense_rank exp first_value floor lag last_value lead length ln log
    log10 lower ltrim max min mod nth_value ntile nullif percent_rank pi power random rank replace round row_number
    rtrim sign sqrt sum trim trunc upper
"""
FUNCTIONS: Final[Mapping[DialectName, frozenset[str]]] = {
    "sqlite": _parts(
        f"""{_COMMON_FUNCTIONS}
        char date datetime format group_concat ifnull iif instr json_array_length json_extract json_type json_valid
        julianday printf strftime substr substring time total typeof unicode unixepoch
        """
    ),
    "postgres": _parts(
        f"""{_COMMON_FUNCTIONS}
        age any_value array_agg array_length array_to_string ascii bit_length bool_and bool_or btrim cardinality
        cbrt char_length character_length chr concat concat_ws corr covar_pop covar_samp date_bin date_part
        date_trunc degrees div every extract gcd greatest grouping initcap isfinite json_agg json_array_length
        json_build_array json_build_object jsonb_agg jsonb_array_length jsonb_build_array jsonb_build_object
        justify_days justify_hours justify_interval lcm least left lpad make_date make_interval make_timestamp md5
        mode now octet_length percentile_cont percentile_disc position radians regexp_count regexp_like regexp_match
        regexp_replace regexp_substr regr_count regr_intercept regr_r2 regr_slope reverse right rpad split_part
        starts_with stddev stddev_pop stddev_samp string_agg strpos substr substring to_char to_date to_number
        to_timestamp translate var_pop var_samp variance width_bucket
        """
    ),
}

_T: Final = exp.DType
_COMMON_TYPES: Final = frozenset(
    (_T.INT, _T.SMALLINT, _T.BIGINT, _T.FLOAT, _T.DOUBLE, _T.DECIMAL, _T.TEXT, _T.VARCHAR, _T.CHAR, _T.BOOLEAN)
)
TYPES: Final[Mapping[DialectName, frozenset[exp.DType]]] = {
    "sqlite": _COMMON_TYPES,
    "postgres": _COMMON_TYPES
    | {_T.DATE, _T.TIME, _T.TIMETZ, _T.TIMESTAMP, _T.TIMESTAMPTZ, _T.INTERVAL, _T.ARRAY, _T.UUID, _T.JSON, _T.JSONB}
    | {_T.MONEY},
}

# Words that look like a column and that PostgreSQL parses as a function call.
CALLS_WITHOUT_PARENTHESES: Final = _parts(
    "current_catalog current_role current_schema current_user session_user system_user user"
)
