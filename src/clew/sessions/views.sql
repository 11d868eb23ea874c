-- The views that questions are asked of. Their columns are documented in docs/sessions.md, and do not
-- change their meaning. Times are nanoseconds since 1970, ids of traces and spans are hexadecimal.

CREATE TEMP VIEW spans AS
SELECT
    lower(hex(trace_id)) AS trace_id,
    lower(hex(span_id)) AS span_id,
    nullif(lower(hex(parent_id)), '') AS parent_id,
    session_id,
    user_id,
    name,
    openinference_kind AS kind,
    start_ns,
    end_ns,
    (end_ns - start_ns) / 1e9 AS seconds,
    CASE status WHEN 1 THEN 'OK' WHEN 2 THEN 'ERROR' ELSE 'UNSET' END AS status,
    status_message,
    model,
    provider,
    prompt_tokens,
    completion_tokens,
    total_tokens,
    cached_tokens,
    reasoning_tokens,
    cost,
    json_extract(resource.content, '$.attributes."service.name"') AS service,
    json_extract(scope.content, '$.name') AS scope,
    clew_attributes(
        span.attributes,
        session_id,
        user_id,
        openinference_kind,
        model,
        provider,
        prompt_tokens,
        completion_tokens,
        total_tokens,
        cached_tokens,
        reasoning_tokens,
        cost
    ) AS attributes
FROM span
JOIN resource ON resource.id = span.resource_id
JOIN scope ON scope.id = span.scope_id;

CREATE TEMP VIEW turns AS
SELECT
    CAST(nullif(turn.session_id, '') AS TEXT) AS session_id,  -- As in an index.
    lower(hex(turn.trace_id)) AS trace_id,
    lower(hex(turn.root_id)) AS root_id,
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
    -- Asked for only where these are wanted.
    (
        SELECT score.friction FROM turn_score AS score
        WHERE (score.session_id, score.trace_id, score.root_id)
            = (turn.session_id, turn.trace_id, turn.root_id)
    ) AS friction,
    (
        SELECT score.failure FROM turn_score AS score
        WHERE (score.session_id, score.trace_id, score.root_id)
            = (turn.session_id, turn.trace_id, turn.root_id)
    ) AS failure
FROM turn;

CREATE TEMP VIEW sessions AS
SELECT
    session_id,
    user_id,
    users,
    first_ns,
    last_ns,
    duration_ns / 1e9 AS seconds,
    think_ns / 1e9 AS think_seconds,
    turns,
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
    errors,
    failed_turns,
    latency_p50_ns / 1e9 AS latency_p50,
    latency_p95_ns / 1e9 AS latency_p95,
    first_token_p50_ns / 1e9 AS first_token_p50,
    first_message,
    last_message,
    models,
    frameworks,
    tools,
    friction,
    failure,
    first_bad_turn,
    worst_turn
FROM session;

CREATE TEMP VIEW user_sessions AS
SELECT
    user_id,
    session_id,
    first_ns,
    last_ns,
    turns,
    total_tokens,
    cost,
    errors,
    failed_turns,
    latency_ns / 1e9 AS latency_seconds
FROM user_session;

CREATE TEMP VIEW evaluation_history AS
SELECT
    id,
    nullif(session_id, '') AS session_id,
    nullif(lower(hex(trace_id)), '') AS trace_id,
    nullif(lower(hex(root_id)), '') AS root_id,
    nullif(lower(hex(span_id)), '') AS span_id,
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
    id IN (
        SELECT current.id FROM current_evaluation AS current WHERE current.id = evaluation.id
    ) AS is_current
FROM evaluation;

CREATE TEMP VIEW evaluations AS
SELECT
    id,
    nullif(session_id, '') AS session_id,
    nullif(lower(hex(trace_id)), '') AS trace_id,
    nullif(lower(hex(root_id)), '') AS root_id,
    nullif(lower(hex(span_id)), '') AS span_id,
    name,
    annotator_kind,
    identifier,
    score,
    label,
    explanation,
    metadata,
    made_ns,
    version,
    seen
FROM current_evaluation;
