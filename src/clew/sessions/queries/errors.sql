-- What went wrong, the most frequent first.
SELECT
    error,
    count(*) AS turns,
    count(DISTINCT session_id) AS sessions,
    max(start_ns) AS last_ns
FROM turns
WHERE errors > 0
GROUP BY error
ORDER BY turns DESC, error
