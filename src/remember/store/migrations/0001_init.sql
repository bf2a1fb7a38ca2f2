-- The first schema. Times are nanoseconds since 1970 (UTC); whole rows that nothing filters by are JSON.
-- A list is ordered by `seq`, the order of acceptance, which is also its cursor.

-- What is in force.
CREATE TABLE applied (
    one        INTEGER PRIMARY KEY CHECK (one = 1),
    revision   TEXT    NOT NULL,
    applied_at INTEGER NOT NULL
) STRICT;

CREATE TABLE object (
    key        TEXT    PRIMARY KEY,
    path       TEXT    NOT NULL,
    line       INTEGER NOT NULL,
    text       TEXT    NOT NULL,
    digest     TEXT    NOT NULL,
    generation INTEGER NOT NULL,
    asked_by   TEXT,
    revision   TEXT,
    standing   TEXT    NOT NULL
) STRICT;

-- Last rows of objects that are gone from Git while something they made in the world is not.
CREATE TABLE graveyard (
    key        TEXT    PRIMARY KEY,
    path       TEXT    NOT NULL,
    line       INTEGER NOT NULL,
    text       TEXT    NOT NULL,
    digest     TEXT    NOT NULL,
    generation INTEGER NOT NULL,
    asked_by   TEXT,
    revision   TEXT,
    standing   TEXT    NOT NULL
) STRICT;

CREATE TABLE inventory (
    object         TEXT    NOT NULL,
    target         TEXT    NOT NULL,
    since          INTEGER NOT NULL,
    prunes         INTEGER NOT NULL CHECK (prunes IN (0, 1)),
    deleting_since INTEGER,
    deadline       INTEGER,
    PRIMARY KEY (object, target)
) STRICT, WITHOUT ROWID;

-- What was done. `turn` counts the actions of one (object, verb, target) from 0; the id is made of all four.
CREATE TABLE journal (
    seq         INTEGER PRIMARY KEY,
    id          TEXT    NOT NULL UNIQUE,
    object      TEXT    NOT NULL,
    verb        TEXT    NOT NULL,
    target      TEXT    NOT NULL,
    turn        INTEGER NOT NULL,
    reason      TEXT    NOT NULL,
    revision    TEXT,
    started_at  INTEGER NOT NULL,
    state       TEXT    NOT NULL CHECK (state IN ('open', 'done', 'failed', 'abandoned')),
    finished_at INTEGER,
    result      TEXT,
    runtime     TEXT,
    served_as   TEXT,
    CHECK ((state = 'open') = (finished_at IS NULL))
) STRICT;
CREATE UNIQUE INDEX journal_turn ON journal (object, verb, target, turn);
CREATE UNIQUE INDEX journal_one_open ON journal (object, verb, target) WHERE state = 'open';
CREATE INDEX journal_open ON journal (seq) WHERE state = 'open';
CREATE INDEX journal_load ON journal (runtime, served_as, seq) WHERE verb = 'load' AND state = 'done';

-- `cause` names the mutation that an entry tells of, where the store itself knows it: at most one entry a cause.
CREATE TABLE audit (
    seq      INTEGER PRIMARY KEY AUTOINCREMENT,
    at       INTEGER NOT NULL,
    actor    TEXT    NOT NULL,
    verb     TEXT    NOT NULL,
    object   TEXT    NOT NULL,
    reason   TEXT    NOT NULL,
    result   TEXT    NOT NULL,
    before   TEXT,
    after    TEXT,
    revision TEXT,
    cause    TEXT    UNIQUE
) STRICT;
CREATE INDEX audit_object ON audit (object, seq);
CREATE INDEX audit_actor ON audit (actor, seq);
CREATE INDEX audit_verb ON audit (verb, seq);

CREATE TABLE history (
    key  TEXT PRIMARY KEY,
    json TEXT NOT NULL
) STRICT;

CREATE TABLE observation (
    runtime TEXT PRIMARY KEY,
    json    TEXT NOT NULL
) STRICT;

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

