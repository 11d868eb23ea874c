-- What the tables and views of the SQLite store are on an engine, in SQLite's SQL. The views that are
-- not here are those of clew/sessions/views.sql. The tables clew_... are described in schema.py.

CREATE VIEW current_batch AS
SELECT part, max(batch) AS batch
FROM clew_part
GROUP BY part;

CREATE VIEW part_trace AS
SELECT part, trace_id
FROM clew_part_trace
WHERE (part, batch) IN (SELECT part, batch FROM current_batch);

CREATE VIEW current_trace AS
SELECT day, trace_id, spans, checksum, rules
FROM (
    SELECT
        clew_trace.*,
        row_number() OVER (PARTITION BY day, trace_id ORDER BY made_ns DESC, spans DESC) AS place
    FROM clew_trace
) AS numbered
WHERE place = 1;

CREATE VIEW turn AS
SELECT clew_turn.*
FROM clew_turn
WHERE (part, batch) IN (SELECT part, batch FROM current_batch);

CREATE VIEW session AS
SELECT
    clew_session.*,
    coalesce(total_tokens, -1) AS tokens_order,
    coalesce(cost, -1.0) AS cost_order,
    coalesce(friction, -1.0) AS friction_order,
    coalesce(failure, -1.0) AS failure_order
FROM clew_session
WHERE (part, batch) IN (SELECT part, batch FROM current_batch);

CREATE VIEW session_value AS
SELECT kind, value, last_ns, session_id
FROM clew_session_value
WHERE (part, batch) IN (SELECT part, batch FROM current_batch);

CREATE VIEW user_session AS
SELECT
    user_id, session_id, first_ns, last_ns, turns, total_tokens, cost, errors, failed_turns, latency_ns
FROM clew_user_session
WHERE (part, batch) IN (SELECT part, batch FROM current_batch);

CREATE VIEW evaluation AS
SELECT
    id, session_id, trace_id, root_id, span_id, name, annotator_kind, identifier, score, label,
    explanation, metadata, made_ns, version, seen
FROM clew_evaluations
UNION ALL
SELECT
    id, session_id, trace_id, root_id, span_id, name, annotator_kind, identifier, score, label,
    explanation, metadata, made_ns, version, seen
FROM clew_carried
WHERE (part, batch) IN (SELECT part, batch FROM current_batch);

-- The evaluations of an identity are numbered by it, and the one at the first place counts.
CREATE VIEW ranked_evaluation AS
SELECT
    evaluation.*,
    (score IS NOT NULL OR label IS NOT NULL OR explanation IS NOT NULL) AS says,
    row_number() OVER (
        PARTITION BY
            session_id, coalesce(trace_id, ''), coalesce(root_id, ''), coalesce(span_id, ''), name,
            identifier
        ORDER BY seen DESC, made_ns DESC, id DESC
    ) AS place
FROM evaluation;

CREATE VIEW current_evaluation AS
SELECT
    id, session_id, trace_id, root_id, span_id, name, annotator_kind, identifier, score, label,
    explanation, metadata, made_ns, version, seen
FROM ranked_evaluation
WHERE place = 1 AND says;

CREATE VIEW turns AS
SELECT
    nullif(session_id, '') AS session_id,
    trace_id,
    root_id,
    user_id,
    start_ns,
    end_ns,
    (end_ns - start_ns) / 1e9 AS seconds,
    said,
    input,
    output,
    spans,
    model_calls,
    tool_calls,
    retrievals,
    prompt_tokens,
    completion_tokens,
    total_tokens,
    cached_tokens,
    reasoning_tokens,
    cost,
    first_token_ns / 1e9 AS first_token_seconds,
    errors,
    error,
    models,
    frameworks,
    tools,
    tags,
    metadata,
    friction,
    failure
FROM turn;

CREATE VIEW evaluation_history AS
SELECT
    id,
    nullif(session_id, '') AS session_id,
    trace_id,
    root_id,
    span_id,
    name,
    annotator_kind,
    identifier,
    score,
    label,
    explanation,
    metadata,
    made_ns,
    version,
    seen,
    place = 1 AND says AS is_current
FROM ranked_evaluation;
