"""The statements that the guard is tested with: hostile ones, and ordinary questions.

Sources of the hostile ones: bypasses reported against other SQL agents (writes in a CTE, `U&"..."` names, functions
that read files, comments that hide a second statement), and the documentation of both databases.
"""

from typing import Final

EITHER_HOSTILE: Final = [
    "",
    ";",
    "-- nothing",
    "hello, please show me all orders",
    "DELETE FROM orders",
    "UPDATE orders SET total = 0",
    "INSERT INTO regions VALUES (9, 'x')",
    "INSERT INTO regions SELECT * FROM regions",
    "DROP TABLE orders",
    "CREATE TABLE t AS SELECT * FROM orders",
    "CREATE VIEW v AS SELECT 1",
    "CREATE INDEX i ON orders (total)",
    "ALTER TABLE orders ADD COLUMN x INTEGER",
    "TRUNCATE orders",
    "VACUUM",
    "ANALYZE",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT x",
    "EXPLAIN SELECT 1",
    "EXPLAIN ANALYZE DELETE FROM orders",
    "SELECT 1; SELECT 2",
    "SELECT 1; DROP TABLE orders",
    "SELECT 1 /* ; */ ; DELETE FROM orders --",
    "SELECT 1 --\n; DELETE FROM orders",
    "/* SELECT */ DELETE FROM orders",
    "WITH x AS (DELETE FROM orders RETURNING *) SELECT * FROM x",
    "WITH x AS (INSERT INTO regions VALUES (9, 'x') RETURNING *) SELECT * FROM x",
    "WITH x AS (UPDATE orders SET total = 0 RETURNING *) SELECT * FROM x",
    "WITH x AS (SELECT 1) DELETE FROM orders",
    "WITH x AS (SELECT 1) INSERT INTO regions SELECT 9, 'x'",
    "WITH a AS (SELECT * FROM b), b AS (SELECT * FROM a) SELECT * FROM a",
    "WITH orders AS (SELECT 1) SELECT * FROM orders",
    "WITH ORDERS AS (SELECT * FROM orders) SELECT * FROM orders",
    "WITH pg_class AS (SELECT 1) SELECT * FROM pg_class",
    "WITH sqlite_master AS (SELECT 1) SELECT * FROM sqlite_master",
    "SELECT * FROM (WITH hidden AS (SELECT 1) SELECT * FROM hidden) t JOIN hidden ON true",
    "SELECT * INTO copied FROM orders",
    "SELECT * FROM orders FOR UPDATE",
    "SELECT * FROM orders FOR SHARE",
    "SELECT * FROM secrets",
    "SELECT * FROM orders, secrets",
    "SELECT (SELECT MAX(word) FROM secrets)",
    "SELECT 1 UNION SELECT word FROM secrets",
    "SELECT * FROM other.orders",
    "SELECT * FROM a.b.orders",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM orders WHERE total = ?",
    "SELECT * FROM orders WHERE total = :total",
    "SELECT * FROM orders WHERE total = $1",
    "SELECT * FROM orders WHERE total = @total",
    "SELECT * FROM orders TABLESAMPLE SYSTEM ((SELECT 1 FROM secrets))",
    "SELECT unknown_function(1)",
    "SELECT main.abs(1)",
    'SELECT "abs"(1)',
    "SELECT 'a' 'b' FROM orders",
    "SELECT \x00 1",
    "SELECT '\udc80'",
    "SELECT 1 \x1b[31m",
    "SELECT " + "(" * 500 + "1" + ")" * 500,
    "SELECT " + "(" * 40 + "1" + ")" * 40 + "".join(f" + {'(' * 40}1{')' * 40}" for _ in range(3)) + " FROM secrets",
    "SELECT " + "NOT " * 1500 + "1",
    "SELECT " + "- " * 1500 + "1",
    "SELECT " + "1 + " * 1500 + "1",
    "SELECT " + ", ".join(["1"] * 9_000),
    "SELECT " + "(SELECT " * 200 + "1" + ")" * 200,
    "SELECT '" + "x" * 33_000 + "'",
    "SELECT CASE " * 100 + "1",
    "SELECT * FROM orders LIMIT (DELETE FROM orders)",
    "SELECT * FROM orders ORDER BY (SELECT word FROM secrets)",
    "SELECT * FROM orders JOIN LATERAL secrets ON true",
    "SELECT * FROM orders WINDOW w AS (ORDER BY (SELECT 1 FROM secrets))",
    "MERGE INTO orders USING regions ON true WHEN MATCHED THEN DELETE",
    "GRANT ALL ON orders TO public",
    "SET ROLE postgres",
    "SHOW ALL",
    "CALL something()",
    "SELECT * FROM orders; COMMIT; DELETE FROM orders",
]

