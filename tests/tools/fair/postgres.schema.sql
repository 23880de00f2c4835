-- A company as a real database holds it: enumerations, domains, arrays, JSON, ranges, a hierarchy, parts of parts, a graph.
CREATE SCHEMA hr;
CREATE TYPE hr.level AS ENUM ('junior', 'senior', 'lead');
CREATE TYPE public.priority AS ENUM ('low', 'normal', 'high', 'urgent');
CREATE DOMAIN public.email AS text CHECK (VALUE LIKE '%@%');
CREATE DOMAIN public.percentage AS numeric(5, 2) CHECK (VALUE BETWEEN 0 AND 100);
CREATE TYPE public.address AS (street text, city text, zip text);

CREATE TABLE hr.departments (
    id int PRIMARY KEY, name text NOT NULL, parent_id int REFERENCES hr.departments (id), budget numeric(12, 2)
);
CREATE TABLE hr.employees (
    id int PRIMARY KEY, first_name text NOT NULL, last_name text NOT NULL, mail public.email, level hr.level NOT NULL,
    manager_id int REFERENCES hr.employees (id), department_id int NOT NULL REFERENCES hr.departments (id),
    hired_on date NOT NULL, left_on date, salary numeric(10, 2) NOT NULL, bonus public.percentage, is_remote boolean NOT NULL,
    skills text[] NOT NULL, home public.address, profile jsonb NOT NULL
);
CREATE TABLE hr.absences (
    id int PRIMARY KEY, employee_id int NOT NULL REFERENCES hr.employees (id), during daterange NOT NULL, kind text NOT NULL
);
CREATE TABLE public.tickets (
    id int PRIMARY KEY, customer_id int NOT NULL REFERENCES customers (id), assignee_id int REFERENCES hr.employees (id),
    priority public.priority NOT NULL, opened_at timestamptz NOT NULL, closed_at timestamptz, subject text NOT NULL,
    tags text[] NOT NULL, minutes int[] NOT NULL, payload jsonb NOT NULL, spent interval
);
CREATE TABLE public.events (
    id bigint PRIMARY KEY, session_id uuid NOT NULL, customer_id int, at timestamp NOT NULL, kind text NOT NULL,
    url text, properties json NOT NULL, took_ms double precision, address inet
);
CREATE TABLE public.components (assembly_id int NOT NULL, part_id int NOT NULL, quantity int NOT NULL);
CREATE TABLE public.parts (id int PRIMARY KEY, name text NOT NULL, unit_cost numeric(10, 2) NOT NULL, weight real);
CREATE TABLE public.routes (origin text NOT NULL, destination text NOT NULL, km int NOT NULL);
CREATE TABLE public.prices (product_id int NOT NULL REFERENCES products (id), valid tstzrange NOT NULL, price numeric(10, 2) NOT NULL);
CREATE VIEW public.monthly_sales AS
    SELECT date_trunc('month', ordered_on)::date AS month, channel, sum(total) AS total, count(*) AS orders
    FROM orders GROUP BY 1, 2;
CREATE MATERIALIZED VIEW hr.headcount AS SELECT department_id, count(*) AS employees FROM hr.employees GROUP BY 1;

INSERT INTO hr.departments VALUES
    (1, 'Company', NULL, 5000000), (2, 'Sales', 1, 800000), (3, 'Engineering', 1, 2500000), (4, 'Platform', 3, 900000),
    (5, 'Product', 3, 1100000), (6, 'Support', 2, 300000), (7, 'Legal', 1, NULL);
INSERT INTO hr.employees
SELECT i, (ARRAY['Ada','Bruno','Clara','David','Elena','Farid','Greta'])[i % 7 + 1],
    (ARRAY['Adler','Berg','Costa','Dahl','Evans'])[i % 5 + 1],
    CASE WHEN i % 9 <> 0 THEN 'p' || i || '@example.org' END,
    (ARRAY['junior','senior','lead'])[i % 3 + 1]::hr.level,
    CASE WHEN i > 1 THEN i / 3 + CASE WHEN i < 3 THEN 1 ELSE 0 END END, i % 6 + 1, date '2015-01-05' + i * 41,
    CASE WHEN i % 8 = 0 THEN date '2024-01-31' + i END, 42000 + (i * 1373) % 39000 + 0.5, CASE WHEN i % 4 <> 0 THEN i * 1.25 END, i % 2 = 0,
    ARRAY[(ARRAY['sql','go','python'])[i % 3 + 1], (ARRAY['excel','rust','java'])[i % 3 + 1]],
    ROW('Street ' || i, (ARRAY['Berlin','Paris','Oslo'])[i % 3 + 1], lpad(i::text, 5, '0'))::public.address,
    jsonb_build_object('languages', CASE WHEN i % 2 = 0 THEN '["de","en"]'::jsonb ELSE '["en"]'::jsonb END,
        'address', jsonb_build_object('city', (ARRAY['Berlin','Paris','Oslo'])[i % 3 + 1], 'zip', lpad(i::text, 5, '0')),
        'score', i * 7 % 50, 'remote', i % 2 = 0)
