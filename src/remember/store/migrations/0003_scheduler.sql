-- What the scheduler needs to go on after a restart, and what it leaves for people to read.

-- Failures and interruptions since a person last let the task run; the wait after a failure, and what failed.
ALTER TABLE task ADD COLUMN failures      INTEGER NOT NULL DEFAULT 0;
ALTER TABLE task ADD COLUMN interruptions INTEGER NOT NULL DEFAULT 0;
ALTER TABLE task ADD COLUMN retry_at      INTEGER;
ALTER TABLE task ADD COLUMN retry_why     TEXT;
-- How often a person let it run again after it was over.
ALTER TABLE task ADD COLUMN reopened      INTEGER NOT NULL DEFAULT 0;
-- An estimate, made when the task was accepted; none when nothing can be said.
ALTER TABLE task ADD COLUMN input_tokens  INTEGER;

-- The GPU that an attempt ran on, as `host/gpu`, and whether it had it for itself.
ALTER TABLE attempt ADD COLUMN gpu       TEXT;
ALTER TABLE attempt ADD COLUMN exclusive INTEGER NOT NULL DEFAULT 0 CHECK (exclusive IN (0, 1));

-- Other programs that hold a GPU or wait for one.
CREATE TABLE lease (
    id         TEXT    PRIMARY KEY,
    gpus       TEXT    NOT NULL,
    holder     TEXT    NOT NULL,
    purpose    TEXT    NOT NULL,
    exclusive  INTEGER NOT NULL CHECK (exclusive IN (0, 1)),
    vram_gb    REAL,
    force      INTEGER NOT NULL CHECK (force IN (0, 1)),
    priority   INTEGER NOT NULL,
    ttl_ms     INTEGER NOT NULL CHECK (ttl_ms >= 0),
    actor      TEXT    NOT NULL,
    state      TEXT    NOT NULL CHECK (state IN ('waiting', 'held', 'released', 'expired')),
    asked_at   INTEGER NOT NULL,
    granted_at INTEGER,
    ended_at   INTEGER,
    CHECK ((state IN ('released', 'expired')) = (ended_at IS NOT NULL))
) STRICT;
CREATE INDEX lease_open ON lease (asked_at) WHERE state IN ('waiting', 'held');
