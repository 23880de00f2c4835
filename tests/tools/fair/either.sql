-- Questions that both databases answer, one statement to a paragraph that ends with a semicolon.
SELECT COUNT(*) AS "count" FROM "orders";
select channel, count(*) as orders, sum(total) as revenue, avg(total) as average from orders group by channel order by revenue desc;
SELECT c.segment, r.name AS region, COUNT(DISTINCT c.id) AS customers FROM customers AS c INNER JOIN regions AS r ON c.region_id = r.id GROUP BY c.segment, r.name HAVING COUNT(DISTINCT c.id) > 1 ORDER BY 1, 2;
SELECT "orders"."channel" AS "channel", COUNT(*) AS "count" FROM "orders" LEFT JOIN "customers" AS "Customers" ON "orders"."customer_id" = "Customers"."id" WHERE "Customers"."segment" = 'Home' GROUP BY "orders"."channel" ORDER BY "count" DESC, "orders"."channel" ASC LIMIT 2000;
SELECT "source"."channel" AS "channel", SUM("source"."total") AS "sum" FROM (SELECT "orders"."id" AS "id", "orders"."channel" AS "channel", "orders"."total" AS "total" FROM "orders" WHERE ("orders"."total" > 100 AND "orders"."channel" <> 'Phone')) AS "source" GROUP BY "source"."channel" ORDER BY "source"."channel";
with orders_by_customer as (
    select customer_id, count(*) as n_orders, min(ordered_on) as first_order, max(ordered_on) as last_order, sum(total) as lifetime_value
    from orders group by 1
), final as (
    select customers.id, customers.name, coalesce(orders_by_customer.n_orders, 0) as n_orders, orders_by_customer.first_order, orders_by_customer.lifetime_value
    from customers left join orders_by_customer on customers.id = orders_by_customer.customer_id
)
select * from final order by id;
SELECT p.name, SUM(i.amount) AS revenue, RANK() OVER (ORDER BY SUM(i.amount) DESC) AS place FROM order_items i JOIN products p ON p.id = i.product_id GROUP BY p.id, p.name ORDER BY place, p.name LIMIT 10;
SELECT category, name, revenue FROM (SELECT k.name AS category, p.name, SUM(i.amount) AS revenue, ROW_NUMBER() OVER (PARTITION BY k.id ORDER BY SUM(i.amount) DESC, p.name) AS rn FROM order_items i JOIN products p ON p.id = i.product_id JOIN categories k ON k.id = p.category_id GROUP BY k.id, k.name, p.name) ranked WHERE rn <= 2 ORDER BY category, rn;
SELECT id, total, total - LAG(total) OVER (PARTITION BY customer_id ORDER BY ordered_on, id) AS change FROM orders WHERE customer_id IN (3, 5) ORDER BY customer_id, ordered_on, id;
SELECT id, total, SUM(total) OVER (ORDER BY ordered_on, id ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS running_total FROM orders ORDER BY ordered_on, id LIMIT 50;
SELECT customer_id, total, AVG(total) OVER (PARTITION BY customer_id ORDER BY id ROWS BETWEEN 2 PRECEDING AND 2 FOLLOWING) AS smoothed FROM orders WHERE customer_id < 5 ORDER BY id;
SELECT DISTINCT customer_id, FIRST_VALUE(total) OVER w AS first_total, LAST_VALUE(total) OVER (w ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS last_total FROM orders WINDOW w AS (PARTITION BY customer_id ORDER BY ordered_on, id) ORDER BY customer_id, first_total LIMIT 20;
SELECT id, NTH_VALUE(id, 2) OVER (PARTITION BY channel ORDER BY id RANGE BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING) AS second FROM orders ORDER BY id LIMIT 12;
SELECT id, COUNT(*) OVER (ORDER BY total GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING) AS near FROM orders WHERE customer_id = 7 ORDER BY id;
SELECT id, SUM(total) OVER (ORDER BY id ROWS BETWEEN 3 PRECEDING AND 1 PRECEDING EXCLUDE NO OTHERS) AS before FROM orders ORDER BY id LIMIT 9;
SELECT channel, PERCENT_RANK() OVER (ORDER BY total) AS pr, CUME_DIST() OVER (ORDER BY total) AS cd, NTILE(10) OVER (ORDER BY total, id) AS decile FROM orders WHERE customer_id <= 3 ORDER BY id;
SELECT c.name FROM customers c WHERE (SELECT COUNT(*) FROM orders o WHERE o.customer_id = c.id) > (SELECT AVG(n) FROM (SELECT COUNT(*) AS n FROM orders GROUP BY customer_id) AS counts) ORDER BY c.name, c.id;
SELECT name FROM products WHERE price = (SELECT MAX(price) FROM products);
SELECT name, price FROM products WHERE price > (SELECT AVG(price) FROM products) ORDER BY price DESC;
SELECT T1.name FROM customers AS T1 JOIN regions AS T2 ON T1.region_id = T2.id WHERE T2.name = 'North' INTERSECT SELECT T1.name FROM customers AS T1 JOIN orders AS T2 ON T1.id = T2.customer_id WHERE T2.channel = 'Web' ORDER BY 1;
SELECT name FROM customers EXCEPT SELECT T2.name FROM orders AS T1 JOIN customers AS T2 ON T1.customer_id = T2.id WHERE T1.total > 2000 ORDER BY name;
SELECT T2.name, COUNT(*) FROM orders AS T1 JOIN customers AS T2 ON T1.customer_id = T2.id GROUP BY T2.id, T2.name ORDER BY COUNT(*) DESC, T2.name LIMIT 1;
SELECT CAST(SUM(CASE WHEN T1.channel = 'Web' THEN 1 ELSE 0 END) AS REAL) * 100 / COUNT(T1.id) FROM orders AS T1 INNER JOIN customers AS T2 ON T1.customer_id = T2.id WHERE T2.segment = 'Business';
SELECT CASE WHEN total >= 1000 THEN '1000+' WHEN total >= 500 THEN '500-999' WHEN total >= 100 THEN '100-499' ELSE 'under 100' END AS bucket, COUNT(*) AS n, MIN(total), MAX(total) FROM orders GROUP BY CASE WHEN total >= 1000 THEN '1000+' WHEN total >= 500 THEN '500-999' WHEN total >= 100 THEN '100-499' ELSE 'under 100' END ORDER BY 1;
SELECT e.first_name || ' ' || e.last_name AS employee, m.first_name || ' ' || m.last_name AS manager FROM employees e LEFT JOIN employees m ON m.id = e.manager_id ORDER BY e.id;
SELECT d.name, COUNT(e.id) AS heads, SUM(e.salary) AS payroll, ROUND(AVG(e.salary), 2) AS mean, MIN(e.hired_on) AS first_hire FROM departments d LEFT JOIN employees e ON e.department_id = d.id GROUP BY d.id, d.name ORDER BY heads DESC, d.name;
SELECT d.name FROM departments d WHERE NOT EXISTS (SELECT * FROM employees e WHERE e.department_id = d.id) ORDER BY d.name;
WITH RECURSIVE tree AS (
    SELECT id, name, parent_id, 0 AS depth FROM departments WHERE parent_id IS NULL
    UNION ALL
    SELECT d.id, d.name, d.parent_id, t.depth + 1 FROM departments d JOIN tree t ON d.parent_id = t.id
)
SELECT * FROM tree ORDER BY depth, name;
WITH RECURSIVE chain (id, manager_id, level) AS (
    SELECT id, manager_id, 1 FROM employees WHERE id = 30
    UNION ALL
    SELECT e.id, e.manager_id, chain.level + 1 FROM employees e INNER JOIN chain ON e.id = chain.manager_id
)
SELECT chain.level, e.first_name, e.last_name FROM chain JOIN employees e ON e.id = chain.id ORDER BY chain.level;
WITH RECURSIVE explosion AS (
    SELECT part_id, quantity FROM components WHERE assembly_id = 1
    UNION ALL
    SELECT c.part_id, c.quantity * x.quantity FROM components c JOIN explosion x ON c.assembly_id = x.part_id
)
SELECT p.name, SUM(x.quantity) AS needed, SUM(x.quantity * p.unit_cost) AS cost FROM explosion x JOIN parts p ON p.id = x.part_id GROUP BY p.name ORDER BY p.name;
WITH RECURSIVE reach (city) AS (
    SELECT 'Berlin' UNION SELECT r.destination FROM routes r JOIN reach ON r.origin = reach.city
)
SELECT city FROM reach ORDER BY city;
WITH RECURSIVE numbers AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM numbers WHERE n < 100) SELECT SUM(n), COUNT(*) FROM numbers;
WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT n FROM t LIMIT 10;
WITH RECURSIVE fib (i, a, b) AS (SELECT 1, 0, 1 UNION ALL SELECT i + 1, b, a + b FROM fib WHERE i < 20) SELECT i, a FROM fib;
WITH RECURSIVE a AS (SELECT id FROM departments WHERE id = 3 UNION ALL SELECT d.id FROM departments d, a WHERE d.parent_id = a.id) SELECT COUNT(*) FROM employees WHERE department_id IN (SELECT id FROM a);
WITH RECURSIVE up AS (SELECT id, id AS root FROM departments WHERE parent_id = 1 UNION ALL SELECT d.id, up.root FROM departments d JOIN up ON d.parent_id = up.id), heads AS (SELECT up.root, COUNT(e.id) AS n FROM up LEFT JOIN employees e ON e.department_id = up.id GROUP BY up.root) SELECT d.name, h.n FROM heads h JOIN departments d ON d.id = h.root ORDER BY 1;
SELECT name FROM (SELECT name FROM regions UNION ALL SELECT name FROM categories) AS names WHERE name LIKE '%e%' ORDER BY name;
SELECT * FROM (VALUES (1, 'one'), (2, 'two'), (3, 'three')) AS v WHERE 1 = 1;
SELECT COALESCE(MAX(total), 0), COALESCE(MIN(total), 0), COUNT(*) FROM orders WHERE channel = 'Fax';
SELECT customer_id, SUM(total) AS t FROM orders GROUP BY customer_id HAVING SUM(total) > 10000 AND COUNT(*) BETWEEN 10 AND 40 ORDER BY t DESC;
SELECT s.month, s.channel, s.total, SUM(s.total) OVER (PARTITION BY s.channel ORDER BY s.month) AS cumulative FROM monthly_sales s ORDER BY s.channel, s.month;
SELECT a.month, a.total AS this_month, b.total AS web FROM monthly_sales a JOIN monthly_sales b ON a.month = b.month AND b.channel = 'Web' WHERE a.channel = 'Shop' ORDER BY a.month;
SELECT kind, COUNT(*) AS n, COUNT(customer_id) AS known, COUNT(DISTINCT session_id) AS sessions FROM events GROUP BY kind ORDER BY n DESC, kind;
WITH f AS (SELECT session_id, MAX(CASE WHEN kind = 'view' THEN 1 ELSE 0 END) AS viewed, MAX(CASE WHEN kind = 'cart' THEN 1 ELSE 0 END) AS carted, MAX(CASE WHEN kind = 'purchase' THEN 1 ELSE 0 END) AS bought FROM events GROUP BY session_id) SELECT SUM(viewed) AS viewed, SUM(carted) AS carted, SUM(bought) AS bought, 1.0 * SUM(bought) / NULLIF(SUM(viewed), 0) AS conversion FROM f;
SELECT o.origin, o.destination, o.km, r.destination AS via FROM routes o JOIN routes r ON r.origin = o.destination WHERE r.destination <> o.origin ORDER BY 1, 2, 4;
SELECT c.name, o.id FROM customers c LEFT OUTER JOIN orders o ON o.customer_id = c.id AND o.total > 2500 ORDER BY c.id, o.id;
SELECT x.n, y.n FROM (SELECT 1 AS n UNION SELECT 2) x CROSS JOIN (SELECT 3 AS n UNION SELECT 4) y ORDER BY 1, 2;
SELECT id FROM orders WHERE (customer_id, channel) IN (SELECT customer_id, channel FROM orders GROUP BY customer_id, channel HAVING COUNT(*) > 8) ORDER BY id LIMIT 5;
SELECT id FROM employees WHERE (department_id, salary) IN ((1, 50000), (2, 43373.5), (3, 44746.5)) ORDER BY id;
SELECT id FROM orders WHERE (ordered_on, id) > ('2025-06-01', 700) ORDER BY ordered_on, id LIMIT 5;
SELECT UPPER(SUBSTR(first_name, 1, 1)) || LOWER(SUBSTR(first_name, 2)) AS nice, LENGTH(last_name) FROM employees ORDER BY id LIMIT 5;
SELECT first_name, last_name FROM employees WHERE last_name LIKE 'B%' OR first_name LIKE '_a%' ORDER BY last_name, first_name, id;
SELECT REPLACE(subject, 'Ticket ', '#') AS subject FROM tickets WHERE subject LIKE '%refund%' ORDER BY id LIMIT 3;
SELECT priority, COUNT(*) FILTER (WHERE closed_at IS NULL) AS open, COUNT(*) AS n FROM tickets GROUP BY priority ORDER BY n DESC, priority;
SELECT t.id FROM tickets t WHERE t.assignee_id IS NOT DISTINCT FROM NULL ORDER BY t.id LIMIT 4;
SELECT COUNT(*) FROM tickets WHERE closed_at IS NOT NULL AND NOT (priority = 'low' OR priority = 'normal');
SELECT MAX(total) - MIN(total) AS spread, SUM(total) / COUNT(*) AS mean, SUM(total * total) AS squares FROM orders;
SELECT (SELECT COUNT(*) FROM orders) AS orders, (SELECT COUNT(*) FROM customers) AS customers, (SELECT COUNT(*) FROM products) AS products;
SELECT p.name, q.name FROM products p JOIN products q ON p.category_id = q.category_id AND p.id < q.id ORDER BY 1, 2;
SELECT a.product_id, b.product_id, COUNT(*) AS together FROM order_items a JOIN order_items b ON a.order_id = b.order_id AND a.product_id < b.product_id GROUP BY a.product_id, b.product_id ORDER BY together DESC, 1, 2 LIMIT 10;
SELECT id, CASE WHEN bonus IS NULL THEN 'none' ELSE 'some' END AS bonus FROM employees ORDER BY bonus IS NULL, id;
SELECT name FROM parts ORDER BY weight DESC NULLS LAST, unit_cost ASC NULLS FIRST;
SELECT level, AVG(salary) AS mean, (SELECT AVG(salary) FROM employees) AS overall FROM employees GROUP BY level ORDER BY level;
SELECT * FROM employees e JOIN departments d ON e.department_id = d.id WHERE d.name IN ('Sales', 'Support') AND e.left_on IS NULL ORDER BY e.id;
SELECT e.* FROM employees AS e ORDER BY e.salary DESC, e.id LIMIT 5 OFFSET 5;
SELECT ABS(-5), ROUND(2.567, 1), 7 % 3, 2 * (3 + 4), -5 + 3, 10 / 4, 10 / 4.0;
SELECT 'O''Brien' AS name, 'a;b' AS semicolon, '--x' AS dashes, '%' AS percent;
SELECT "name" FROM "regions" WHERE "id" BETWEEN 2 AND 3 ORDER BY "name";
SELECT o.channel, p.name, SUM(i.quantity) AS units FROM orders o JOIN order_items i ON i.order_id = o.id JOIN products p ON p.id = i.product_id WHERE o.ordered_on >= '2025-01-01' AND o.ordered_on < '2025-07-01' GROUP BY o.channel, p.name HAVING SUM(i.quantity) > 100 ORDER BY units DESC, 1, 2;
SELECT SUM(CASE WHEN channel = 'Web' THEN total END) AS web, SUM(CASE WHEN channel = 'Shop' THEN total END) AS shop, SUM(CASE WHEN channel NOT IN ('Web', 'Shop') THEN total ELSE 0 END) AS other FROM orders;
SELECT r.name, COALESCE(SUM(o.total), 0) AS revenue, 100.0 * SUM(o.total) / SUM(SUM(o.total)) OVER () AS share FROM regions r LEFT JOIN customers c ON c.region_id = r.id LEFT JOIN orders o ON o.customer_id = c.id GROUP BY r.id, r.name ORDER BY revenue DESC;
SELECT name FROM customers WHERE LOWER(name) LIKE '%adler%' ORDER BY name, id;
SELECT TRIM('  padded  ') AS t, LTRIM('  left') AS l, RTRIM('right  ') AS r;
SELECT COUNT(*) AS days FROM (SELECT DISTINCT ordered_on FROM orders) AS d;
SELECT MIN(n), MAX(n), AVG(n) FROM (SELECT customer_id, COUNT(*) AS n FROM orders GROUP BY customer_id) AS per_customer;
SELECT channel FROM orders GROUP BY channel ORDER BY SUM(total) DESC LIMIT 1;
SELECT DISTINCT o.channel, c.segment FROM orders o, customers c WHERE o.customer_id = c.id AND c.region_id <> 2 ORDER BY 1, 2;
SELECT name, price, price * 1.19 AS gross FROM products WHERE price * 1.19 > 20 ORDER BY gross DESC, name;
WITH a AS (SELECT 1 AS x), b AS (SELECT x + 1 AS x FROM a), c AS (SELECT x * 10 AS x FROM b) SELECT a.x, b.x, c.x FROM a, b, c;
WITH top AS (SELECT customer_id FROM orders GROUP BY customer_id ORDER BY SUM(total) DESC, customer_id LIMIT 3) SELECT o.customer_id, COUNT(*) FROM orders o WHERE o.customer_id IN (SELECT customer_id FROM top) GROUP BY o.customer_id ORDER BY o.customer_id;
SELECT COUNT(*) FROM orders WHERE total > 100 AND channel = 'Web' OR total > 2000 AND NOT channel = 'Shop';
SELECT t1.id FROM orders t1 LEFT JOIN orders t2 ON t1.customer_id = t2.customer_id AND t1.total < t2.total WHERE t2.id IS NULL ORDER BY t1.id LIMIT 20;
SELECT d.name, e.last_name, e.salary FROM employees e JOIN departments d ON d.id = e.department_id WHERE e.salary = (SELECT MAX(x.salary) FROM employees x WHERE x.department_id = e.department_id) ORDER BY d.name;
SELECT MAX(salary) AS second FROM employees WHERE salary < (SELECT MAX(salary) FROM employees);
SELECT salary FROM employees ORDER BY salary DESC LIMIT 1 OFFSET 2;
SELECT d.name AS department, COUNT(CASE WHEN e.level = 'lead' THEN 1 END) AS leads, COUNT(CASE WHEN e.level = 'senior' THEN 1 END) AS seniors FROM employees e RIGHT JOIN departments d ON d.id = e.department_id GROUP BY d.name ORDER BY d.name;
SELECT e.id, d.id FROM employees e FULL OUTER JOIN departments d ON d.id = e.department_id AND e.salary > 70000 ORDER BY d.id, e.id;
SELECT first_name FROM employees UNION SELECT name FROM customers UNION SELECT name FROM parts ORDER BY 1 LIMIT 12;
SELECT COUNT(*) FROM (SELECT product_id FROM order_items GROUP BY product_id HAVING COUNT(DISTINCT order_id) > 200) AS popular;
SELECT CAST(total AS INTEGER) AS t, CAST(id AS VARCHAR(10)) AS s FROM orders WHERE id < 4 ORDER BY id;
SELECT k.name, p.name, p.price, p.price - AVG(p.price) OVER (PARTITION BY k.id) AS difference, MAX(p.price) OVER (PARTITION BY k.id) AS dearest FROM products p JOIN categories k ON k.id = p.category_id ORDER BY k.name, p.price, p.name;
SELECT id, total, CASE WHEN total > LAG(total) OVER (ORDER BY id) THEN 'up' WHEN total < LAG(total) OVER (ORDER BY id) THEN 'down' ELSE 'same' END AS trend FROM orders ORDER BY id LIMIT 15;
WITH numbered AS (SELECT id, kind, at, session_id, ROW_NUMBER() OVER (PARTITION BY session_id ORDER BY at) AS step FROM events) SELECT a.kind AS from_kind, b.kind AS to_kind, COUNT(*) AS n FROM numbered a JOIN numbered b ON a.session_id = b.session_id AND b.step = a.step + 1 GROUP BY a.kind, b.kind ORDER BY n DESC, 1, 2;
SELECT * FROM parts NATURAL JOIN (SELECT part_id AS id, SUM(quantity) AS used FROM components GROUP BY part_id) AS u ORDER BY id;
SELECT c.name, c.segment FROM customers c WHERE c.id IN (SELECT o.customer_id FROM orders o WHERE o.id IN (SELECT i.order_id FROM order_items i JOIN products p ON p.id = i.product_id WHERE p.name = 'Espresso Machine')) ORDER BY c.name, c.id LIMIT 10;
SELECT 1 WHERE EXISTS (SELECT 1 FROM orders WHERE total > 1) AND NOT EXISTS (SELECT 1 FROM orders WHERE total < 0);
SELECT COUNT(*), SUM(CASE WHEN EXISTS (SELECT 1 FROM orders o WHERE o.customer_id = c.id AND o.channel = 'Phone') THEN 1 ELSE 0 END) AS phoned FROM customers c;
SELECT customer_id FROM orders GROUP BY customer_id HAVING COUNT(DISTINCT channel) = (SELECT COUNT(DISTINCT channel) FROM orders) ORDER BY customer_id;
SELECT price, SUM(price) OVER (ORDER BY price RANGE BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) AS rest FROM products ORDER BY price;
SELECT g.id, g.n FROM (SELECT department_id AS id, COUNT(*) AS n FROM employees WHERE left_on IS NULL GROUP BY department_id) g ORDER BY g.n DESC, g.id;
SELECT ROW_NUMBER() OVER () AS line, name FROM regions ORDER BY id;
SELECT SUM(SUM(total)) OVER (ORDER BY channel) AS running, channel FROM orders GROUP BY channel ORDER BY channel;
SELECT /*+ hint */ name -- the name
FROM regions /* all of them */ ORDER BY id;
SELECT o.id AS "Order ID", o.total AS "Total (EUR)", c.name AS "Customer's name" FROM orders o JOIN customers c ON o.customer_id = c.id ORDER BY "Order ID" LIMIT 5;
