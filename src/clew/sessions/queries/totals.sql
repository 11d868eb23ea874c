-- All figures in one row.
SELECT
    count(*) AS sessions,
    count(DISTINCT user_id) AS users,
    sum(turns) AS turns,
    sum(spans) AS spans,
    sum(total_tokens) AS total_tokens,
    sum(cost) AS cost,
    sum(errors) AS errors,
    sum(failed_turns) AS failed_turns,
    min(first_ns) AS first_ns,
    max(last_ns) AS last_ns
FROM sessions