SQLITE_HOSTILE: Final = [
    "PRAGMA table_info(orders)",
    "PRAGMA writable_schema = 1",
    "ATTACH DATABASE '/tmp/x.db' AS x",
    "DETACH DATABASE main",
    "VACUUM INTO '/tmp/x.db'",
    "REINDEX",
    "REPLACE INTO regions VALUES (1, 'x')",
    "SELECT * FROM sqlite_master",
    "SELECT * FROM SQLITE_MASTER",
    "SELECT * FROM 'sqlite_master'",
    'SELECT * FROM "sqlite_master"',
    "SELECT * FROM [sqlite_master]",
    "SELECT * FROM `sqlite_master`",
    "SELECT * FROM main.sqlite_schema",
    "SELECT * FROM sqlite_temp_master",
    "SELECT * FROM temp.orders",
    "SELECT * FROM pragma_table_info('orders')",
    "SELECT * FROM pragma_database_list",
    "SELECT * FROM generate_series(1, 1000000000)",
    "SELECT * FROM json_each((SELECT json_group_array(id) FROM orders))",
    "SELECT load_extension('/tmp/x.so')",
    "SELECT LOAD_EXTENSION('/tmp/x.so')",
    "SELECT readfile('/etc/passwd')",
    "SELECT writefile('/tmp/x', 'x')",
    "SELECT edit('x')",
    "SELECT randomblob(1000000000)",
    "SELECT hex(zeroblob(1000000000))",
    "SELECT zeroblob(1000000000)",
    "SELECT fts3_tokenizer('simple')",
    "SELECT printf('%1000000000d', 1)",
    "SELECT printf('%.*c', 1000000000, 'x')",
    "SELECT printf(name, 1) FROM regions",
    "SELECT format('%999d', 1)",
    "SELECT printf()",
    "SELECT 'aaaa' REGEXP '(a+)+$'",
    "SELECT name MATCH 'x' FROM regions",
    "SELECT sqlite_version()",
    "SELECT changes()",
    "SELECT last_insert_rowid()",
    "SELECT id NOT IN (1) = 5 FROM orders",
    "SELECT * FROM orders INDEXED BY orders_customer",
    "SELECT * FROM orders AS o (a, b)",
    "SELECT RAISE(ABORT, 'x')",
]