-- Work.
CREATE TABLE task (
    seq             INTEGER PRIMARY KEY,
    id              TEXT    NOT NULL UNIQUE,
    idempotency_key TEXT    UNIQUE,
    spec            TEXT    NOT NULL,
    object          TEXT,
    revision        TEXT,
    actor           TEXT    NOT NULL,
    state           TEXT    NOT NULL
        CHECK (state IN ('queued', 'blocked', 'running', 'done', 'error', 'cancelled')),
    runtime         TEXT,
    model           TEXT,
    why             TEXT,
    error           TEXT,
    attempts        INTEGER NOT NULL,
    policy          TEXT    NOT NULL,
    created_at      INTEGER NOT NULL,
    started_at      INTEGER,
    finished_at     INTEGER
) STRICT;
CREATE INDEX task_state ON task (state, seq);
CREATE INDEX task_runtime ON task (runtime, seq);
CREATE INDEX task_object ON task (object, seq);
CREATE INDEX task_unfinished ON task (seq) WHERE state IN ('queued', 'blocked', 'running');

CREATE TABLE task_tag (
    tag TEXT    NOT NULL,
    seq INTEGER NOT NULL REFERENCES task (seq) ON DELETE CASCADE,
    PRIMARY KEY (tag, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX task_tag_of ON task_tag (seq);

CREATE TABLE task_capability (
    capability TEXT    NOT NULL,
    seq        INTEGER NOT NULL REFERENCES task (seq) ON DELETE CASCADE,
    PRIMARY KEY (capability, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX task_capability_of ON task_capability (seq);

-- How many tasks are in each state, kept so that nobody has to count them.
CREATE TABLE task_count (
    state TEXT    PRIMARY KEY,
    n     INTEGER NOT NULL CHECK (n >= 0)
) STRICT;
INSERT INTO task_count (state, n)
VALUES ('queued', 0), ('blocked', 0), ('running', 0), ('done', 0), ('error', 0), ('cancelled', 0);
CREATE TRIGGER task_counted AFTER INSERT ON task BEGIN
    UPDATE task_count SET n = n + 1 WHERE state = new.state;
END;
CREATE TRIGGER task_recounted AFTER UPDATE OF state ON task WHEN old.state <> new.state BEGIN
    UPDATE task_count SET n = n - 1 WHERE state = old.state;
    UPDATE task_count SET n = n + 1 WHERE state = new.state;
END;
CREATE TRIGGER task_uncounted AFTER DELETE ON task BEGIN
    UPDATE task_count SET n = n - 1 WHERE state = old.state;
END;

CREATE TABLE attempt (
    task        TEXT    NOT NULL REFERENCES task (id) ON DELETE CASCADE,
    number      INTEGER NOT NULL CHECK (number >= 1),
    runtime     TEXT,
    model       TEXT,
    started_at  INTEGER NOT NULL,
    finished_at INTEGER,
    state       TEXT    NOT NULL CHECK (state IN ('running', 'done', 'error', 'cancelled', 'interrupted')),
    log         TEXT    NOT NULL,
    error       TEXT,
    PRIMARY KEY (task, number),
    CHECK ((state = 'running') = (finished_at IS NULL))
) STRICT, WITHOUT ROWID;

-- Artifacts, each path once. Their tasks may be gone or unknown: the vault can be read back from disk alone.
CREATE TABLE artifact (
    seq        INTEGER PRIMARY KEY,
    path       TEXT    NOT NULL UNIQUE,
    sha256     TEXT    NOT NULL,
    bytes      INTEGER NOT NULL,
    kind       TEXT    NOT NULL,
    task       TEXT    NOT NULL,
    capability TEXT,
    model      TEXT,
    created_at INTEGER NOT NULL,
    lineage    TEXT    NOT NULL
) STRICT;
CREATE INDEX artifact_sha256 ON artifact (sha256, seq);
CREATE INDEX artifact_task ON artifact (task, seq);
CREATE INDEX artifact_capability ON artifact (capability, seq);
CREATE INDEX artifact_model ON artifact (model, seq);
CREATE INDEX artifact_kind ON artifact (kind, seq);

CREATE TABLE artifact_tag (
    tag TEXT    NOT NULL,
    seq INTEGER NOT NULL REFERENCES artifact (seq) ON DELETE CASCADE,
    PRIMARY KEY (tag, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX artifact_tag_of ON artifact_tag (seq);

-- Words to search artifacts by; the row id is the artifact's `seq`.
CREATE VIRTUAL TABLE artifact_words USING fts5 (
    path, task, capability, model, tags, prompt,
    content = '', contentless_delete = 1
);
