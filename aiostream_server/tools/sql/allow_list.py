"""The allow-lists: the syntax, functions and types that a statement may use. The guard refuses everything else.

`SYNTAX` lists the node types of sqlglot's tree, each with its allowed parts. So an unknown node, and a known node with
an unknown clause (`SELECT ... INTO`, `FOR UPDATE`), is refused, also where a later sqlglot adds it.
`FUNCTIONS` and `TYPES` list names per dialect. They leave out functions that read files, settings or catalogs, sleep,
take locks, run SQL from a string, or make large values from small ones (`repeat`, `randomblob`).
`ROW_FUNCTIONS` may stand in FROM: they make no more rows than a value holds, or than the guard allows. `QUOTIENTS`
lists the functions with results of more digits than they mean.
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
    exp.Collate: _BINARY,
    exp.Dot: _BINARY,  # in the name of a type
    exp.TableSample: _parts("method percent size seed"),
    exp.Overlaps: _BINARY,
    # Arrays and JSON
    exp.Bracket: _parts("this expressions"),
    exp.Slice: _BINARY,
    exp.Unnest: _parts("expressions alias offset"),
    **dict.fromkeys((exp.ArrayContainsAll, exp.ArrayContainedBy, exp.ArrayOverlaps), _BINARY),
    **dict.fromkeys((exp.JSONBContainsTopKey, exp.JSONBContainsAnyTopKeys, exp.JSONBContainsAllTopKeys), _BINARY),
    exp.JSONBExtract: _BINARY,
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

_COMMON_FUNCTIONS: Final = """
    abs avg ceil ceiling coalesce count cume_dist dense_rank exp first_value floor lag last_value lead length ln log
    log10 lower ltrim max min mod nth_value ntile nullif percent_rank pi power random rank replace round row_number
    rtrim sign sqrt sum trim trunc upper
"""
FUNCTIONS: Final[Mapping[DialectName, frozenset[str]]] = {
    "sqlite": _parts(
        f"""{_COMMON_FUNCTIONS}
        acos asin atan atan2 char concat concat_ws cos date datetime degrees format group_concat hex ifnull iif
        instr json json_array json_array_length json_each json_extract json_group_array json_group_object
        json_object json_quote json_tree json_type json_valid julianday octet_length printf quote radians sin
        string_agg strftime substr substring tan time total typeof unicode unixepoch
        """
    ),
    "postgres": _parts(
        f"""{_COMMON_FUNCTIONS}
        acos age any_value array array_agg array_append array_cat array_length array_lower array_ndims
        array_position array_positions array_prepend array_remove array_replace array_to_json array_to_string
        array_upper ascii asin atan atan2 bit_and bit_length bit_or bool_and bool_or btrim cardinality cbrt
        char_length character_length chr concat concat_ws corr cos cot covar_pop covar_samp date_bin date_part
        date_trunc degrees div encode every extract format gcd generate_series greatest grouping
        initcap isempty isfinite json_agg json_array_elements json_array_elements_text json_array_length
        json_build_array json_build_object json_each json_each_text json_extract_path json_extract_path_text
        json_object_agg json_object_keys json_typeof jsonb_agg jsonb_array_elements jsonb_array_elements_text
        jsonb_array_length jsonb_build_array jsonb_build_object jsonb_each jsonb_each_text jsonb_extract_path
        jsonb_extract_path_text jsonb_object_agg jsonb_object_keys jsonb_path_exists jsonb_path_query_array
        jsonb_path_query_first jsonb_pretty jsonb_strip_nulls jsonb_typeof justify_days justify_hours
        justify_interval lcm least left lower_inc lower_inf lpad make_date make_interval make_time
        make_timestamp make_timestamptz md5 mode now num_nonnulls num_nulls octet_length percentile_cont
        percentile_disc position radians range_merge regexp_count regexp_like regexp_match regexp_matches
        regexp_replace regexp_split_to_array regexp_split_to_table regexp_substr regr_avgx regr_avgy regr_count
        regr_intercept regr_r2 regr_slope reverse right row_to_json rpad similarity sin split_part starts_with
        stddev stddev_pop stddev_samp string_agg string_to_array string_to_table strpos substr substring tan
        timezone to_char to_date to_hex to_json to_jsonb to_number to_timestamp translate unnest upper_inc
        upper_inf var_pop var_samp variance width_bucket
        """
    ),
}
ROW_FUNCTIONS: Final[Mapping[DialectName, frozenset[str]]] = {
    "sqlite": _parts("json_each json_tree"),
    "postgres": _parts(
        """
        generate_series json_array_elements json_array_elements_text json_each json_each_text json_object_keys
        jsonb_array_elements jsonb_array_elements_text jsonb_each jsonb_each_text jsonb_object_keys
        regexp_matches regexp_split_to_table string_to_table unnest
        """
    ),
}

QUOTIENTS: Final = _parts(
    """
    avg cbrt corr covar_pop covar_samp cume_dist degrees exp ln log log10 percent_rank percentile_cont pi power radians
    regr_intercept regr_r2 regr_slope sqrt stddev stddev_pop stddev_samp var_pop var_samp variance
    """
)

_T: Final = exp.DType
_COMMON_TYPES: Final = frozenset(
    (_T.INT, _T.SMALLINT, _T.BIGINT, _T.FLOAT, _T.DOUBLE, _T.DECIMAL, _T.TEXT, _T.VARCHAR, _T.CHAR, _T.BOOLEAN)
)
TYPES: Final[Mapping[DialectName, frozenset[exp.DType]]] = {
    "sqlite": _COMMON_TYPES,
    "postgres": _COMMON_TYPES
    | {_T.DATE, _T.TIME, _T.TIMETZ, _T.TIMESTAMP, _T.TIMESTAMPTZ, _T.INTERVAL, _T.ARRAY, _T.UUID, _T.JSON, _T.JSONB}
    | {_T.MONEY, _T.VARBINARY, _T.BIT, _T.INET, _T.NAME, _T.INT4RANGE, _T.INT8RANGE, _T.NUMRANGE, _T.DATERANGE}
    | {_T.TSRANGE, _T.TSTZRANGE},
}

# Words that look like a column and that PostgreSQL parses as a function call.
CALLS_WITHOUT_PARENTHESES: Final = _parts(
    "current_catalog current_role current_schema current_user session_user system_user user"
)
