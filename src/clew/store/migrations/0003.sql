-- What lists, the overview and the users are answered from quickly, however many sessions there are.

-- Which sessions are the worst: a greater number is worse. It counts which share of the turns failed,
-- among equals how many spans failed, and then how slow the session was. This is the only place that
-- says so. To judge by something else, a later form replaces this column and its index.
ALTER TABLE session ADD COLUMN trouble INTEGER GENERATED ALWAYS AS (
    min(1000, 1000 * failed_turns / max(turns, 1)) * 1000000000000      -- per mille of the turns
    + min(errors, 9999) * 100000000
    + max(0, min(latency_p95_ns / 1000000, 99999999))                   -- in milliseconds
) VIRTUAL;
CREATE INDEX session_by_trouble ON session (trouble);

-- What is unknown comes after what is known. Of an expression, SQLite does not find a pair of it and an
-- id in an index, but of a column it does, as where a page of a list begins.
ALTER TABLE session ADD COLUMN tokens_order INTEGER
    GENERATED ALWAYS AS (coalesce(total_tokens, -1)) VIRTUAL;
ALTER TABLE session ADD COLUMN cost_order REAL GENERATED ALWAYS AS (coalesce(cost, -1)) VIRTUAL;
DROP INDEX session_by_tokens;
DROP INDEX session_by_cost;
CREATE INDEX session_by_tokens ON session (tokens_order);
CREATE INDEX session_by_cost ON session (cost_order);

-- The view `turns` shows the session like this: as text, so that joins with `session` use the index.
CREATE INDEX turn_by_shown_session ON turn (CAST(nullif(session_id, '') AS TEXT), start_ns);

-- The metadata of turns that sessions are found by: of the kind `metadata:` with the name behind it.
INSERT OR IGNORE INTO session_value (kind, value, last_ns, session_id)
SELECT
    'metadata:' || pair.key,
    CASE pair.type WHEN 'true' THEN 'true' WHEN 'false' THEN 'false' ELSE pair.value END,
    session.last_ns,
    session.session_id
FROM turn
JOIN session USING (session_id)
JOIN json_each(CASE WHEN json_valid(turn.metadata) THEN turn.metadata ELSE '{}' END) AS pair
WHERE pair.type IN ('text', 'integer', 'real', 'true', 'false')
    AND length(pair.key) <= 100 AND length(pair.value) <= 200;

-- The sums of the sessions that began on a day (in UTC, counted since 1970): of all of them, and of
-- those of each model and framework. Triggers keep them, whoever writes.
CREATE TABLE session_day (
    kind TEXT NOT NULL,           -- all, model or framework
    day INTEGER NOT NULL,
    value TEXT NOT NULL,          -- the model or framework
    sessions INTEGER NOT NULL,
    failed_sessions INTEGER NOT NULL,
    turns INTEGER NOT NULL,
    failed_turns INTEGER NOT NULL,
    cost REAL NOT NULL,
    priced INTEGER NOT NULL,      -- sessions whose cost is known
    latency REAL NOT NULL,        -- the sum of the seconds that 95 % of the turns did not exceed
    PRIMARY KEY (kind, day, value)
) WITHOUT ROWID;

INSERT INTO session_day
SELECT
    part.kind, first_ns / 86400000000000 AS day, part.value, count(*), sum(errors > 0), sum(turns),
    sum(failed_turns), total(cost), sum(cost IS NOT NULL), total(latency_p95_ns / 1e9)
FROM session JOIN (
    SELECT session_id, 'all' AS kind, '' AS value FROM session
    UNION ALL
    SELECT session_id, kind, value FROM session_value WHERE kind IN ('model', 'framework')
) AS part USING (session_id)
GROUP BY part.kind, day, part.value;

