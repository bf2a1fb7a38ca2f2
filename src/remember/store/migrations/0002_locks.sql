-- Who held which GPU when: the past of the timeline. `kind` says in which way; an open span has no end.
CREATE TABLE lock_span (
    seq    INTEGER PRIMARY KEY,
    host   TEXT    NOT NULL,
    gpu    TEXT    NOT NULL,
    kind   TEXT    NOT NULL CHECK (kind IN ('shared', 'draining', 'exclusive', 'lease')),
    holder TEXT    NOT NULL,
    what   TEXT    NOT NULL,
    since  INTEGER NOT NULL,
    until  INTEGER,
    CHECK (until IS NULL OR until >= since)
) STRICT;
CREATE UNIQUE INDEX lock_span_open ON lock_span (host, gpu, kind, holder) WHERE until IS NULL;
CREATE INDEX lock_span_ended ON lock_span (until) WHERE until IS NOT NULL;
CREATE INDEX lock_span_gpu_ended ON lock_span (host, gpu, until) WHERE until IS NOT NULL;
CREATE INDEX lock_span_gpu ON lock_span (host, gpu, seq);
CREATE INDEX lock_span_kind ON lock_span (kind, seq);