POSTGRES_HOSTILE: Final = [
    "WITH c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT * FROM c",
    "COPY orders TO '/tmp/x'",
    "COPY (SELECT 1) TO PROGRAM 'id'",
    "COPY orders FROM PROGRAM 'id'",
    "DO $$ BEGIN DELETE FROM orders; END $$",
    "PREPARE x AS SELECT 1",
    "EXECUTE x",
    "LISTEN x",
    "NOTIFY x",
    "LOCK TABLE orders",
    "DISCARD ALL",
    "RESET ALL",
    "SET statement_timeout = 0",
    "SET default_transaction_read_only = off",
    "TABLE secrets",
    "DECLARE c CURSOR FOR SELECT 1",
    "REFRESH MATERIALIZED VIEW x",
    "SELECT set_config('statement_timeout', '0', false)",
    "SELECT current_setting('data_directory')",
    "SELECT pg_sleep(100)",
    "SELECT pg_sleep_for('1 hour')",
    "SELECT PG_SLEEP(100)",
    'SELECT "pg_sleep"(100)',
    "SELECT pg_catalog.pg_sleep(100)",
    'SELECT U&"\\0070g_sleep"(100)',
    'SELECT * FROM U&"\\0073ecrets"',
    "SELECT * FROM pg_catalog.pg_tables",
    "SELECT * FROM pg_tables",
    "SELECT * FROM pg_shadow",
    "SELECT * FROM pg_stat_activity",
    'SELECT * FROM "pg_shadow"',
    "SELECT * FROM pg_temp.orders",
    'SELECT * FROM "Orders"',
    'SELECT * FROM "ORDERS"',
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT pg_read_binary_file('/etc/passwd')",
    "SELECT pg_ls_dir('/')",
    "SELECT lo_import('/etc/passwd')",
    "SELECT lo_export(1, '/tmp/x')",
    "SELECT lo_create(0)",
    "SELECT lo_unlink(1)",
    "SELECT pg_terminate_backend(1)",
    "SELECT pg_cancel_backend(1)",
    "SELECT pg_reload_conf()",
    "SELECT pg_advisory_lock(1)",
    "SELECT pg_notify('x', 'y')",
    "SELECT nextval('x')",
    "SELECT setval('x', 1)",
    "SELECT txid_current()",
    "SELECT dblink('host=x', 'SELECT 1')",
    "SELECT * FROM dblink('host=x', 'SELECT 1') AS t(a int)",
    "SELECT query_to_xml('DELETE FROM orders', true, true, '')",
    "SELECT table_to_xml('secrets', true, true, '')",
    "SELECT database_to_xml(true, true, '')",
    "SELECT xmlparse(DOCUMENT '<a/>')",
    "SELECT ts_stat('SELECT 1')",
    "SELECT version()",
    "SELECT inet_server_addr()",
    "SELECT current_user",
    "SELECT session_user",
    "SELECT user",
    "SELECT USER FROM orders",
    "SELECT current_catalog",
    "SELECT current_role",
    "SELECT current_schema",
    "SELECT current_schema()",
    "SELECT @@version",
    "SELECT current_database()",
    "SELECT repeat('x', 1000000000)",
    "SELECT lpad('x', 1000000000)",
    "SELECT format('%1000000000s', 'x')",
    "SELECT * FROM generate_series(1, 1000000000)",
    "SELECT generate_series(1, 1000000000)",
    "SELECT * FROM unnest(ARRAY(SELECT id FROM orders)) x",
    "SELECT 'secrets'::regclass",
    "SELECT CAST('x' AS xml)",
    "SELECT 1::oid",
    "SELECT total::orders FROM orders",
    "SELECT (o).total FROM orders o",
    "SELECT 1 OPERATOR(pg_catalog.+) 2",
    "SELECT id JOIN FROM orders",
    "SELECT * FROM orders FOR NO KEY UPDATE SKIP LOCKED",
    "SELECT * FROM orders WHERE total = ANY(SELECT total FROM secrets)",
    "SELECT * FROM orders CROSS JOIN LATERAL (SELECT * FROM secrets) s",
    "SELECT INTERVAL '1-2' YEAR TO MONTH",
    "SELECT orders.total.x.y FROM orders",
    "WITH x AS (SELECT 1) SEARCH DEPTH FIRST BY a SET b SELECT * FROM x",
]

HOSTILE: Final = {
    "sqlite": [*EITHER_HOSTILE, *SQLITE_HOSTILE],
    "postgres": [*EITHER_HOSTILE, *POSTGRES_HOSTILE],
}

