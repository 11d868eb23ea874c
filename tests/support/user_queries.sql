SELECT model, count(*) AS n, sum(prompt_tokens) AS p
FROM spans
GROUP BY model
ORDER BY model;
SELECT kind, status, count(*) AS n, count(DISTINCT trace_id) AS t
FROM spans
GROUP BY kind, status
HAVING count(*) > 1
ORDER BY kind, status;
SELECT session_id, turns / 2 AS half, turns % 2 AS odd, turns > 2 AS many, cost / turns AS
    each_one, (last_ns - first_ns) / 1000000000 AS s
FROM sessions
ORDER BY session_id;
SELECT s.session_id, s.user_id, t.input, t.seconds
FROM sessions AS s
JOIN turns AS t ON t.session_id = s.session_id
WHERE t.errors > 0
ORDER BY s.session_id, t.trace_id, t.root_id;
SELECT s.session_id, count(t.trace_id) AS n
FROM sessions AS s
LEFT JOIN turns AS t ON t.session_id = s.session_id AND t.input LIKE '%ORDER%'
GROUP BY s.session_id
ORDER BY n DESC, s.session_id;
SELECT DISTINCT lower(output) AS said, length(output) AS n, upper(substr(output, 2, 5)) AS p
FROM turns
ORDER BY output;
SELECT session_id, cost, total_tokens
FROM sessions
ORDER BY cost, total_tokens DESC, session_id;
WITH busy AS (SELECT session_id, count(*) AS n
FROM turns
WHERE said
GROUP BY session_id) SELECT busy.n, count(*) AS m, total(s.cost) AS c
FROM busy
JOIN sessions AS s ON s.session_id = busy.session_id
GROUP BY busy.n
ORDER BY busy.n;
SELECT session_id, first_ns, row_number() OVER (ORDER BY first_ns, session_id) AS place,
    sum(turns) OVER (PARTITION BY user_id) AS of_user
FROM sessions
ORDER BY place;
SELECT session_id
FROM sessions
WHERE user_id IS NULL
UNION SELECT session_id
FROM sessions
WHERE errors > 0
ORDER BY session_id;
SELECT count(*) AS n, sum(cost) AS c, max(turns) AS m
FROM sessions
WHERE turns > 1000;
SELECT session_id, CASE WHEN cost IS NULL THEN 'unknown' WHEN cost > 0.01 THEN 'dear' ELSE
    'cheap' END AS price, coalesce(user_id, '-') AS who, max(turns, errors) AS greater
FROM sessions
WHERE first_ns BETWEEN 0 AND 9000000000000000000
ORDER BY session_id;
SELECT session_id || '/' || turns AS both_of_them, instr(session_id, 't') AS at
FROM sessions
WHERE session_id IN (SELECT session_id
FROM turns
WHERE tool_calls >= 1)
ORDER BY session_id;
SELECT name, label, annotator_kind, session_id
FROM evaluations
ORDER BY session_id, trace_id, name, label;
SELECT s.name, t.said
FROM spans AS s
JOIN turns AS t ON t.trace_id = s.trace_id
ORDER BY s.trace_id, s.span_id, t.root_id;
SELECT count(*) AS n
FROM spans;
SELECT count(*) AS n
FROM spans
WHERE session_id = 'chat-42';
SELECT span_id, attributes
FROM spans
WHERE name = 'nobody';
SELECT count(*) AS n, sum(input NOT LIKE '%ORDER%') AS others, sum(NOT input NOT LIKE '%order%') AS
    orders
FROM turns
WHERE input NOT LIKE 'x%' OR input IS NULL;
SELECT trace_id, input NOT LIKE '%!_%' ESCAPE '!' AS plain
FROM turns
WHERE NOT input LIKE '%order%' AND output NOT LIKE '%100 !%%' ESCAPE '!' AND input NOT BETWEEN 'x'
    AND 'y'
ORDER BY trace_id, root_id;
SELECT session_id, total_tokens * 0.0000025 AS usd, turns * 0.5 + 1.0 AS a, 0.1 + 0.2 = 0.3 AS b,
    coalesce(cost, 0.25) AS c, turns * 2.0 AS d, 2.5e-6 AS e
