//! Who changed what: commits, control calls, and what Arcology did by itself.

use serde::Serialize;

use crate::core::{ObjectKey, Timestamp};
use crate::remember::store::row::AuditRow;
use crate::tell::web::facts::Facts;

use super::frame::Frame;
use super::href;
use super::part::{Empty, Mark, Stamp};
use super::task::task_href;

/// How many entries a page shows when nothing else is asked for.
pub const ROWS_DEFAULT: usize = 100;

/// An entry of the audit.
#[derive(Clone, Debug, Serialize)]
pub struct AuditLine {
    pub seq: i64,
    pub at: Stamp,
    pub actor: String,
    pub verb: String,
    pub object: String,
    pub href: Option<String>,
    pub reason: String,
    pub result: Mark,
    pub before: Option<String>,
    pub after: Option<String>,
    pub revision: Option<String>,
}

impl AuditLine {
    #[must_use]
    pub fn of(row: &AuditRow, now: Timestamp) -> Self {
        let href = match ObjectKey::parse(&row.object) {
            Some(key) => Some(format!("/objects/{}/{}", key.kind, key.name)),
            None => row.object.starts_with("task-").then(|| task_href(&row.object)),
        };
        Self {
            seq: row.seq,
            at: Stamp::of(row.at, now),
            actor: row.actor.clone(),
            verb: row.verb.clone(),
            object: row.object.clone(),
            href,
            reason: row.reason.clone(),
            result: Mark::of_result(&row.result),
            before: row.before.clone(),
            after: row.after.clone(),
            revision: row.revision.clone(),
        }
    }
}

/// What the audit is narrowed to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditQuery {
    pub object: Option<String>,
    pub actor: Option<String>,
    pub verb: Option<String>,
}

/// The page of the audit.
#[derive(Clone, Debug, Serialize)]
pub struct Page {
    pub frame: Frame,
    pub rows: Vec<AuditLine>,
    pub next: Option<String>,
    pub object: String,
    pub actor: String,
    pub verb: String,
    pub filtered: bool,
    pub empty: Option<Empty>,
}

/// One page of the audit, the newest first, as the store gave it.
#[must_use]
pub fn page(
    facts: &Facts,
    query: &AuditQuery,
    rows: &[AuditRow],
    limit: usize,
    (cursor, next): (Option<&str>, Option<&str>),
) -> Page {
    let filtered = *query != AuditQuery::default() || cursor.is_some();
    Page {
        frame: Frame::new(facts, "Audit", "/audit", query.address(limit, cursor)),
        rows: rows.iter().map(|row| AuditLine::of(row, facts.now)).collect(),
        next: next.map(|cursor| query.address(limit, Some(cursor))),
        object: query.object.clone().unwrap_or_default(),
        actor: query.actor.clone().unwrap_or_default(),
        verb: query.verb.clone().unwrap_or_default(),
        filtered,
        empty: rows.is_empty().then(|| match filtered {
            true => Empty::new("No entry matches this filter.", None),
            false => {
                Empty::new("Nothing was changed yet: no commit applied, no verb called.", Some("arcology reconcile"))
            }
        }),
    }
}

impl AuditQuery {
    fn address(&self, limit: usize, cursor: Option<&str>) -> String {
        let limit = (limit != ROWS_DEFAULT).then(|| limit.to_string());
        href::with_query(
            "/audit",
            [
                ("object", self.object.as_deref()),
                ("actor", self.actor.as_deref()),
                ("verb", self.verb.as_deref()),
                ("limit", limit.as_deref()),
                ("cursor", cursor),
            ],
        )
    }
}