_REGION_JOIN: Final = "orders o JOIN customers c ON c.id = o.customer_id JOIN regions r ON r.id = c.region_id"
EITHER_FAIR: Final = [
    "SELECT * FROM regions ORDER BY id",
    "SELECT COUNT(*) FROM orders;",
    "select count(*) as n from ORDERS -- how many\n;",
    "/* a comment */ SELECT 1 AS one /* another */",
    f"SELECT r.name, SUM(o.total) AS total FROM {_REGION_JOIN} GROUP BY r.name ORDER BY total DESC",  # noqa: S608
    f"SELECT r.name, COUNT(DISTINCT c.id), COUNT(*), AVG(o.total) FROM {_REGION_JOIN} GROUP BY 1 ORDER BY 1",  # noqa: S608
    (
        "SELECT p.name, SUM(i.quantity) q FROM order_items i INNER JOIN products p ON p.id = i.product_id "
        "GROUP BY p.name HAVING SUM(i.quantity) > 490 ORDER BY q DESC, p.name"
    ),
    "SELECT c.name FROM customers c LEFT JOIN orders o ON o.customer_id = c.id WHERE o.id IS NULL ORDER BY c.name",
    "SELECT c.name FROM customers c WHERE NOT EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = c.id) ORDER BY 1",
    "SELECT name FROM customers WHERE id IN (SELECT customer_id FROM orders WHERE total > 1500) ORDER BY name",
    "SELECT name FROM customers WHERE id NOT IN (1, 2, 3) AND name LIKE 'A%' ORDER BY name DESC LIMIT 3",
    "SELECT name FROM products WHERE price BETWEEN 5 AND 20 OR NOT (price < 100) ORDER BY price, name",
    "SELECT name FROM products WHERE price NOT BETWEEN 5 AND 20 AND name NOT LIKE '%Tea%' ORDER BY name",
    (
        "SELECT id, CASE WHEN total > 500 THEN 'large' WHEN total > 100 THEN 'medium' ELSE 'small' END AS size "
        "FROM orders ORDER BY id LIMIT 20 OFFSET 5"
    ),
    "SELECT channel, SUM(CASE channel WHEN 'Web' THEN 1 ELSE 0 END) FROM orders GROUP BY channel ORDER BY channel",
    (
        "WITH totals AS (SELECT customer_id, SUM(total) AS t FROM orders GROUP BY customer_id) "
        "SELECT c.name, t FROM totals JOIN customers c ON c.id = totals.customer_id ORDER BY t DESC, c.name LIMIT 5"
    ),
    (
        "WITH a AS (SELECT id FROM orders WHERE total > 1000), b AS (SELECT id FROM a WHERE id > 100) "
        "SELECT COUNT(*), MIN(id), MAX(id) FROM b"
    ),
    (
        "WITH t(region, n) AS (SELECT region_id, COUNT(*) FROM customers GROUP BY region_id) SELECT * FROM t "
        "ORDER BY region"
    ),
    "SELECT id, total, ROW_NUMBER() OVER (ORDER BY total DESC, id) AS place FROM orders ORDER BY place LIMIT 10",
    "SELECT id, RANK() OVER (PARTITION BY channel ORDER BY total DESC, id) FROM orders ORDER BY id LIMIT 25",
    "SELECT id, SUM(total) OVER (ORDER BY id ROWS UNBOUNDED PRECEDING) AS running FROM orders ORDER BY id LIMIT 30",
    (
        "SELECT id, AVG(total) OVER (ORDER BY id ROWS BETWEEN 3 PRECEDING AND CURRENT ROW) FROM orders ORDER BY "
        "id LIMIT 30"
    ),
    "SELECT id, SUM(total) OVER (ORDER BY id ROWS 2 PRECEDING) FROM orders ORDER BY id LIMIT 30",
    "SELECT id, LAG(total) OVER w, LEAD(total, 2, 0) OVER w FROM orders WINDOW w AS (ORDER BY id) ORDER BY id LIMIT 10",
    "SELECT id, NTILE(4) OVER (ORDER BY total, id), FIRST_VALUE(id) OVER (ORDER BY id) FROM orders ORDER BY id LIMIT 9",
    "SELECT SUM(total) FILTER (WHERE channel = 'Web'), COUNT(*) FILTER (WHERE total > 100) FROM orders",
    "SELECT channel, SUM(total) * 100 / (SELECT SUM(total) FROM orders) FROM orders GROUP BY channel ORDER BY 2",
    "SELECT name FROM regions UNION SELECT name FROM categories ORDER BY name",
    "SELECT 'region' AS kind, name FROM regions UNION ALL SELECT 'category', name FROM categories ORDER BY 1, 2",
    "SELECT id FROM customers EXCEPT SELECT customer_id FROM orders WHERE total > 1000 ORDER BY id",
    "SELECT region_id FROM customers INTERSECT SELECT id FROM regions ORDER BY 1",
    "SELECT t.channel, t.n FROM (SELECT channel, COUNT(*) AS n FROM orders GROUP BY channel) AS t ORDER BY t.n DESC",
    "SELECT o.id FROM orders o, customers c WHERE o.customer_id = c.id AND c.region_id = 2 ORDER BY o.id LIMIT 5",
    "SELECT COUNT(*) FROM regions CROSS JOIN categories",
    "SELECT COUNT(*) FROM orders JOIN order_items USING (id)",
    "SELECT COUNT(*) FROM regions NATURAL JOIN categories",
    "SELECT DISTINCT segment FROM customers ORDER BY segment",
    "SELECT COUNT(DISTINCT channel) FROM orders",
    "SELECT UPPER(name), LOWER(name), LENGTH(name), REPLACE(name, 'o', '0'), TRIM(name) FROM regions ORDER BY id",
    "SELECT name || ' (' || id || ')' FROM regions ORDER BY id",
    "SELECT COALESCE(NULLIF(name, 'East'), 'the East') FROM regions ORDER BY id",
    "SELECT ROUND(AVG(total), 2), ABS(-3), 7 / 2, 7 % 4, 2.5 * 2, -(-3), - -3 FROM orders",
    "SELECT 10 - (4 - 3), 10 - 4 - 3, 12 / 2 / 3, 12 / (6 / 3), (1 + 2) * 3, 1 + 2 * 3",
    (
        "SELECT CAST(total AS INTEGER), CAST(id AS TEXT), CAST(id AS REAL) FROM orders WHERE total = 50 ORDER BY "
        "orders.id LIMIT 3"
    ),
    "SELECT 'it''s', 'back\\slash', '\"quoted\"', '-- no comment', '/* none */', 'é 😀'",
    'SELECT "name" AS "the region\'s name" FROM "regions" ORDER BY "id"',
    "SELECT name FROM customers WHERE name LIKE '%a!_%' ESCAPE '!' OR name LIKE 'B%' ORDER BY name",
    (
        "SELECT (SELECT MAX(total) FROM orders o WHERE o.customer_id = c.id) AS best FROM customers c ORDER BY "
        "best, c.id LIMIT 4"
    ),
    "SELECT id FROM orders WHERE (customer_id, channel) = (25, 'Web') ORDER BY id",
    (
        "SELECT id FROM orders WHERE total > 100 AND (channel = 'Web' OR channel = 'Shop') AND NOT channel = 'Phone' "
        "ORDER BY id LIMIT 5"
    ),
    "SELECT id IS NULL, id IS NOT NULL FROM regions ORDER BY id",
    "SELECT region_id, segment, COUNT(*) FROM customers GROUP BY region_id, segment ORDER BY region_id, segment",
    (
        "SELECT MIN(ordered_on), MAX(ordered_on) FROM orders WHERE ordered_on >= '2025-03-01' AND ordered_on < "
        "'2025-04-01'"
    ),
    "SELECT * FROM (VALUES (1, 'a'), (2, 'b')) AS v ORDER BY 1",
    "SELECT name FROM products ORDER BY price DESC NULLS LAST, name LIMIT 2",
    "SELECT CURRENT_DATE IS NOT NULL, CURRENT_TIMESTAMP IS NOT NULL",
    "SELECT TRUE, FALSE, NULL",
]

