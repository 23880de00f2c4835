"""Values of every builtin type of PostgreSQL, and of types that extensions and users add: one expression on a line."""

from collections.abc import Mapping
from typing import Final

TYPES: Final = """
    CREATE TYPE mood AS ENUM ('sad', 'happy', '=x');
    CREATE DOMAIN posint AS int CHECK (VALUE > 0);
    CREATE TYPE pair AS (a text, b mood);
    CREATE EXTENSION hstore;
    CREATE EXTENSION citext;
    CREATE EXTENSION ltree;
"""

POSTGRES_VALUES: Final[Mapping[str, str]] = {
    "whole numbers": r"""
        (-32768)::int2
        2147483647
        (-9223372036854775808)::int8
        9223372036854775807
        4294967295::oid
        NULL::int""",
    "numeric": r"""
        12.50::numeric(10,2)
        1000000::numeric
        0.00::numeric(10,2)
        -0.0::numeric
        1e-20::numeric
        1e100::numeric
        12345678901234567890.1234567890::numeric
        'NaN'::numeric
        'Infinity'::numeric
        '-Infinity'::numeric
        avg(x) FROM (VALUES (1.5), (2)) AS v (x)""",
    "floating point": r"""
        0.1::float8
        0.1::float8 + 0.2::float8
        1e20::float8
        1e15::float8
        1e-7::float8
        5e-324::float8
        1.7976931348623157e308::float8
        123456789012345680::float8
        '-0'::float8
        'NaN'::float8
        'Infinity'::float8
        0.1::real
        123456.7::real
        16777217::real
        3.4028235e38::real
        1e-45::real
        '-Infinity'::real
        'NaN'::real""",
    "money": r"""
        '5'::money
        '-5.5'::money
        '1234567.891'::money
        '-92233720368547758.08'::money
        NULL::money""",
    "truth": r"""
        true
        false
        NULL::bool""",
    "text": r"""
        'x'::char(3)
        'x'::char(5) || '|'
        '  pad '::varchar(10)
        'a'::"char"
        ''
        'NULL'
        'pg_class'::name
        E'two\nlines'
        'Grüße 日本 😀'
        NULL::char(3)
        'Foo'::citext
        'back\slash'
        '{}'""",
    "binary": r"""
        ''::bytea
        '\x00ff'::bytea
        'abc'::bytea
        decode(repeat('ab', 32), 'hex')
        NULL::bytea""",
    "uuid": r"""
        'c0ffee00-0000-4000-8000-000000000000'::uuid""",
    "json": r"""
        '{"b": 1,  "a": [1, null]}'::json
        '{"b": 1,  "a": [1, null]}'::jsonb
        'null'::jsonb
        '"text"'::jsonb
        '1.50'::jsonb
        '1e400'::jsonb
        '$.a[*] ? (@ > 1)'::jsonpath
        '{"a": "\u00fc"}'::jsonb""",
    "arrays": r"""
        '{1,NULL,3}'::int[]
        '{{1,2},{3,4}}'::int[]
        '[0:2]={1,2,3}'::int[]
        '[-1:0][2:3]={{1,2},{3,4}}'::int[]
        ARRAY[NULL, 'NULL', '', 'a"b', 'a\b', '{}', 'a b']
        '{}'::text[]
        ARRAY[1.50, NULL]::numeric[]
        ARRAY[true, false]
        ARRAY[timestamptz '2024-03-01 00:00+00']
        ARRAY[date '2024-01-01']
        ARRAY[interval '1 mon']
        ARRAY['\x00'::bytea]
        ARRAY[inet '10.0.0.1']
        ARRAY[0.1::float8, 'NaN']
        ARRAY['sad', 'happy']::mood[]
        ARRAY[ROW('x', 'sad')::pair]""",
    "ranges": r"""
        '[2024-01-01,2024-02-01)'::daterange
        '[1,5]'::int4range
        'empty'::int8range
        '(,)'::numrange
        '[1.5,2.50]'::numrange
        '[2024-01-01 00:00+00,)'::tstzrange
        '[2024-01-01,infinity)'::tsrange
        '{[1,3),[5,8)}'::int4multirange
        '{}'::datemultirange
        '{[2024-01-01 00:00+00,2024-02-01 00:00+00)}'::tstzmultirange""",
    "composite": r"""
        ROW()
        ROW(1, 'a b')
        ROW(1, NULL, '')
        ROW('a,b', '(x)', ROW(1, 2))
        ROW('x', 'sad')::pair
        ROW(NULL, NULL)::pair
        ROW(timestamptz '2024-03-01 00:00+00')""",
    "enums and domains": r"""
        'sad'::mood
        '=x'::mood
        5::posint
        '{5,6}'::posint[]""",
    "points in time": r"""
        timestamptz '2024-03-01 00:00+00'
        date_trunc('month', timestamptz '2024-03-15 12:00+00')
        timestamptz '2024-07-01 23:30:00.25+00'
        timestamptz '1890-01-01 00:00+00'
        timestamptz '0044-03-15 12:00 BC'
        timestamptz 'infinity'
        timestamptz '-infinity'
        timestamp '2024-03-01 00:00'
        timestamp '0001-01-01 BC'
        timestamp '294276-12-31 23:59:59.999999'
        timestamp '2024-01-01 00:00:00.000001'
        timestamp '-infinity'""",
    "dates and times": r"""
        date '2024-02-29'
        date '0044-03-15 BC'
        date '5874897-12-31'
        date 'infinity'
        time '03:04:05.6'
        time '24:00'
        timetz '03:04:05+02'
        timetz '23:59:60+15:59'""",
    "network": r"""
        inet '10.0.0.1/8'
        inet '10.0.0.1'
        inet '::1'
        inet '2001:db8::/32'
        inet '::ffff:1.2.3.4'
        cidr '10.0.0.0/8'
        cidr '10.1.2.3/32'
        macaddr '08:00:2b:01:02:03'
        macaddr8 '08:00:2b:01:02:03:04:05'
        NULL::inet""",
    "bits": r"""
        B'101'
        B''::bit varying
        '10101'::varbit(8)
        B'1'::bit(3)""",
    "geometry": r"""
        '(1,2)'::point
        '(1e20,NaN)'::point
        '{1,2,3}'::line
        '[(0,0),(1,1)]'::lseg
        '(2,2),(0,0)'::box
        '((0,0),(1,1))'::path
        '[(0,0),(1,1)]'::path
        '((0,0),(1,1),(2,0))'::polygon
        '<(0,0),2.5>'::circle""",
    "text search": r"""
        'a fat cat:3A'::tsvector
        to_tsvector('english', 'The fat cats')
        'fat & !cat'::tsquery""",
    "identifiers": r"""
        'pg_class'::regclass
        'int4'::regtype
        'upper(text)'::regprocedure
        'pg_catalog'::regnamespace
        '16/B374D848'::pg_lsn
        '10:20:10,14,15'::pg_snapshot
        '(0,1)'::tid
        '7'::xid
        '7'::xid8
        '1 2 3'::int2vector""",
    "others": r"""
        '<a b="c">x</a>'::xml
        'a=>1, "b c"=>NULL'::hstore
        'Top.Child'::ltree
        to_char(12.5, '999.99')""",
}
INTERVALS: Final = r"""
    interval '1 month 2 days 03:04:05'
    interval '-1 year'
    interval '90 minutes'
    interval '0'
    interval '178000000 years'
    interval '-1 mon +2 days -03:04:05.678'
    interval '1 year 2 mons 3 days 04:05:06'
    interval '-1.5 hours'
    timestamptz '2024-03-31 12:00+02' - timestamptz '2024-03-30 12:00+01'
    justify_days(interval '45 days')
    NULL::interval
"""
INTERVAL_STYLES: Final = ("postgres", "postgres_verbose", "iso_8601", "sql_standard")
