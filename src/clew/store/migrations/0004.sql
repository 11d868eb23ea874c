-- Which turns are bad, found by the signals of clew.sessions; and evaluations that know how far the
-- conversation had gone.

-- How far its spans go: the greatest `span.id` in its traces. What was said about a session is stale
-- if whoever said it had not seen that one.
ALTER TABLE session ADD COLUMN last_span INTEGER NOT NULL DEFAULT 0;
UPDATE session SET last_span = coalesce((
    SELECT max(span.id) FROM turn JOIN span USING (trace_id) WHERE turn.session_id = session.session_id
), 0);

-- A row of `session` is made anew whenever its turns change, and is not scored then: NULL, never the
-- figure of an earlier state.
ALTER TABLE session ADD COLUMN scored INTEGER NOT NULL DEFAULT 0;
ALTER TABLE session ADD COLUMN friction REAL;
ALTER TABLE session ADD COLUMN failure REAL;
ALTER TABLE session ADD COLUMN first_bad_turn INTEGER;  -- its number, from 1; NULL if none is bad
ALTER TABLE session ADD COLUMN first_bad TEXT;          -- more about it: a JSON object
ALTER TABLE session ADD COLUMN worst_turn INTEGER;
ALTER TABLE session ADD COLUMN worst TEXT;
CREATE INDEX session_not_scored ON session (last_ns) WHERE scored = 0;

-- What is unknown comes after what is known.
ALTER TABLE session ADD COLUMN friction_order REAL GENERATED ALWAYS AS (coalesce(friction, -1)) VIRTUAL;
ALTER TABLE session ADD COLUMN failure_order REAL GENERATED ALWAYS AS (coalesce(failure, -1)) VIRTUAL;
CREATE INDEX session_by_friction ON session (friction_order);
CREATE INDEX session_by_failure ON session (failure_order);

-- Which sessions are the worst: a greater number is worse. It counts how bad the worst turn is, by
-- friction or failure, among equals which share of the turns failed, then how many spans failed, and
-- then how slow the session was. This is the only place that says so.
DROP INDEX session_by_trouble;
ALTER TABLE session DROP COLUMN trouble;
ALTER TABLE session ADD COLUMN worst_order INTEGER GENERATED ALWAYS AS (
    CAST(round(1000 * max(coalesce(friction, 0), coalesce(failure, 0))) AS INTEGER) * 1000000000000000
    + min(999, 1000 * failed_turns / max(turns, 1)) * 1000000000000
    + min(errors, 9999) * 100000000
    + max(0, min(latency_p95_ns / 1000000, 99999999))
) VIRTUAL;
CREATE INDEX session_by_worst ON session (worst_order);

-- What the signals say about each turn.
CREATE TABLE turn_score (
    session_id TEXT NOT NULL,
    trace_id BLOB NOT NULL,
    root_id BLOB NOT NULL,
    friction REAL NOT NULL,
    failure REAL NOT NULL,
    findings TEXT NOT NULL,     -- a JSON list of objects: name, score, span, words
    PRIMARY KEY (session_id, trace_id, root_id)
) WITHOUT ROWID;
INSERT INTO progress VALUES ('signals', 0);

-- Which version of an evaluator said it, and how far the spans had been stored that it had seen.
ALTER TABLE evaluation ADD COLUMN version TEXT NOT NULL DEFAULT '';
ALTER TABLE evaluation ADD COLUMN seen INTEGER NOT NULL DEFAULT 0;

-- Which span brought it (its trace, itself, and where in it); NULL if it was added to the store directly.
ALTER TABLE evaluation ADD COLUMN carrier BLOB;
CREATE UNIQUE INDEX evaluation_by_carrier ON evaluation (carrier) WHERE carrier IS NOT NULL;

-- The evaluations that count: of an identity, the one that had seen most, and of those the last one.
DROP VIEW current_evaluation;
CREATE VIEW current_evaluation AS
SELECT * FROM evaluation
WHERE NOT EXISTS (
    SELECT 1 FROM evaluation AS newer
    WHERE newer.session_id = evaluation.session_id
        AND newer.trace_id IS evaluation.trace_id
        AND newer.root_id IS evaluation.root_id
        AND newer.span_id IS evaluation.span_id
        AND newer.name = evaluation.name
        AND newer.identifier = evaluation.identifier
        AND (newer.seen > evaluation.seen OR newer.seen = evaluation.seen AND newer.id > evaluation.id)
)
AND (score IS NOT NULL OR label IS NOT NULL OR explanation IS NOT NULL);

-- Evaluators that failed: no verdict. Deleted when there is one.
CREATE TABLE evaluation_error (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    session_id TEXT NOT NULL,
    trace_id BLOB NOT NULL,     -- this and the following two: X'' where the target is a greater one
    root_id BLOB NOT NULL,
    span_id BLOB NOT NULL,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    seen INTEGER NOT NULL,
    error TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    made_ns INTEGER NOT NULL,
    UNIQUE (session_id, trace_id, root_id, span_id, name)
);

-- Who evaluates a session just now, and until when it is theirs.
CREATE TABLE evaluation_claim (
    session_id TEXT NOT NULL,
    name TEXT NOT NULL,
    owner TEXT NOT NULL,
    until_ns INTEGER NOT NULL,
    PRIMARY KEY (session_id, name)
) WITHOUT ROWID;