SQLITE_FAIR: Final = [
    "SELECT strftime('%Y-%m', ordered_on) AS month, SUM(total) FROM orders GROUP BY month ORDER BY month",
    "SELECT strftime('%w', ordered_on) AS weekday, COUNT(*) FROM orders GROUP BY 1 ORDER BY 1",
    "SELECT date(ordered_on, 'start of month', '+1 month', '-1 day') FROM orders ORDER BY id LIMIT 3",
    "SELECT CAST(julianday('2025-03-01') - julianday('2025-02-01') AS INTEGER), unixepoch('2025-01-01')",
    "SELECT datetime('2025-01-01 10:00', '+90 minutes'), time('10:00'), date('now') IS NOT NULL",
    "SELECT substr(name, 1, 3), substring(name, 2), instr(name, 'a'), ltrim(name, 'N'), unicode(name) FROM regions",
    "SELECT printf('%.2f', SUM(total)), format('%05d', 42), ifnull(NULL, 3), iif(1 > 2, 'a', 'b') FROM orders",
    "SELECT group_concat(name, ', '), total(id), typeof(id), MAX(id, 2), MIN(id, 2) FROM regions GROUP BY id",
    "SELECT group_concat(DISTINCT channel) FROM orders",
    "SELECT name FROM regions WHERE name = 'north' COLLATE NOCASE ORDER BY name COLLATE NOCASE",
    "SELECT name FROM regions WHERE name GLOB '*th' AND id == 1 OR id <> 1 AND id != 2 ORDER BY [id]",
    "SELECT `name` FROM main.regions LIMIT 1, 2",
    "SELECT rowid, name FROM regions WHERE id IS 2 OR id IS NOT 3 AND id NOTNULL ORDER BY rowid",
    "SELECT json_extract('{\"a\": {\"b\": 5}}', '$.a.b'), '{\"a\": 7}' ->> 'a', '{\"a\": 7}' -> '$.a'",
    "SELECT '{\"x.y\": 1}' ->> 'x.y', '[5, 6]' ->> 1",
    "SELECT CAST('5' AS NUMERIC), CAST('5.5' AS DECIMAL(10, 2)), CAST(1 AS BOOLEAN), 7.0 / 2, sqrt(16), power(2, 3)",
    "SELECT total FROM orders WHERE id IN () OR id IS NOT DISTINCT FROM 5",
]