CREATE TRIGGER session_is_added AFTER INSERT ON session BEGIN
    INSERT INTO session_day VALUES (
        'all', NEW.first_ns / 86400000000000, '',
        1, (NEW.errors > 0), NEW.turns, NEW.failed_turns,
        coalesce(NEW.cost, 0.0), (NEW.cost IS NOT NULL), NEW.latency_p95_ns / 1e9
    )
    ON CONFLICT DO UPDATE SET
        sessions = sessions + excluded.sessions,
        failed_sessions = failed_sessions + excluded.failed_sessions,
        turns = turns + excluded.turns,
        failed_turns = failed_turns + excluded.failed_turns,
        cost = cost + excluded.cost,
        priced = priced + excluded.priced,
        latency = latency + excluded.latency;
END;
CREATE TRIGGER session_value_is_added AFTER INSERT ON session_value
WHEN NEW.kind IN ('model', 'framework') BEGIN
    INSERT INTO session_day
    SELECT NEW.kind, first_ns / 86400000000000, NEW.value,
        1, (errors > 0), turns, failed_turns,
        coalesce(cost, 0.0), (cost IS NOT NULL), latency_p95_ns / 1e9
    FROM session WHERE session_id = NEW.session_id
    ON CONFLICT DO UPDATE SET
        sessions = sessions + excluded.sessions,
        failed_sessions = failed_sessions + excluded.failed_sessions,
        turns = turns + excluded.turns,
        failed_turns = failed_turns + excluded.failed_turns,
        cost = cost + excluded.cost,
        priced = priced + excluded.priced,
        latency = latency + excluded.latency;
END;
CREATE TRIGGER session_value_is_deleted BEFORE DELETE ON session_value
WHEN OLD.kind IN ('model', 'framework') BEGIN
    INSERT INTO session_day
    SELECT OLD.kind, first_ns / 86400000000000, OLD.value,
        -1, -(errors > 0), -turns, -failed_turns,
        -coalesce(cost, 0.0), -(cost IS NOT NULL), -latency_p95_ns / 1e9
    FROM session WHERE session_id = OLD.session_id
    ON CONFLICT DO UPDATE SET
        sessions = sessions + excluded.sessions,
        failed_sessions = failed_sessions + excluded.failed_sessions,
        turns = turns + excluded.turns,
        failed_turns = failed_turns + excluded.failed_turns,
        cost = cost + excluded.cost,
        priced = priced + excluded.priced,
        latency = latency + excluded.latency;
    DELETE FROM session_day
    WHERE kind = OLD.kind AND value = OLD.value AND sessions = 0 AND day = (
        SELECT first_ns / 86400000000000 FROM session WHERE session_id = OLD.session_id
    );
END;
CREATE TRIGGER session_is_deleted BEFORE DELETE ON session BEGIN
    -- While its figures are still there.
    DELETE FROM session_value WHERE session_id = OLD.session_id;
    INSERT INTO session_day VALUES (
        'all', OLD.first_ns / 86400000000000, '',
        -1, -(OLD.errors > 0), -OLD.turns, -OLD.failed_turns,
        -coalesce(OLD.cost, 0.0), -(OLD.cost IS NOT NULL), -OLD.latency_p95_ns / 1e9
    )
    ON CONFLICT DO UPDATE SET
        sessions = sessions + excluded.sessions,
        failed_sessions = failed_sessions + excluded.failed_sessions,
        turns = turns + excluded.turns,
        failed_turns = failed_turns + excluded.failed_turns,
        cost = cost + excluded.cost,
        priced = priced + excluded.priced,
        latency = latency + excluded.latency;
    DELETE FROM session_day
    WHERE kind = 'all' AND day = OLD.first_ns / 86400000000000 AND value = '' AND sessions = 0;
END;

