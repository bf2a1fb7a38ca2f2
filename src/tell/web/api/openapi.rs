//! The description of `/api/v1` in OpenAPI 3.1: which paths there are, what they take, and what they answer.
//!
//! The keys of answers are described where scripts depend on them; a test compares them with what is really answered.

use serde_json::{Map, Value, json};

use crate::core::Kind;
use crate::remember::store::row::{LockKind, TaskState};

use super::drift::SYNC_WORDS;
use super::list::{LIMIT_DEFAULT, LIMIT_MAX};
use super::lock::STATES;

/// A path: what it answers, whether that is a list, and its parameters.
struct Path {
    path: &'static str,
    summary: &'static str,
    keys: &'static [&'static str],
    list: bool,
    query: &'static [&'static str],
}

const PATHS: [Path; 14] = [
    Path {
        path: "/api/v1/status",
        summary: "One screen: revision, source, objects, runtimes, tasks, what needs attention first.",
        keys: &[
            "revision",
            "commit",
            "applied_at",
            "generated_at",
            "source",
            "objects",
            "runtimes",
            "hosts",
            "gpus",
            "tasks",
            "attention",
            "locks",
            "eta_coverage",
            "incidents",
            "store_problem",
        ],
        list: false,
        query: &[],
    },
    Path {
        path: "/api/v1/resources",
        summary: "GPU, CPU and memory as measured; null where nothing fresh is known.",
        keys: &["gpu", "gpus", "cpu", "ram_gb", "hosts", "locks", "observed_at"],
        list: false,
        query: &["gpu"],
    },
    Path {
        path: "/api/v1/runtimes",
        summary: "Runtimes as last seen, by name.",
        keys: &[
            "name",
            "adapter",
            "health",
            "link",
            "reason",
            "observed_at",
            "source",
            "reading",
            "problem",
            "host",
            "gpu",
            "endpoint",
            "capabilities",
            "version",
            "in_flight",
            "queued",
            "works",
            "models",
            "last_seen",
            "failures",
            "breaker",
            "breaker_since",
            "next_try_at",
        ],
        list: true,
        query: &["limit", "cursor"],
    },
    Path {
        path: "/api/v1/models",
        summary: "Models on runtimes, declared or seen, by runtime and name.",
        keys: &[
            "runtime",
            "name",
            "hash",
            "context_tokens",
            "vram_cost_gb",
            "throughput",
            "capabilities",
            "state",
            "idle",
            "last_used_at",
            "observed_at",
            "source",
        ],
        list: true,
        query: &["runtime", "limit", "cursor"],
    },
    Path {
        path: "/api/v1/tasks",
        summary: "Tasks, the newest first.",
        keys: TASK_KEYS,
        list: true,
        query: &["state", "capability", "runtime", "tag", "object", "limit", "cursor"],
    },
    Path { path: "/api/v1/tasks/{id}", summary: "One task.", keys: TASK_KEYS, list: false, query: &[] },
    Path {
        path: "/api/v1/tasks/{id}/why",
        summary: "Why a task waits: what was ruled out, what is missing, when it clears, what would start it sooner.",
        keys: &["id", "state", "why", "chain", "ruled_out", "shortfall", "sooner", "eta", "ahead", "generated_at"],
        list: false,
        query: &[],
    },
    Path {
        path: LOCKS,
        summary: "Who holds which GPU: what is held, what waits, then what is past, the newest first.",
        keys: &[
            "type",
            "state",
            "host",
            "gpu",
            "owner",
            "owner_task_id",
            "what",
            "since",
            "until",
            "expected_at",
            "why",
        ],
        list: true,
        query: &["gpu", "type", "state", "limit", "cursor"],
    },
    Path {
        path: "/api/v1/drift",
        summary: "Every object, what is declared beside what is observed; the most urgent first, then by kind and name.",
        keys: &[
            "kind",
            "name",
            "sync",
            "drift",
            "fields",
            "health",
            "hold",
            "reason",
            "since",
            "desired",
            "observed",
            "observed_at",
            "source",
            "manifest",
            "revision",
            "commit",
        ],
        list: true,
        query: &["sync", "kind", "held", "limit", "cursor"],
    },
    Path {
        path: "/api/v1/artifacts",
        summary: "What tasks made, the newest first.",
        keys: &["type", "path", "checksum", "bytes", "task", "created_at", "lineage"],
        list: true,
        query: &["text", "capability", "model", "tag", "type", "task", "limit", "cursor"],
    },
    Path {
        path: "/api/v1/artifacts/{sha}",
        summary: "One content: which tasks made it, and what was made from it.",
        keys: &["checksum", "bytes", "made_by", "used_by", "used_by_complete", "revision", "generated_at"],
        list: false,
        query: &[],
    },
    Path {
        path: "/api/v1/audit",
        summary: "Who changed what, the newest first.",
        keys: &["seq", "at", "actor", "verb", "object", "reason", "result", "before", "after", "revision"],
        list: true,
        query: &["object", "actor", "verb", "limit", "cursor"],
    },
    Path {
        path: "/api/v1/objects/{kind}/{name}",
        summary: "One declared object: status, manifest text in force, diagnostics, history.",
        keys: &[
            "status",
            "standing",
            "generation",
            "labels",
            "annotations",
            "text",
            "spec",
            "asked_by",
            "diagnostics",
            "history",
            "revision",
            "generated_at",
        ],
        list: false,
        query: &[],
    },
    Path {
        path: "/api/v1/openapi.json",
        summary: "This description.",
        keys: &["openapi", "info", "paths", "components"],
        list: false,
        query: &[],
    },
];

