-- The first form of the store. A later form is a file of its own, with the next number.

-- What spans come from, once for all spans of it.
CREATE TABLE resource (id INTEGER PRIMARY KEY, content TEXT NOT NULL UNIQUE);
CREATE TABLE scope (id INTEGER PRIMARY KEY, content TEXT NOT NULL UNIQUE);

-- A span. Its attributes stand either in a column of their own or in `attributes`, never in both.
-- The ids grow in the order in which the spans became visible: SQLite has one writer at a time.
CREATE TABLE span (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    trace_id BLOB NOT NULL,
    span_id BLOB NOT NULL,
    parent_id BLOB,
    session_id TEXT,
    user_id TEXT,
    name TEXT NOT NULL,
    kind INTEGER NOT NULL,
    start_ns INTEGER NOT NULL,
    end_ns INTEGER NOT NULL,
    status INTEGER NOT NULL,
    status_message TEXT,
    flags INTEGER NOT NULL,
    openinference_kind TEXT,
    model TEXT,
    provider TEXT,
    prompt_tokens INTEGER,
    completion_tokens INTEGER,
    total_tokens INTEGER,
    cached_tokens INTEGER,
    reasoning_tokens INTEGER,
    cost REAL,
    resource_id INTEGER NOT NULL,
    scope_id INTEGER NOT NULL,
    attributes NOT NULL,  -- JSON as text, or compressed with zlib where that is long
    details               -- JSON: events, links, trace state, numbers of what was dropped; NULL if there is none
);
CREATE UNIQUE INDEX span_by_ids ON span (trace_id, span_id);
CREATE INDEX span_by_session ON span (session_id, start_ns) WHERE session_id IS NOT NULL;
CREATE INDEX span_by_user ON span (user_id) WHERE user_id IS NOT NULL;

-- What the spans say, brought up to date from the spans whose ids are greater than `summarised`.
CREATE TABLE turn (
    id INTEGER PRIMARY KEY,
    session_id TEXT NOT NULL,
    trace_id BLOB NOT NULL,
    root_id BLOB NOT NULL,
    user_id TEXT,
    start_ns INTEGER NOT NULL,
    end_ns INTEGER NOT NULL,
    said INTEGER NOT NULL,     -- 1: something was said; 0: spans of a session, but no words
    spans INTEGER NOT NULL,
    model_calls INTEGER NOT NULL,
    tool_calls INTEGER NOT NULL,
    retrievals INTEGER NOT NULL,
    prompt_tokens INTEGER,
    completion_tokens INTEGER,
    total_tokens INTEGER,
    cached_tokens INTEGER,
    reasoning_tokens INTEGER,
    cost REAL,
    first_token_ns INTEGER,
    errors INTEGER NOT NULL,
    error TEXT,
    models TEXT NOT NULL,      -- this and the following: JSON lists of names
    frameworks TEXT NOT NULL,
    tools TEXT NOT NULL,
    tags TEXT NOT NULL,
    metadata TEXT NOT NULL,    -- a JSON object
    input TEXT NOT NULL,       -- what is long is at the end, so that SQLite need not read over it
    output TEXT NOT NULL
);
CREATE UNIQUE INDEX turn_by_trace ON turn (trace_id, session_id, start_ns, root_id);
CREATE INDEX turn_by_session ON turn (session_id, start_ns);
CREATE INDEX turn_by_user ON turn (user_id, start_ns) WHERE user_id IS NOT NULL;
CREATE INDEX turn_by_time ON turn (start_ns);
CREATE INDEX turn_by_error ON turn (error, session_id, start_ns, errors) WHERE errors > 0;

CREATE TABLE session (
    session_id TEXT PRIMARY KEY,
    user_id TEXT,              -- of its last turn that has one
    users INTEGER NOT NULL,
    first_ns INTEGER NOT NULL,
    last_ns INTEGER NOT NULL,
    duration_ns INTEGER NOT NULL,
    think_ns INTEGER NOT NULL,
    turns INTEGER NOT NULL,
    spans INTEGER NOT NULL,
    model_calls INTEGER NOT NULL,
    tool_calls INTEGER NOT NULL,
    retrievals INTEGER NOT NULL,
    prompt_tokens INTEGER,
    completion_tokens INTEGER,
    total_tokens INTEGER,
    cached_tokens INTEGER,
    reasoning_tokens INTEGER,
    cost REAL,
    errors INTEGER NOT NULL,
    failed_turns INTEGER NOT NULL,
    latency_p50_ns INTEGER NOT NULL,
    latency_p95_ns INTEGER NOT NULL,
    first_token_p50_ns INTEGER,
    first_message TEXT NOT NULL,
    last_message TEXT NOT NULL,
    models TEXT NOT NULL,
    frameworks TEXT NOT NULL,
    tools TEXT NOT NULL
) WITHOUT ROWID;
-- Each order ends with the session's id, the primary key. What is unknown comes after what is known.
CREATE INDEX session_by_last ON session (last_ns);
CREATE INDEX session_by_first ON session (first_ns);
CREATE INDEX session_by_turns ON session (turns);
CREATE INDEX session_by_duration ON session (duration_ns);
CREATE INDEX session_by_tokens ON session (coalesce(total_tokens, -1));
CREATE INDEX session_by_cost ON session (coalesce(cost, -1));
CREATE INDEX session_by_errors ON session (errors);
CREATE INDEX session_by_latency ON session (latency_p95_ns);

-- Traces in which nothing was said, called or went wrong. They have no turn, and get old, too.
CREATE TABLE silent_trace (trace_id BLOB PRIMARY KEY, end_ns INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX silent_trace_by_end ON silent_trace (end_ns);

-- What sessions are found by: the users, models, frameworks, tools and tags in each.
CREATE TABLE session_value (
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    last_ns INTEGER NOT NULL,
    session_id TEXT NOT NULL,
    PRIMARY KEY (kind, value, last_ns, session_id)
) WITHOUT ROWID;
CREATE INDEX session_value_by_session ON session_value (session_id);

-- The figures of each user in each session.
CREATE TABLE user_session (
    user_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    first_ns INTEGER NOT NULL,
    last_ns INTEGER NOT NULL,
    turns INTEGER NOT NULL,
    total_tokens INTEGER,
    cost REAL,
    errors INTEGER NOT NULL,
    failed_turns INTEGER NOT NULL,
    latency_ns INTEGER NOT NULL,  -- the sum over its turns
    PRIMARY KEY (user_id, session_id)
) WITHOUT ROWID;
CREATE INDEX user_session_by_session ON user_session (session_id);

CREATE VIRTUAL TABLE turn_text USING fts5 (
    input, output, content='turn', content_rowid='id', tokenize='unicode61 remove_diacritics 2'
);

-- Up to which span the summaries are made and the attributes are compressed, and the release of the
-- rules that the summaries were made by. The identity tells this store from another one that is made
-- later at the same place.
CREATE TABLE progress (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO progress VALUES ('summarised', 0), ('compacted', 0), ('rules', 0), ('identity', random());
