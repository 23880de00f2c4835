-- The same company in SQLite: dates as text, JSON as text, points in time as seconds, a flag as 0 and 1.
CREATE TABLE departments (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, parent_id INTEGER REFERENCES departments (id), budget REAL
);
CREATE TABLE employees (
    id INTEGER PRIMARY KEY, first_name TEXT NOT NULL, last_name TEXT NOT NULL, mail TEXT, level TEXT NOT NULL,
    manager_id INTEGER REFERENCES employees (id), department_id INTEGER NOT NULL REFERENCES departments (id),
    hired_on DATE NOT NULL, left_on DATE, salary NUMERIC(10, 2) NOT NULL, bonus REAL, is_remote BOOLEAN NOT NULL,
    skills TEXT NOT NULL, profile TEXT NOT NULL
);
CREATE TABLE tickets (
    id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL REFERENCES customers (id), assignee_id INTEGER REFERENCES employees (id),
    priority TEXT NOT NULL, opened_at DATETIME NOT NULL, closed_at DATETIME, subject TEXT NOT NULL, tags TEXT NOT NULL, payload TEXT NOT NULL
);
CREATE TABLE events (
    id INTEGER PRIMARY KEY, session_id BLOB NOT NULL, customer_id INTEGER, at INTEGER NOT NULL, kind TEXT NOT NULL,
    url TEXT, properties TEXT NOT NULL, took_ms REAL
);
CREATE TABLE components (assembly_id INTEGER NOT NULL, part_id INTEGER NOT NULL, quantity INTEGER NOT NULL);
CREATE TABLE parts (id INTEGER PRIMARY KEY, name TEXT NOT NULL, unit_cost REAL NOT NULL, weight REAL);
CREATE TABLE routes (origin TEXT NOT NULL, destination TEXT NOT NULL, km INTEGER NOT NULL);
CREATE VIEW monthly_sales AS
    SELECT strftime('%Y-%m', ordered_on) AS month, channel, sum(total) AS total, count(*) AS orders FROM orders GROUP BY 1, 2;

INSERT INTO departments VALUES
    (1, 'Company', NULL, 5000000), (2, 'Sales', 1, 800000), (3, 'Engineering', 1, 2500000), (4, 'Platform', 3, 900000),
    (5, 'Product', 3, 1100000), (6, 'Support', 2, 300000), (7, 'Legal', 1, NULL);
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40)
INSERT INTO employees
SELECT i, json_extract('["Ada","Bruno","Clara","David","Elena","Farid","Greta"]', '$[' || (i % 7) || ']'),
    json_extract('["Adler","Berg","Costa","Dahl","Evans"]', '$[' || (i % 5) || ']'),
    CASE WHEN i % 9 <> 0 THEN 'p' || i || '@example.org' END, json_extract('["junior","senior","lead"]', '$[' || (i % 3) || ']'),
    CASE WHEN i > 1 THEN max(1, i / 3) END, i % 6 + 1, date('2015-01-05', '+' || (i * 41) || ' days'),
    CASE WHEN i % 8 = 0 THEN date('2024-01-31', '+' || i || ' days') END, 42000 + (i * 1373) % 39000 + 0.5,
    CASE WHEN i % 4 <> 0 THEN i * 1.25 END, i % 2 = 0, json_array(json_extract('["sql","go","python"]', '$[' || (i % 3) || ']'), 'excel'),
    json_object('languages', json(CASE WHEN i % 2 = 0 THEN '["de","en"]' ELSE '["en"]' END),
        'address', json_object('city', json_extract('["Berlin","Paris","Oslo"]', '$[' || (i % 3) || ']')), 'score', i * 7 % 50)
FROM n;
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 120)
INSERT INTO tickets
SELECT i, i % 60 + 1, CASE WHEN i % 7 <> 0 THEN i % 40 + 1 END, json_extract('["low","normal","high","urgent"]', '$[' || (i % 4) || ']'),
    datetime('2024-02-01 08:00', '+' || (i * 433) || ' minutes'),
    CASE WHEN i % 5 <> 0 THEN datetime('2024-02-01 08:00', '+' || (i * 433 + i % 11 * 185) || ' minutes') END,
    'Ticket ' || i || CASE WHEN i % 3 = 0 THEN ': refund for order #' || (i * 17) ELSE ': question, about delivery' END,
    json_extract('["billing","billing,refund","delivery",""]', '$[' || (i % 4) || ']'),
    json_object('channel', json_extract('["mail","chat","phone"]', '$[' || (i % 3) || ']'), 'satisfaction', CASE WHEN i % 4 <> 0 THEN i % 5 + 1 END,
        'items', json_array(json_object('sku', 'A' || (i % 6), 'qty', i % 4 + 1), json_object('sku', 'B' || (i % 3), 'qty', 1)))
FROM n;
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
INSERT INTO events
SELECT i, CAST(printf('%016d', i / 6) AS BLOB), CASE WHEN i % 10 <> 0 THEN i % 60 + 1 END, 1709251200 + i * 2820,
    json_extract('["view","view","cart","checkout","purchase"]', '$[' || (i % 5) || ']'),
    'https://shop.example/p/' || (i % 13) || '?utm_source=' || json_extract('["mail","ads","direct"]', '$[' || (i % 3) || ']'),
    json_object('device', json_extract('["phone","desktop","tablet"]', '$[' || (i % 3) || ']'), 'price', i % 13 * 2.5, 'tags', json_array('t' || (i % 4), 'x')),
    CASE WHEN i % 12 <> 0 THEN 12.5 + (i * 37) % 400 END
FROM n;
INSERT INTO parts VALUES (1, 'Bicycle', 20, 1.5), (2, 'Wheel', 5, 0.5), (3, 'Frame', 80, 2.25), (4, 'Spoke', 0.2, 0.01),
    (5, 'Rim', 9.5, 0.4), (6, 'Bolt', 0.05, 0.005);
INSERT INTO components VALUES (1, 2, 2), (1, 3, 1), (2, 4, 32), (2, 5, 1), (3, 6, 12), (5, 6, 2);
INSERT INTO routes VALUES ('Berlin', 'Paris', 1054), ('Paris', 'Madrid', 1270), ('Berlin', 'Oslo', 1100), ('Oslo', 'Berlin', 1100),
    ('Madrid', 'Lisbon', 625), ('Paris', 'Rome', 1420), ('Rome', 'Berlin', 1500);
