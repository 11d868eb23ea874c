-- Evaluations: what a person, a model or a program says about a session, a turn, a trace or a span.
-- Rows are only added. Of an identity, which is the target, the name and the identifier, the row that
-- was added last counts; if it has neither score, label nor explanation, what was said is withdrawn.
CREATE TABLE evaluation (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    session_id TEXT NOT NULL,      -- '' outside of any session
    trace_id BLOB,                 -- this and the following two: NULL where the target is a greater one
    root_id BLOB,                  -- with the trace, a turn
    span_id BLOB,
    name TEXT NOT NULL,
    annotator_kind TEXT NOT NULL,  -- HUMAN, LLM, CODE, or one's own
    identifier TEXT NOT NULL,      -- who, or which version of an evaluator; '' if there is none
    score REAL,
    label TEXT,
    explanation TEXT,
    metadata TEXT NOT NULL,        -- a JSON object
    made_ns INTEGER NOT NULL
);
CREATE INDEX evaluation_by_target ON evaluation (session_id, trace_id, root_id, span_id, name, identifier);
CREATE INDEX evaluation_by_trace ON evaluation (trace_id) WHERE trace_id IS NOT NULL;
CREATE INDEX evaluation_by_name ON evaluation (name, made_ns);
CREATE INDEX evaluation_by_time ON evaluation (made_ns);
CREATE INDEX evaluation_by_identifier ON evaluation (identifier) WHERE identifier <> '';
CREATE INDEX evaluation_by_person ON evaluation (session_id) WHERE annotator_kind = 'HUMAN';

-- The evaluations that count.
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
        AND newer.id > evaluation.id
)
AND (score IS NOT NULL OR label IS NOT NULL OR explanation IS NOT NULL);