-- The sums of each user's sessions, kept likewise, and what the page of users sorts by.
CREATE TABLE user_total (
    user_id TEXT PRIMARY KEY,
    sessions INTEGER NOT NULL,
    turns INTEGER NOT NULL,
    last_ns INTEGER NOT NULL,
    total_tokens INTEGER NOT NULL,
    counted INTEGER NOT NULL,     -- sessions whose tokens are known
    cost REAL NOT NULL,
    priced INTEGER NOT NULL,      -- sessions whose cost is known
    errors INTEGER NOT NULL,
    failed_turns INTEGER NOT NULL,
    latency REAL NOT NULL         -- the sum of the seconds that the turns took
) WITHOUT ROWID;
CREATE TABLE user_day (           -- how many of a user's sessions began on each day
    day INTEGER NOT NULL,
    user_id TEXT NOT NULL,
    sessions INTEGER NOT NULL,
    PRIMARY KEY (day, user_id)
) WITHOUT ROWID;
CREATE INDEX user_session_by_last ON user_session (user_id, last_ns);
CREATE INDEX user_session_by_trouble
    ON user_session (user_id, failed_turns, errors, latency_ns / max(turns, 1));

INSERT INTO user_total
SELECT
    user_id, count(*), sum(turns), max(last_ns), total(total_tokens),
    sum(total_tokens IS NOT NULL), total(cost), sum(cost IS NOT NULL), sum(errors),
    sum(failed_turns), total(latency_ns / 1e9)
FROM user_session GROUP BY user_id;
INSERT INTO user_day
SELECT first_ns / 86400000000000 AS day, user_id, count(*) FROM user_session GROUP BY day, user_id;

CREATE TRIGGER user_session_is_added AFTER INSERT ON user_session BEGIN
    INSERT INTO user_total VALUES (
        NEW.user_id, 1, NEW.turns, NEW.last_ns, coalesce(NEW.total_tokens, 0),
        NEW.total_tokens IS NOT NULL, coalesce(NEW.cost, 0.0), NEW.cost IS NOT NULL, NEW.errors,
        NEW.failed_turns, NEW.latency_ns / 1e9
    )
    ON CONFLICT DO UPDATE SET
        sessions = sessions + excluded.sessions,
        turns = turns + excluded.turns,
        last_ns = max(last_ns, excluded.last_ns),
        total_tokens = total_tokens + excluded.total_tokens,
        counted = counted + excluded.counted,
        cost = cost + excluded.cost,
        priced = priced + excluded.priced,
        errors = errors + excluded.errors,
        failed_turns = failed_turns + excluded.failed_turns,
        latency = latency + excluded.latency;
    INSERT INTO user_day VALUES (NEW.first_ns / 86400000000000, NEW.user_id, 1)
    ON CONFLICT DO UPDATE SET sessions = sessions + 1;
END;
CREATE TRIGGER user_session_is_deleted AFTER DELETE ON user_session BEGIN
    UPDATE user_total SET
        sessions = sessions - 1,
        turns = turns - OLD.turns,
        last_ns = coalesce(
            (SELECT max(last_ns) FROM user_session WHERE user_id = OLD.user_id), 0
        ),
        total_tokens = total_tokens - coalesce(OLD.total_tokens, 0),
        counted = counted - (OLD.total_tokens IS NOT NULL),
        cost = cost - coalesce(OLD.cost, 0.0),
        priced = priced - (OLD.cost IS NOT NULL),
        errors = errors - OLD.errors,
        failed_turns = failed_turns - OLD.failed_turns,
        latency = latency - OLD.latency_ns / 1e9
    WHERE user_id = OLD.user_id;
    DELETE FROM user_total WHERE user_id = OLD.user_id AND sessions = 0;
    UPDATE user_day SET sessions = sessions - 1
    WHERE day = OLD.first_ns / 86400000000000 AND user_id = OLD.user_id;
    DELETE FROM user_day
    WHERE day = OLD.first_ns / 86400000000000 AND user_id = OLD.user_id AND sessions = 0;
END;

CREATE INDEX user_total_by_last ON user_total (last_ns);
CREATE INDEX user_total_by_sessions ON user_total (sessions);
CREATE INDEX user_total_by_turns ON user_total (turns);
CREATE INDEX user_total_by_cost ON user_total (iif(priced, cost, -1));
CREATE INDEX user_total_by_failed ON user_total (failed_turns);
CREATE INDEX user_total_by_latency ON user_total (latency / max(turns, 1));
