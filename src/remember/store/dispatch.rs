//! The records of the dispatcher, each one durable step with its audit entry: the contract of
//! [`crate::decide::dispatch::Ledger`], in SQLite.
//!
//! Steps are put in line in their order and answered together by a later commit, so that many attempts in flight share one
//! sync of the disk.

use rusqlite::{Connection, params};

use crate::core::{Kind, Name, ObjectKey, Timestamp};
use crate::decide::dispatch::{AttemptEnd, Record};
use crate::decide::reconcile::{Target, Verb};
use crate::decide::scheduler::{ClaimVerb, ModelAt, Place};

use super::audit::{self, AuditEntry};
use super::error::{Error, Trouble};
use super::handle::{Answer, Store};
use super::row::{ArtifactRow, TaskError, TaskState, Why};
use super::task_life::{self, Where, expect_change};
use super::task_outcome::TaskOutcome;
use super::writer::Durability;
use super::{Effects, NewIntent, journal, sql};

/// How Arcology itself is called where others are told who did something.
pub const ARCOLOGY: &str = "arcology";

/// What a step is written with beside its record.
#[derive(Clone, Debug)]
pub struct Stamp {
    pub at: Timestamp,
    /// `main@sha1:…` in force.
    pub revision: Option<String>,
    /// The reason of the audit entry, where more is known of it than the record says.
    pub because: Option<String>,
}

/// What an attempt leaves beside its end.
#[derive(Clone, Debug, Default)]
pub struct Yield {
    /// The model that did it, where only the runtime knows.
    pub model: Option<String>,
    pub artifacts: Vec<ArtifactRow>,
    pub log: String,
}

impl Store {
    /// Puts a record in line. `left` is what the attempt leaves that an `End` is about; nothing for other records.
    ///
    /// # Errors
    /// See [`Error`]; an answer that says [`Error::Conflict`] or [`Error::NotFound`] means that what is there does not allow
    /// the step.
    pub async fn record(&self, record: Record, left: Yield, stamp: Stamp) -> Result<Answer<()>, Error> {
        let entry = entry(&record, &stamp);
        let at = stamp.at;
        match record {
            Record::Start { id, attempt, place, policy, .. } => {
                self.attempt_start(id.to_string(), attempt, place, policy, at).await
            }
            Record::End { id, attempt, end, .. } => {
                self.attempt_end(id.to_string(), attempt, end, left, at, entry).await
            }
            Record::Fail { id, code, message, .. } => {
                let error = error_of(code.as_str(), message);
                self.waiting_end(id.to_string(), TaskState::Error, error, at, entry).await
            }
            Record::Cancel { id, by, reason, .. } => {
                let error = error_of("cancelled", cancelled_words(&by, &reason));
                self.waiting_end(id.to_string(), TaskState::Cancelled, error, at, entry).await
            }
            Record::Reroute { id, runtime, model, .. } => {
                self.task_reroute(id.to_string(), runtime, model, entry).await
            }
            Record::Begin { at: model_at, model, verb, because } => {
                let (object, target) = (object_of(&model_at), target_of(&model_at, model));
                let verb = verb_of(verb).as_str().to_owned();
                let revision = stamp.revision;
                self.call_begin(NewIntent { object, verb, target, reason: because, revision }, at).await
            }
            Record::Finish { at: model_at, model, verb, result, .. } => {
                let (object, target) = (object_of(&model_at), target_of(&model_at, model));
                self.call_finish(object, verb_of(verb), target, result, at, entry).await
            }
            Record::LeaseAsked { lease, by } => self.lease_ask(*lease, by, at, entry).await,
            Record::LeaseGranted { id, .. } => self.lease_grant(id.to_string(), at, entry).await,
            Record::LeaseEnded { id, end, .. } => self.lease_end(id.to_string(), end, at, entry).await,
        }
    }

    async fn attempt_start(
        &self,
        id: String,
        attempt: u32,
        place: Place,
        policy: Vec<Name>,
        at: Timestamp,
    ) -> Result<Answer<()>, Error> {
        self.line_up(Durability::Synced, move |conn| {
            let place = Where {
                number: Some(attempt),
                runtime: Some(&place.runtime),
                model: place.model.as_ref().map(Name::as_str),
                gpu: place.gpu.as_ref().map(ToString::to_string),
                exclusive: place.exclusive,
            };
            task_life::start(conn, &id, &place, &policy, at)
        })
        .await
    }

    async fn attempt_end(
        &self,
        id: String,
        attempt: u32,
        end: AttemptEnd,
        left: Yield,
        at: Timestamp,
        entry: Option<AuditEntry>,
    ) -> Result<Answer<()>, Error> {
        let outcome = outcome_of(&end, left.model, left.artifacts);
        self.line_up(Durability::Synced, move |conn| {
            let entry = entry.as_ref().ok_or_else(|| Trouble::value("attempt", "its end leaves no audit entry"))?;
            task_life::finish(conn, &id, attempt, &outcome, &left.log, at, entry)?;
            count(conn, &id, &end)
        })
        .await
    }

