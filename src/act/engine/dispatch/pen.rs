//! Writing records: put in line in the order in which they were asked for, answered whenever their commit is done.
//!
//! Nobody waits for one record before the next is in line, so that attempts in flight share their syncs. Notes are written
//! behind them, the newest of a task only.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use tokio::sync::mpsc;

use crate::decide::dispatch::{NotWritten, Note, Record, WriteId};
use crate::decide::scheduler::Moment;
use crate::remember::store::{Error, Stamp, Yield};

use super::super::shared::Shared;
use super::inbox::Message;

/// What the pen is given.
pub enum Sheet {
    Record(Box<Line>),
    Notes(Vec<Note>, Moment),
}

/// A record, and what it is written with.
pub struct Line {
    pub id: WriteId,
    pub record: Record,
    pub left: Yield,
    pub stamp: Stamp,
}

type Writing = BoxFuture<'static, (WriteId, Record, Result<(), Error>)>;

/// Writes until the other end is dropped and everything in line is answered.
pub async fn run(shared: Arc<Shared>, mut sheets: mpsc::UnboundedReceiver<Sheet>) {
    let mut under_way: FuturesUnordered<Writing> = FuturesUnordered::new();
    let mut open = true;
    while open || !under_way.is_empty() {
        tokio::select! {
            // Answers first: what is done lets new work begin.
            biased;
            Some((id, record, result)) = under_way.next() => answer(&shared, id, record, result),
            sheet = sheets.recv(), if open => match sheet {
                Some(Sheet::Record(line)) => {
                    let Line { id, record, left, stamp } = *line;
                    match shared.store.record(record.clone(), left, stamp).await {
                        Ok(line) => under_way.push(Box::pin(async move { (id, record, line.come().await) })),
                        Err(error) => answer(&shared, id, record, Err(error)),
                    }
                }
                Some(Sheet::Notes(notes, now)) => {
                    let result = shared.store.save_dispatch_notes(notes, now).await;
                    shared.note_store(&result);
                }
                None => open = false,
            },
        }
    }
}

fn answer(shared: &Shared, id: WriteId, record: Record, result: Result<(), Error>) {
    let result = result.map_err(|error| {
        let words = error.to_string();
        if refuses(&error) { NotWritten::Refused(words) } else { NotWritten::Unavailable(words) }
    });
    match &result {
        Err(NotWritten::Refused(words)) => tracing::warn!("{words}"),
        Err(NotWritten::Unavailable(words)) => shared.note_store_words(Some(words)),
        Ok(()) => shared.note_store_words(None),
    }
    shared.inbox.send(Message::Answered { id, record, result });
}

/// Whether trying again would come to the same.
fn refuses(error: &Error) -> bool {
    match error {
        Error::NotFound { .. }
        | Error::Conflict { .. }
        | Error::TooLarge { .. }
        | Error::BadCursor(_)
        | Error::Value { .. }
        | Error::Internal { .. } => true,
        Error::Locked { .. }
        | Error::Newer { .. }
        | Error::Older { .. }
        | Error::Foreign { .. }
        | Error::Corrupt { .. }
        | Error::ReadOnly { .. }
        | Error::Full { .. }
        | Error::Io { .. }
        | Error::Exists { .. }
        | Error::Closed => false,
    }
}

/// Notes that wait to be written: of each task the newest reason only, spans in their order.
#[derive(Debug, Default)]
pub struct Pad {
    reasons: BTreeMap<u64, Note>,
    spans: Vec<Note>,
}

impl Pad {
    pub fn note(&mut self, note: Note) {
        match &note {
            Note::Why { task, .. } => drop(self.reasons.insert(task.0, note)),
            Note::SpanBegan { .. } | Note::SpanEnded { .. } => self.spans.push(note),
        }
    }

    /// What is said of a task no longer matters.
    pub fn forget(&mut self, task: u64) {
        self.reasons.remove(&task);
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.reasons.is_empty() && self.spans.is_empty()
    }

    /// Takes everything.
    pub fn take(&mut self) -> Vec<Note> {
        let mut notes = std::mem::take(&mut self.spans);
        notes.extend(std::mem::take(&mut self.reasons).into_values());
        notes
    }
}