/// Its filters are words of its own.
const LOCKS: &str = "/api/v1/locks";

const TASK_KEYS: &[&str] = &[
    "id",
    "state",
    "runtime_assigned",
    "model_used",
    "eta_seconds",
    "eta",
    "why",
    "artifacts",
    "attempts",
    "logs_tail",
    "error",
    "policy_snapshot",
    "created_at",
    "started_at",
    "finished_at",
];

/// The keys that the answer of `path` has: of an item where it is a list. None for a path that is not described.
#[must_use]
pub fn keys_of(path: &str) -> Option<&'static [&'static str]> {
    PATHS.iter().find(|described| described.path == path).map(|described| described.keys)
}

/// The description.
#[must_use]
pub fn document() -> Value {
    let paths: Map<String, Value> =
        PATHS.iter().map(|path| (path.path.to_owned(), json!({"get": operation(path)}))).collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Arcology, read only",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The JSON of every page. Nothing here changes anything; null means not known.",
        },
        "paths": paths,
        "components": {"schemas": {"Problem": problem()}},
    })
}

fn operation(path: &Path) -> Value {
    let parameters: Vec<_> =
        in_path(path.path).chain(path.query.iter().map(|name| query_parameter(path.path, name))).collect();
    json!({
        "summary": path.summary,
        "parameters": parameters,
        "responses": {
            "200": {"description": path.summary, "content": {"application/json": {"schema": answer(path)}}},
            "default": {
                "description": "What went wrong.",
                "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
            },
        },
    })
}

/// Parameters that are part of the path.
fn in_path(path: &'static str) -> impl Iterator<Item = Value> {
    let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    names.map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
}

fn query_parameter(path: &str, name: &str) -> Value {
    let schema = match name {
        "state" if path == LOCKS => json!({"type": "string", "enum": STATES}),
        "type" if path == LOCKS => json!({"type": "string", "enum": LockKind::ALL}),
        "limit" => json!({"type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "default": LIMIT_DEFAULT}),
        "sync" => json!({"type": "string", "enum": SYNC_WORDS}),
        "kind" => json!({"type": "string", "enum": Kind::ALL}),
        "held" => json!({"type": "boolean"}),
        "state" => json!({"type": "string", "enum": TaskState::ALL}),
        _ => json!({"type": "string", "maxLength": 200}),
    };
    json!({"name": name, "in": "query", "required": false, "schema": schema})
}

fn answer(path: &Path) -> Value {
    let item = object(path.keys);
    if !path.list {
        return item;
    }
    json!({
        "type": "object",
        "required": ["items", "next", "revision", "generated_at"],
        "properties": {
            "items": {"type": "array", "items": item},
            "next": {"type": ["string", "null"], "description": "Hand it back as `cursor` for the next page."},
            "revision": {"type": ["string", "null"], "description": "The applied revision."},
            "generated_at": {"type": "string", "format": "date-time"},
        },
    })
}

fn object(keys: &[&str]) -> Value {
    let properties: Map<String, Value> = keys.iter().map(|key| ((*key).to_owned(), json!({}))).collect();
    json!({"type": "object", "required": keys, "properties": properties})
}

/// RFC 9457.
fn problem() -> Value {
    json!({
        "type": "object",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "help": {"type": "string", "description": "What to do next."},
        },
    })
}
