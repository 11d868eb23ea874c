-- Each user with the figures of all sessions, the one seen last first.
SELECT
    user_id,
    count(*) AS sessions,
    sum(turns) AS turns,
    min(first_ns) AS first_ns,
    max(last_ns) AS last_ns,
    sum(total_tokens) AS total_tokens,
    sum(cost) AS cost,
    sum(errors) AS errors,
    sum(failed_turns) AS failed_turns,
    sum(latency_seconds) / sum(turns) AS mean_latency
FROM user_sessions
GROUP BY user_id
ORDER BY last_ns DESC, user_id
