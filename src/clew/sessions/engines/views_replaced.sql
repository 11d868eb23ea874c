-- Where a part is replaced whenever it is made anew, as in DuckDB, all of its rows are of one batch, and
-- the views of views.sql need not look for it.

CREATE VIEW part_trace AS
SELECT part, trace_id
FROM clew_part_trace;

CREATE VIEW turn AS
SELECT clew_turn.*
FROM clew_turn;

CREATE VIEW session AS
SELECT
    clew_session.*,
    coalesce(total_tokens, -1) AS tokens_order,
    coalesce(cost, -1.0) AS cost_order,
    coalesce(friction, -1.0) AS friction_order,
    coalesce(failure, -1.0) AS failure_order
FROM clew_session;

CREATE VIEW session_value AS
SELECT kind, value, last_ns, session_id
FROM clew_session_value;

CREATE VIEW user_session AS
SELECT
    user_id, session_id, first_ns, last_ns, turns, total_tokens, cost, errors, failed_turns, latency_ns
FROM clew_user_session;