FROM sessions
WHERE turns * 0.1 <> 0.3
ORDER BY session_id;
SELECT avg(turns) AS a, sum(turns * 1.5) AS b, sum(turns) AS c, total(turns) AS d, max(0.5 * turns) AS e
FROM sessions;
SELECT turns AS N, user_id AS "My Id", COUNT( * ), max(cost) AS Most, user_id
FROM sessions
GROUP BY turns, user_id
ORDER BY "My Id", n;
SELECT a.user_id, b.user_id, b.turns + 1
FROM sessions AS a
LEFT JOIN sessions AS b ON a.session_id = b.session_id AND b.errors > 0
ORDER BY a.session_id;
WITH Session AS (SELECT session_id, turns AS Many FROM sessions),
    Turn(id, n) AS (SELECT session_id, count(*) FROM turns GROUP BY session_id)
SELECT Session.*, turn.n, TURN.id
FROM session
JOIN turn ON turn.id = SESSION.session_id
ORDER BY turn.id;
SELECT session_id, lag(turns) OVER (ORDER BY session_id) AS p, lead(user_id) OVER (ORDER BY
    session_id) AS q, lag(turns, 1, -1) OVER (ORDER BY session_id) AS s, first_ns - lag(last_ns)
    OVER (ORDER BY session_id) AS gap, first_value(turns) OVER (ORDER BY session_id ROWS BETWEEN 2
    PRECEDING AND 1 PRECEDING) AS f
FROM sessions
ORDER BY session_id;
SELECT session_id
FROM sessions
WHERE user_id NOT IN ('ada', NULL)
ORDER BY session_id;
SELECT session_id, user_id NOT IN ('Ada') AS a, user_id IN ('Ada', NULL) AS b, NOT (turns IN (1,
    NULL)) AS c, turns NOT IN (1, errors) AS d
FROM sessions
ORDER BY session_id;
SELECT session_id
FROM sessions
WHERE user_id NOT IN (SELECT user_id FROM turns)
ORDER BY session_id;
SELECT count(*) AS n, sum(user_id IN (SELECT user_id FROM sessions WHERE turns > 2)) AS m,
    sum(user_id NOT IN (SELECT user_id FROM sessions WHERE turns > 1000)) AS o
FROM turns
WHERE user_id NOT IN (SELECT user_id FROM sessions WHERE user_id = 'ada') OR errors NOT IN (SELECT
    errors > 0 FROM sessions);
SELECT avg(start_ns) AS a, avg(DISTINCT end_ns) AS b, avg(start_ns) FILTER (WHERE errors > 0) AS c
FROM turns;
SELECT user_id, sum(turns) + 1 AS a, sum(turns) FILTER (WHERE errors > 0) AS b, sum(DISTINCT turns)
    AS c, sum(turns) * 2 / count(*) AS d, sum(errors > 0) - 10 AS e
FROM sessions
GROUP BY user_id
HAVING sum(turns) - 1 >= 0
ORDER BY sum(turns) + 1, user_id;
SELECT turns + 1 AS t, count(*) AS n
FROM sessions
GROUP BY turns + 1
ORDER BY turns + 1;
SELECT sum(turns) AS a, max(turns) AS b, min(user_id) AS c, avg(turns) AS d, coalesce(sum(turns), 0)
    AS e, coalesce(max(turns), -1) + 1 AS f, total(turns) AS g, sum(cost) AS h
FROM sessions
WHERE turns > 1000;
SELECT session_id, errors IS TRUE AS a, errors IS NOT TRUE AS b, errors IS FALSE AS c, (turns > 2)
    IS TRUE AS d, ((turns > 2) + 1) > 1 AS e, user_id IS NOT 'Ada' AS f
FROM sessions
WHERE cost IS NOT TRUE OR turns + 1 IS TRUE
ORDER BY session_id;
SELECT session_id, substr(session_id, 1, instr(session_id, '-') - 1) AS x, substr(session_id, 2) AS
    y, substr(user_id, 1, turns - 3) AS z, substr(session_id, 2, 0) AS w
FROM sessions
ORDER BY session_id;
SELECT session_id, 200 / -1 AS a, 200 % -3 AS b, turns / -1 AS c, turns & 1 AS d, turns | 4 AS e,
    ~turns AS f, (turns & 4) > 0 AS g
FROM sessions
ORDER BY session_id;
SELECT user_id, sum(errors > 0) * 1.0 / count(*) AS a, total(turns) / 2 AS b, total(errors) * 100 /
    count(*) AS c, avg(errors > 0) / 3 AS d, sum(coalesce(cost, 0.0)) / count(*) AS e, sum((turns > 2) +
    1) / 2 AS f
FROM sessions
GROUP BY user_id
ORDER BY user_id;
SELECT session_id, CASE WHEN turns > 2 THEN 1 ELSE 2.5 END / 2.0 AS a
FROM sessions
ORDER BY session_id;