FROM generate_series(1, 40) AS i;
INSERT INTO hr.absences
SELECT i, i % 40 + 1, daterange(date '2024-01-10' + i * 6, date '2024-01-10' + i * 6 + i % 12 + 1), (ARRAY['holiday','sick'])[i % 2 + 1]
FROM generate_series(1, 60) AS i;
INSERT INTO tickets
SELECT i, i % 60 + 1, CASE WHEN i % 7 <> 0 THEN i % 40 + 1 END, (ARRAY['low','normal','high','urgent'])[i % 4 + 1]::public.priority,
    timestamptz '2024-02-01 08:00+00' + i * interval '7 hours 13 minutes',
    CASE WHEN i % 5 <> 0 THEN timestamptz '2024-02-01 08:00+00' + i * interval '7 hours 13 minutes' + (i % 11) * interval '3 hours 5 minutes' END,
    'Ticket ' || i || CASE WHEN i % 3 = 0 THEN ': refund for order #' || i * 17 ELSE ': question, about delivery' END,
    (ARRAY['{billing}','{billing,refund}','{delivery}','{}'])[i % 4 + 1]::text[], ARRAY[i % 5, i % 7, i % 9],
    jsonb_build_object('channel', (ARRAY['mail','chat','phone'])[i % 3 + 1], 'satisfaction', CASE WHEN i % 4 <> 0 THEN i % 5 + 1 END,
        'items', jsonb_build_array(jsonb_build_object('sku', 'A' || i % 6, 'qty', i % 4 + 1), jsonb_build_object('sku', 'B' || i % 3, 'qty', 1))),
    (i % 11) * interval '25 minutes'
FROM generate_series(1, 120) AS i;
INSERT INTO events
SELECT i, md5((i / 6)::text)::uuid, CASE WHEN i % 10 <> 0 THEN i % 60 + 1 END, timestamp '2024-03-01 00:00' + i * interval '47 minutes',
    (ARRAY['view','view','cart','checkout','purchase'])[i % 5 + 1], 'https://shop.example/p/' || i % 13 || '?utm_source=' || (ARRAY['mail','ads','direct'])[i % 3 + 1],
    json_build_object('device', (ARRAY['phone','desktop','tablet'])[i % 3 + 1], 'price', i % 13 * 2.5, 'tags', json_build_array('t' || i % 4, 'x')),
    CASE WHEN i % 12 <> 0 THEN 12.5 + (i * 37) % 400 END, ('10.0.' || i % 4 || '.' || i % 200)::inet
FROM generate_series(1, 300) AS i;
INSERT INTO parts VALUES (1, 'Bicycle', 20, 1.5), (2, 'Wheel', 5, 0.5), (3, 'Frame', 80, 2.25), (4, 'Spoke', 0.2, 0.01),
    (5, 'Rim', 9.5, 0.4), (6, 'Bolt', 0.05, 0.005);
INSERT INTO components VALUES (1, 2, 2), (1, 3, 1), (2, 4, 32), (2, 5, 1), (3, 6, 12), (5, 6, 2);
INSERT INTO routes VALUES ('Berlin', 'Paris', 1054), ('Paris', 'Madrid', 1270), ('Berlin', 'Oslo', 1100), ('Oslo', 'Berlin', 1100),
    ('Madrid', 'Lisbon', 625), ('Paris', 'Rome', 1420), ('Rome', 'Berlin', 1500);
INSERT INTO prices SELECT p.id, tstzrange(timestamptz '2024-01-01 00:00+00' + n * interval '90 days', timestamptz '2024-01-01 00:00+00' + (n + 1) * interval '90 days'), p.price + n
    FROM products p, generate_series(0, 3) AS n;
REFRESH MATERIALIZED VIEW hr.headcount;
ANALYZE;