POSTGRES_FAIR: Final = [
    "SELECT date_trunc('month', ordered_on)::date AS month, SUM(total) FROM orders GROUP BY 1 ORDER BY 1",
    (
        "SELECT EXTRACT(YEAR FROM ordered_on) AS y, date_part('month', ordered_on) AS m, COUNT(*) FROM orders "
        "GROUP BY 1, 2 ORDER BY 1, 2"
    ),
    (
        "SELECT to_char(ordered_on, 'YYYY-MM FMMonth Dy IW Q'), to_char(total, 'FM999G990.00') FROM orders ORDER "
        "BY id LIMIT 4"
    ),
    (
        "SELECT COUNT(*) FROM orders WHERE ordered_on >= DATE '2025-12-31' - INTERVAL '90 days' AND ordered_on < "
        "'2026-01-01'::date"
    ),
    (
        "SELECT INTERVAL '1 year 2 months', INTERVAL '1' DAY, INTERVAL '1 day' * 3, age(DATE '2025-03-01', DATE "
        "'2024-01-15')"
    ),
    "SELECT make_date(2025, 1, 2), to_date('02.01.2025', 'DD.MM.YYYY'), DATE '2025-01-02' + 7, now() > '2020-01-01'",
    "SELECT TIMESTAMP '2025-01-02 10:00' AT TIME ZONE 'Europe/Berlin' AT TIME ZONE 'UTC'",
    (
        "SELECT EXTRACT(EPOCH FROM TIMESTAMP '2025-01-02' - TIMESTAMP '2025-01-01'), EXTRACT(isodow FROM DATE "
        "'2025-01-02')"
    ),
    (
        "SELECT DISTINCT ON (customer_id) customer_id, total FROM orders ORDER BY customer_id, total DESC, id "
        "FETCH FIRST 5 ROWS ONLY"
    ),
    "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY total), mode() WITHIN GROUP (ORDER BY channel) FROM orders",
    "SELECT string_agg(name, ', ' ORDER BY name DESC), array_agg(id ORDER BY id), bool_or(id > 3) FROM regions",
    "SELECT stddev(total), variance(total), corr(id, total), var_pop(id) FROM orders",
    "SELECT name FROM regions WHERE name ILIKE 'n%' OR name ~ '^S' OR name ~* 'EAST' OR name !~ 't' ORDER BY id",
    (
        "SELECT left(name, 2), right(name, 2), split_part(name, 'o', 1), position('t' IN name), initcap(name), "
        "reverse(name) FROM regions"
    ),
    (
        "SELECT substring(name FROM 2 FOR 2), substring(name, 1, 2), overlay(name PLACING 'x' FROM 1 FOR 1), "
        "btrim(name, 'N') FROM regions"
    ),
    (
        "SELECT lpad(id::text, 3, '0'), concat(name, '-', id), concat_ws(', ', name, id), regexp_replace(name, "
        "'[aeiou]', '_', 'g') FROM regions"
    ),
    (
        "SELECT TRIM(BOTH 'N' FROM name), trim(name), ltrim(name, 'N'), strpos(name, 't'), md5(name) FROM regions "
        "ORDER BY id"
    ),
    (
        "SELECT round(AVG(total)::numeric, 2), ceil(2.1), trunc(2.55, 1), power(2, 10), mod(7, 4), greatest(1, "
        "2), least(1, 2), div(7, 2) FROM orders"
    ),
    (
        "SELECT region_id, segment, COUNT(*), GROUPING(segment) FROM customers GROUP BY ROLLUP (region_id, "
        "segment) ORDER BY 1, 2"
    ),
    (
        "SELECT region_id, segment, COUNT(*) FROM customers GROUP BY GROUPING SETS ((region_id), (segment), ()) "
        "ORDER BY 1, 2"
    ),
    "SELECT region_id, segment, COUNT(*) FROM customers GROUP BY CUBE (region_id, segment) ORDER BY 1, 2",
    (
        "SELECT c.name, o.total FROM customers c CROSS JOIN LATERAL (SELECT total FROM orders WHERE customer_id = "
        "c.id ORDER BY total DESC LIMIT 1) o ORDER BY 1"
    ),
    (
        "SELECT r.name, t.n FROM regions r LEFT JOIN LATERAL (SELECT COUNT(*) AS n FROM customers WHERE region_id "
        "= r.id) t ON true ORDER BY 1"
    ),
    (
        "SELECT id FROM orders WHERE channel = ANY(ARRAY['Web', 'Shop']) AND total >= ALL (SELECT price FROM "
        "products) ORDER BY id LIMIT 5"
    ),
    (
        "SELECT SUM(total) OVER (ORDER BY ordered_on RANGE BETWEEN INTERVAL '7 days' PRECEDING AND CURRENT ROW) "
        "FROM orders ORDER BY id LIMIT 9"
    ),
    (
        "SELECT SUM(id) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING EXCLUDE CURRENT ROW) FROM "
        "regions ORDER BY id"
    ),
    "WITH big AS MATERIALIZED (SELECT id FROM orders WHERE total > 1000) SELECT COUNT(*) FROM big",
    "SELECT '{\"a\": {\"b c\": [5, 6]}}'::jsonb -> 'a' -> 'b c' ->> 1, '{\"x.y\": 1}'::json ->> 'x.y'",
    "SELECT json_agg(name ORDER BY id), jsonb_build_object('n', COUNT(*)) FROM regions",
    "SELECT name FROM public.regions WHERE id IS NOT DISTINCT FROM 1 OR id BETWEEN SYMMETRIC 3 AND 2 ORDER BY id",
    (
        "SELECT id::text || 'x', -id::int, (id + 1)::numeric(10, 2), total::float8 / 3, 7 / 2 FROM orders ORDER "
        "BY id LIMIT 3"
    ),
    (
        "SELECT COUNT(*) FROM orders o FULL OUTER JOIN customers c ON c.id = o.customer_id RIGHT JOIN regions r "
        "ON r.id = c.region_id"
    ),
    "SELECT COUNT(*) FROM regions r, categories k RIGHT JOIN products p ON p.category_id = k.id",
    "SELECT name SIMILAR TO '(N|S)%' FROM regions ORDER BY id",
    "(SELECT 1) UNION ALL (SELECT 2)",
    "TABLE regions",
]

FAIR: Final = {"sqlite": [*EITHER_FAIR, *SQLITE_FAIR], "postgres": [*EITHER_FAIR, *POSTGRES_FAIR]}
