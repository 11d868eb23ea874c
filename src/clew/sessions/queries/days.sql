-- The figures of each day (UTC), in their order.
SELECT
    first_ns - first_ns % 86400000000000 AS day_ns,
    count(*) AS sessions,
    count(DISTINCT user_id) AS users,
    sum(turns) AS turns,
    sum(total_tokens) AS total_tokens,
    sum(cost) AS cost,
    sum(failed_turns) AS failed_turns
FROM sessions
GROUP BY first_ns - first_ns % 86400000000000
ORDER BY day_ns