    async fn waiting_end(
        &self,
        id: String,
        state: TaskState,
        error: TaskError,
        at: Timestamp,
        entry: Option<AuditEntry>,
    ) -> Result<Answer<()>, Error> {
        self.line_up(Durability::Synced, move |conn| {
            let entry = entry.as_ref().ok_or_else(|| Trouble::value("task", "its end leaves no audit entry"))?;
            task_life::end_waiting(conn, &id, state, &error, at, entry)
        })
        .await
    }

    async fn task_reroute(
        &self,
        id: String,
        runtime: Option<Name>,
        model: Option<Name>,
        entry: Option<AuditEntry>,
    ) -> Result<Answer<()>, Error> {
        self.line_up(Durability::Synced, move |conn| {
            let target = serde_json::json!({"runtime": runtime, "model": model}).to_string();
            let update = "UPDATE task SET spec = json_set(spec, '$.target', json(?2))
                WHERE id = ?1 AND state IN ('queued', 'blocked', 'running')";
            expect_change(conn, &id, sql::change(conn, update, params![id, target])?)?;
            audit(conn, entry.as_ref())
        })
        .await
    }

    async fn call_begin(&self, intent: NewIntent, at: Timestamp) -> Result<Answer<()>, Error> {
        self.line_up(Durability::Synced, move |conn| journal::begin(conn, &intent, at).map(drop)).await
    }

    async fn call_finish(
        &self,
        object: ObjectKey,
        verb: Verb,
        target: String,
        result: Result<(), String>,
        at: Timestamp,
        entry: Option<AuditEntry>,
    ) -> Result<Answer<()>, Error> {
        self.line_up(Durability::Synced, move |conn| {
            let id = journal::open_id(conn, &object, verb.as_str(), &target)?;
            let entry = entry.as_ref().ok_or_else(|| Trouble::value("journal", "its end leaves no audit entry"))?;
            journal::finish(conn, &id, &result, &Effects::default(), entry, at)
        })
        .await
    }
}

/// A record's audit entry, as the store keeps it.
fn entry(record: &Record, stamp: &Stamp) -> Option<AuditEntry> {
    let audit = record.audit()?;
    Some(AuditEntry {
        at: stamp.at,
        actor: audit.actor,
        verb: audit.verb.to_owned(),
        object: audit.object,
        reason: stamp.because.clone().unwrap_or(audit.reason),
        result: audit.result,
        before: None,
        after: audit.after,
        revision: stamp.revision.clone(),
    })
}

fn audit(conn: &Connection, entry: Option<&AuditEntry>) -> Result<(), Trouble> {
    entry.map_or(Ok(()), |entry| audit::insert(conn, entry, None).map(drop))
}

/// Keeps what a later try or a restart has to know.
fn count(conn: &Connection, id: &str, end: &AttemptEnd) -> Result<(), Trouble> {
    match end {
        AttemptEnd::Interrupted { counts: true, .. } => {
            sql::change(conn, "UPDATE task SET interruptions = interruptions + 1 WHERE id = ?1", [id]).map(drop)
        }
        AttemptEnd::Again { retry_at, message, .. } => {
            let update = "UPDATE task SET failures = failures + 1, retry_at = ?2, retry_why = ?3 WHERE id = ?1";
            sql::change(conn, update, params![id, sql::time(*retry_at), message]).map(drop)
        }
        AttemptEnd::Interrupted { counts: false, .. }
        | AttemptEnd::Done
        | AttemptEnd::Failed { .. }
        | AttemptEnd::Cancelled { .. } => Ok(()),
    }
}

fn outcome_of(end: &AttemptEnd, model: Option<String>, artifacts: Vec<ArtifactRow>) -> TaskOutcome {
    match end {
        AttemptEnd::Done => TaskOutcome::Done { model, artifacts },
        AttemptEnd::Failed { code, message } => TaskOutcome::Error(error_of(code, message.clone())),
        AttemptEnd::Cancelled { by, reason } => {
            TaskOutcome::Cancelled(error_of("cancelled", cancelled_words(by, reason)))
        }
        AttemptEnd::Interrupted { .. } => TaskOutcome::Interrupted,
        AttemptEnd::Again { retry_at, code, message } => {
            let words = format!("{message}; tried again");
            let why = Why { reason: "Backoff".to_owned(), message: words, clears_at: Some(*retry_at) };
            TaskOutcome::Requeue { why, error: Some(error_of(code, message.clone())) }
        }
    }
}

/// What is told of a cancelled task. A person's own words are for the audit; nobody else knows why Arcology did it.
#[must_use]
pub fn cancelled_words(by: &str, reason: &str) -> String {
    if by == ARCOLOGY && !reason.is_empty() {
        format!("cancelled by {by}: {reason}")
    } else {
        format!("cancelled by {by}")
    }
}

fn error_of(code: &str, message: String) -> TaskError {
    TaskError { code: code.to_owned(), message, incident: None }
}

fn object_of(at: &ModelAt) -> ObjectKey {
    ObjectKey::new(Kind::Runtime, at.runtime.clone())
}

fn target_of(at: &ModelAt, model: Option<Name>) -> String {
    let target = Target::Model { runtime: at.runtime.clone(), model, served_as: at.served_as.to_string() };
    serde_json::to_string(&target).unwrap_or_default()
}

fn verb_of(verb: ClaimVerb) -> Verb {
    match verb {
        ClaimVerb::Load => Verb::Load,
        ClaimVerb::Unload => Verb::Unload,
    }
}
