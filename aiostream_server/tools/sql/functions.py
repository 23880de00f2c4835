"""The functions that a statement may call, by name and dialect. The guard refuses every other name.

Left out are functions that read files, settings, catalogs or sequences, sleep, take locks, connect to other servers,
or run SQL from a string (`query_to_xml`, `ts_stat`), and most of those that make large values from small ones.
"""

from collections.abc import Mapping
from typing import Final

from aiostream_server.tools.sql.dialects import DialectName


def _names(*lists: str) -> frozenset[str]:
    return frozenset(" ".join(lists).split())


_COMMON: Final = """
    abs acos acosh asin asinh atan atan2 atanh avg ceil ceiling coalesce concat concat_ws cos cosh count cume_dist
    degrees dense_rank exp first_value floor lag last_value lead length ln log log10 lower ltrim max min mod nth_value
    ntile nullif octet_length percent_rank pi power radians random rank replace round row_number rtrim sign sin sinh
    sqrt string_agg substr substring sum tan tanh trim trunc upper
"""
_SQLITE: Final = """
    char date datetime format glob group_concat hex if ifnull iif instr json json_array json_array_length json_each
    json_error_position json_extract json_group_array json_group_object json_insert json_object json_patch json_quote
    json_remove json_replace json_set json_tree json_type json_valid julianday like likely log2 median
    percentile percentile_cont percentile_disc pow printf quote strftime time timediff total typeof unhex unicode
    unixepoch unlikely
"""
_POSTGRES: Final = _names(
    "all any array greatest grouping least row some",
    # Aggregates
    """
    any_value array_agg bit_and bit_or bit_xor bool_and bool_or corr covar_pop covar_samp every json_agg
    json_object_agg jsonb_agg jsonb_object_agg mode percentile_cont percentile_disc range_agg range_intersect_agg
    regr_avgx regr_avgy regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy stddev stddev_pop
    stddev_samp var_pop var_samp variance
    """,
    # Numbers
    """
    acosd asind atan2d atand cbrt cosd cot cotd div factorial gcd lcm min_scale pow scale sind tand to_hex trim_scale
    width_bucket
    """,
    # Text
    """
    ascii bit_length btrim char_length character_length chr decode encode format initcap left levenshtein lpad md5
    normalize overlay pg_size_pretty position quote_ident quote_literal quote_nullable regexp_count regexp_instr
    regexp_like regexp_match regexp_matches regexp_replace regexp_split_to_array regexp_split_to_table regexp_substr
    repeat reverse right rpad sha224 sha256 sha384 sha512 similarity soundex split_part starts_with string_to_array
    string_to_table strpos to_char to_number translate unaccent unistr word_similarity
    """,
    """
    json_to_tsvector jsonb_to_tsvector numnode phraseto_tsquery plainto_tsquery querytree setweight strip to_tsquery
    to_tsvector ts_headline ts_rank ts_rank_cd tsquery_phrase tsvector_to_array websearch_to_tsquery
    """,
    # Dates and times
    """
    age clock_timestamp current_time current_timestamp date date_add date_bin date_part date_subtract date_trunc
    extract isfinite justify_days justify_hours justify_interval localtime localtimestamp make_date make_interval
    make_time make_timestamp make_timestamptz now statement_timestamp timezone to_date to_timestamp
    transaction_timestamp
    """,
    # Arrays, ranges and enumerations
    """
    array_append array_cat array_dims array_length array_lower array_ndims array_position array_positions
    array_prepend array_remove array_replace array_sample array_shuffle array_to_json array_to_string array_upper
    cardinality datemultirange daterange enum_first enum_last enum_range generate_series generate_subscripts
    int4multirange int4range int8multirange int8range isempty lower_inc lower_inf multirange num_nonnulls num_nulls
    nummultirange numrange range_merge trim_array tsmultirange tsrange tstzmultirange tstzrange unnest upper_inc
    upper_inf
    """,
    # JSON
    """
    json_array_elements json_array_elements_text json_array_length json_build_array json_build_object json_each
    json_each_text json_extract_path json_extract_path_text json_object json_object_keys json_strip_nulls
    json_to_record json_to_recordset json_typeof jsonb_array_elements jsonb_array_elements_text jsonb_array_length
    jsonb_build_array jsonb_build_object jsonb_each jsonb_each_text jsonb_extract_path jsonb_extract_path_text
    jsonb_insert jsonb_object jsonb_object_keys jsonb_path_exists jsonb_path_match jsonb_path_query
    jsonb_path_exists_tz jsonb_path_match_tz jsonb_path_query_array
    jsonb_path_query_array_tz jsonb_path_query_first jsonb_path_query_first_tz jsonb_path_query_tz
    jsonb_pretty jsonb_set jsonb_set_lax jsonb_strip_nulls
    jsonb_to_record jsonb_to_recordset jsonb_typeof row_to_json to_json to_jsonb
    """,
    # XML that is in a column
    "xpath xpath_exists",
    # PostGIS
    """
    st_area st_asgeojson st_astext st_azimuth st_centroid st_contains st_coveredby st_covers st_crosses st_disjoint
    st_distance st_distancesphere st_dwithin st_envelope st_equals st_geometrytype st_intersects st_length st_makepoint
    st_npoints st_overlaps st_perimeter st_point st_setsrid st_srid st_touches st_transform st_within st_x st_y
    """,
    # Network addresses, and the type of a value
    "abbrev broadcast family host hostmask inet_merge inet_same_family masklen netmask network set_masklen pg_typeof",
)
FUNCTIONS: Final[Mapping[DialectName, frozenset[str]]] = {
    "sqlite": _names(_COMMON, _SQLITE),
    "postgres": _names(_COMMON) | _POSTGRES,
}
# SQLite's functions that may stand in FROM. In PostgreSQL every function may.
ROW_FUNCTIONS: Final = _names("json_each json_tree")
# Their results have more digits than they mean.
QUOTIENTS: Final = _names(
    """
    avg cbrt corr covar_pop covar_samp cume_dist degrees exp ln log log10 log2 percent_rank percentile_cont pi pow power
    radians regr_avgx regr_avgy regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy sqrt stddev stddev_pop
    stddev_samp var_pop var_samp variance
    """
)
# Keywords of PostgreSQL's grammar that are written like functions: no function of a database can take their place.
KEYWORDS: Final = _names("all any array coalesce greatest grouping least nullif row some")
# Give another value each time. The guard does not repeat them where it writes an argument twice.
VOLATILE: Final = _names("random clock_timestamp")
# Words that look like a column and that PostgreSQL parses as a function call.
CALLS_WITHOUT_PARENTHESES: Final = _names(
    "current_catalog current_role current_schema current_user session_user system_user user"
)
# PostgreSQL's columns of every table.
SYSTEM_COLUMNS: Final = _names("cmax cmin ctid tableoid xmax xmin")
