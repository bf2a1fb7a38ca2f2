//! Who held which GPU when: spans that begin, end, and are forgotten once they are old enough.
//!
//! Losing the newest with the power is no harm: what holds a GPU now is the scheduler's to say, this is only its past.

use rusqlite::types::Value;
use rusqlite::{Connection, Row, params, params_from_iter};

use crate::core::text::shorten;
use crate::core::{Name, Timestamp};

use super::error::{Error, Trouble};
use super::handle::Store;
use super::page::{List, Listing, Page, Window};
use super::row::{LockKind, LockSpanRow};
use super::sql::{self, Columns};

const WHAT: &str = "lock span";
const COLUMNS: &str = "seq, host, gpu, kind, holder, what, since, until";
/// How many spans are kept; older ones that have ended are forgotten.
pub const SPANS_KEPT: i64 = 10_000;
/// The most spans of one answer that has no pages.
const SPANS_READ_MAX: usize = 2_000;
/// The longest holder and the longest purpose, in characters.
const TEXT_CHARS_MAX: usize = 200;

/// A change of who holds what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LockChange {
    /// A span began. One that is open already stays as it is. One with an end is kept as a whole.
    Began(LockSpanRow),
    /// A span ended. There being none open is fine.
    Ended { host: Name, gpu: Name, kind: LockKind, holder: String, at: Timestamp },
}

/// Which spans are wanted; what is absent does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LockFilter {
    /// Host and GPU.
    pub gpu: Option<(Name, Name)>,
    pub kind: Option<LockKind>,
    /// Only those that have ended.
    pub ended: bool,
}

impl Store {
    /// Keeps the changes of a burst in one step and forgets what is older than the newest [`SPANS_KEPT`] spans.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn lock_changes(&self, changes: Vec<LockChange>) -> Result<(), Error> {
        self.write_relaxed(move |conn| {
            changes.iter().try_for_each(|change| apply(conn, change)).and_then(|()| trim(conn))
        })
        .await
    }

    /// Ends every open span at `at`: after a restart nobody holds anything until it is granted again. Says how many.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn lock_spans_end_all(&self, at: Timestamp) -> Result<usize, Error> {
        self.write_relaxed(move |conn| {
            let end = "UPDATE lock_span SET until = max(since, ?1) WHERE until IS NULL";
            sql::change(conn, end, [sql::time(at)])
        })
        .await
    }

    /// Spans that lasted at some time after `since`, the oldest first; when there are more than `limit` (at most 2,000),
    /// those that are open or ended last.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn lock_spans(&self, since: Timestamp, limit: usize) -> Result<Vec<LockSpanRow>, Error> {
        self.read(move |conn| spans(conn, None, since, limit)).await
    }

    /// The same for one GPU.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn lock_spans_of(
        &self,
        host: Name,
        gpu: Name,
        since: Timestamp,
        limit: usize,
    ) -> Result<Vec<LockSpanRow>, Error> {
        self.read(move |conn| spans(conn, Some((&host, &gpu)), since, limit)).await
    }

    /// Spans in pages, the newest begun first.
    ///
    /// # Errors
    /// [`Error::BadCursor`]; else see [`Error`].
    pub async fn lock_list(&self, filter: LockFilter, page: Page) -> Result<Listing<LockSpanRow>, Error> {
        let window = Window::of(List::Locks, &page)?;
        self.read(move |conn| {
            let (query, values) = list_query(&filter, window);
            Ok(window.listing(sql::all(conn, &query, params_from_iter(values), read)?))
        })
        .await
    }
}

/// Keeps one change, in a step that may hold others.
pub(super) fn apply(conn: &Connection, change: &LockChange) -> Result<(), Trouble> {
    match change {
        LockChange::Began(span) => {
            let insert = "INSERT INTO lock_span (host, gpu, kind, holder, what, since, until)
                VALUES (?1, ?2, ?3, ?4, ?5, ?6, max(?6, ?7)) ON CONFLICT DO NOTHING";
            let values = params![
                span.host.as_str(),
                span.gpu.as_str(),
                span.kind.as_str(),
                shorten(&span.holder, TEXT_CHARS_MAX),
                shorten(&span.what, TEXT_CHARS_MAX),
                sql::time(span.since),
                span.until.map(sql::time),
            ];
            sql::change(conn, insert, values)?;
        }
        LockChange::Ended { host, gpu, kind, holder, at } => {
            // A wall clock that was set back must not make a span end before it began.
            let end = "UPDATE lock_span SET until = max(since, ?5)
                WHERE host = ?1 AND gpu = ?2 AND kind = ?3 AND holder = ?4 AND until IS NULL";
            let holder = shorten(holder, TEXT_CHARS_MAX);
            sql::change(conn, end, params![host.as_str(), gpu.as_str(), kind.as_str(), holder, sql::time(*at)])?;
        }
    }
    Ok(())
}

/// Forgets what is too old; due after spans began. Open spans stay whatever their age.
pub(super) fn trim(conn: &Connection) -> Result<(), Trouble> {
    let forget = "DELETE FROM lock_span
        WHERE seq <= (SELECT max(seq) FROM lock_span) - ?1 AND until IS NOT NULL";
    sql::change(conn, forget, [SPANS_KEPT]).map(drop)
}

fn spans(
    conn: &Connection,
    gpu: Option<(&Name, &Name)>,
    since: Timestamp,
    limit: usize,
) -> Result<Vec<LockSpanRow>, Trouble> {
    let limit = limit.clamp(1, SPANS_READ_MAX);
    let (open, ended) = span_queries(gpu.is_some());
    let mut values: Vec<Value> = Vec::new();
    if let Some((host, gpu)) = gpu {
        values.extend([Value::from(host.to_string()), Value::from(gpu.to_string())]);
    }
    let mut found = sql::all(conn, &open, params_from_iter(values.clone()), read)?;
    values.push(Value::from(sql::time(since)));
    values.push(Value::from(i64::try_from(limit).unwrap_or(i64::MAX)));
    found.extend(sql::all(conn, &ended, params_from_iter(values), read)?);
    found.truncate(limit);
    found.sort_by_key(|(seq, span)| (span.since, *seq));
    Ok(found.into_iter().map(|(_, span)| span).collect())
}

/// Open spans, which are few: each holder has one. And ended ones, the last ended first.
fn span_queries(of_one_gpu: bool) -> (String, String) {
    let (by_gpu, index) =
        if of_one_gpu { ("host = ? AND gpu = ? AND ", "lock_span_gpu_ended") } else { ("", "lock_span_ended") };
    let open = format!(
        "SELECT {COLUMNS} FROM lock_span INDEXED BY lock_span_open WHERE {by_gpu}until IS NULL LIMIT {SPANS_READ_MAX}"
    );
    let ended = format!(
        "SELECT {COLUMNS} FROM lock_span INDEXED BY {index}
         WHERE {by_gpu}until IS NOT NULL AND until > ? ORDER BY until DESC LIMIT ?"
    );
    (open, ended)
}

/// The index of the first filter that is given finds the rows, the other only thins them out.
fn list_query(filter: &LockFilter, window: Window) -> (String, Vec<Value>) {
    let mut query = format!("SELECT {COLUMNS} FROM lock_span WHERE seq < ?");
    let mut values = vec![Value::from(window.before)];
    if let Some((host, gpu)) = &filter.gpu {
        query.push_str(" AND host = ? AND gpu = ?");
        values.extend([Value::from(host.to_string()), Value::from(gpu.to_string())]);
    }
    if let Some(kind) = filter.kind {
        let plus = if filter.gpu.is_some() { "+" } else { "" };
        query.push_str(&format!(" AND {plus}kind = ?"));
        values.push(Value::from(kind.as_str().to_owned()));
    }
    if filter.ended {
        query.push_str(" AND +until IS NOT NULL");
    }
    query.push_str(" ORDER BY seq DESC LIMIT ?");
    values.push(Value::from(window.fetch()));
    (query, values)
}

fn read(row: &Row<'_>) -> Result<(i64, LockSpanRow), Trouble> {
    let mut columns = Columns::of(WHAT, row);
    let seq = columns.get()?;
    let name = |columns: &mut Columns<'_, '_>| {
        columns.opt_name()?.ok_or_else(|| Trouble::value(WHAT, "a host's or GPU's name is missing"))
    };
    let span = LockSpanRow {
        host: name(&mut columns)?,
        gpu: name(&mut columns)?,
        kind: columns.word()?,
        holder: columns.get()?,
        what: columns.get()?,
        since: columns.time()?,
        until: columns.opt_time()?,
    };
    Ok((seq, span))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{at, name, open};
    use super::*;

    fn began(gpu: &str, kind: LockKind, holder: &str, since: i64) -> LockChange {
        LockChange::Began(span(gpu, kind, holder, since, None))
    }

    fn span(gpu: &str, kind: LockKind, holder: &str, since: i64, until: Option<i64>) -> LockSpanRow {
        LockSpanRow {
            host: name("desk"),
            gpu: name(gpu),
            kind,
            holder: holder.to_owned(),
            what: "text.summarize".to_owned(),
            since: at(since),
            until: until.map(at),
        }
    }

    fn ended(gpu: &str, kind: LockKind, holder: &str, seconds: i64) -> LockChange {
        let holder = holder.to_owned();
        LockChange::Ended { host: name("desk"), gpu: name(gpu), kind, holder, at: at(seconds) }
    }

    fn told(spans: &[LockSpanRow]) -> Vec<String> {
        let second = |time: Timestamp| time.as_second() - at(0).as_second();
        let end = |span: &LockSpanRow| span.until.map_or("now".to_owned(), |until| second(until).to_string());
        spans
            .iter()
            .map(|span| {
                format!("{} {} {} {}..{}", span.gpu, span.kind.as_str(), span.holder, second(span.since), end(span))
            })
            .collect()
    }

    #[tokio::test]
    async fn spans_begin_once_and_end_once_and_come_back_as_they_were() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let changes = vec![
            began("gpu0", LockKind::Shared, "task-1", 0),
            began("gpu0", LockKind::Shared, "task-1", 5),
            began("gpu0", LockKind::Draining, "task-2", 10),
            ended("gpu0", LockKind::Shared, "task-1", 20),
            ended("gpu0", LockKind::Shared, "task-1", 99),
            ended("gpu0", LockKind::Draining, "task-2", 5),
            began("gpu0", LockKind::Exclusive, "task-2", 20),
            began("gpu1", LockKind::Shared, "task-1", 30),
            LockChange::Began(span("gpu1", LockKind::Lease, "lease-1", 30, Some(40))),
            ended("gpu1", LockKind::Lease, "never", 41),
        ];
        store.lock_changes(changes).await.unwrap();
        let all = store.lock_spans(at(-1), 100).await.unwrap();
        let whole = [
            "gpu0 shared task-1 0..20",
            "gpu0 draining task-2 10..10",
            "gpu0 exclusive task-2 20..now",
            "gpu1 shared task-1 30..now",
            "gpu1 lease lease-1 30..40",
        ];
        assert_eq!(told(&all), whole);
        assert_eq!(all[0], span("gpu0", LockKind::Shared, "task-1", 0, Some(20)));
        let later = store.lock_spans(at(20), 100).await.unwrap();
        assert_eq!(told(&later), &whole[2..], "what ended at that time or before is past");
        let one = store.lock_spans_of(name("desk"), name("gpu0"), at(-1), 100).await.unwrap();
        assert_eq!(told(&one), &whole[..3]);
        assert_eq!(store.lock_spans_of(name("lab"), name("gpu0"), at(-1), 100).await.unwrap(), []);
    }

    #[tokio::test]
    async fn when_there_are_too_many_the_open_and_the_last_ended_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let old = began("gpu0", LockKind::Lease, "lease-1", 0);
        let short =
            (1..50).map(|n| LockChange::Began(span("gpu0", LockKind::Shared, &format!("task-{n}"), n, Some(n + 1))));
        store.lock_changes(std::iter::once(old).chain(short).collect()).await.unwrap();
        let few = store.lock_spans(at(-1), 3).await.unwrap();
        assert_eq!(
            told(&few),
            ["gpu0 lease lease-1 0..now", "gpu0 shared task-48 48..49", "gpu0 shared task-49 49..50"]
        );
    }

    #[tokio::test]
    async fn pages_lead_from_the_newest_to_the_oldest_and_filters_narrow_them() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let kinds = [LockKind::Shared, LockKind::Exclusive];
        let changes = (0..10usize).map(|n| {
            let gpu = if n % 3 == 0 { "gpu1" } else { "gpu0" };
            let n_s = i64::try_from(n).unwrap();
            LockChange::Began(span(gpu, kinds[n % 2], &format!("task-{n}"), n_s, Some(n_s + 1)))
        });
        store.lock_changes(changes.collect()).await.unwrap();
        let mut seen = Vec::new();
        let mut page = Page { limit: 3, cursor: None };
        loop {
            let listing = store.lock_list(LockFilter::default(), page).await.unwrap();
            seen.extend(listing.items.into_iter().map(|span| span.holder));
            let Some(next) = listing.next else { break };
            page = Page { limit: 3, cursor: Some(next) };
        }
        assert_eq!(seen, (0..10).rev().map(|n| format!("task-{n}")).collect::<Vec<_>>());
        let both = LockFilter { gpu: Some((name("desk"), name("gpu0"))), kind: Some(LockKind::Shared), ended: true };
        let found = store.lock_list(both, Page::default()).await.unwrap();
        assert_eq!(
            found.items.iter().map(|span| span.holder.as_str()).collect::<Vec<_>>(),
            ["task-8", "task-4", "task-2"]
        );
        let open = LockChange::Began(span("gpu0", LockKind::Lease, "lease-1", 20, None));
        store.lock_changes(vec![open]).await.unwrap();
        for (ended, count) in [(true, 10), (false, 11)] {
            let filter = LockFilter { ended, ..LockFilter::default() };
            assert_eq!(store.lock_list(filter, Page::default()).await.unwrap().items.len(), count);
        }
        let bad = store.lock_list(LockFilter::default(), Page { limit: 1, cursor: Some("t1".to_owned()) }).await;
        assert!(matches!(bad, Err(Error::BadCursor(_))));
    }

    #[tokio::test]
    async fn the_newest_ten_thousand_are_kept_and_what_is_open_whatever_its_age() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        store.lock_changes(vec![began("gpu0", LockKind::Lease, "lease-old", 0)]).await.unwrap();
        let kept = usize::try_from(SPANS_KEPT).unwrap();
        let many =
            (0..kept + 50).map(|n| LockChange::Began(span("gpu0", LockKind::Shared, &format!("task-{n}"), 1, Some(2))));
        store.lock_changes(many.collect()).await.unwrap();
        let count = |store: Store| async move {
            store
                .read(|conn| Ok(conn.query_row("SELECT count(*) FROM lock_span", [], |row| row.get::<_, i64>(0))?))
                .await
        };
        assert_eq!(count(store.clone()).await.unwrap(), SPANS_KEPT + 1);
        assert_eq!(store.lock_spans(at(10), 10).await.unwrap().len(), 1, "the open one");
        assert_eq!(store.lock_spans_end_all(at(30)).await.unwrap(), 1);
        store.lock_changes(Vec::new()).await.unwrap();
        assert_eq!(count(store.clone()).await.unwrap(), SPANS_KEPT);
    }

    #[tokio::test]
    async fn every_question_is_answered_by_an_index_without_sorting() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let fill = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 10000)
            INSERT INTO lock_span (host, gpu, kind, holder, what, since, until)
            SELECT 'desk', 'gpu' || (n % 4), 'shared', 'task-' || n, '', n, n + 5 FROM n";
        store.write_relaxed(move |conn| Ok(conn.execute_batch(fill)?)).await.unwrap();
        let gpu = Some((name("desk"), name("gpu0")));
        let window = Window::of(List::Locks, &Page::default()).unwrap();
        let (all, one) = (span_queries(false), span_queries(true));
        let mut queries = vec![(all.0, 0), (all.1, 2), (one.0, 2), (one.1, 4)];
        for filter in [
            LockFilter::default(),
            LockFilter { ended: true, ..LockFilter::default() },
            LockFilter { gpu: gpu.clone(), ..LockFilter::default() },
            LockFilter { kind: Some(LockKind::Lease), ..LockFilter::default() },
            LockFilter { gpu, kind: Some(LockKind::Lease), ended: true },
        ] {
            let (query, values) = list_query(&filter, window);
            queries.push((query, values.len()));
        }
        for (query, values) in queries {
            let explain = format!("EXPLAIN QUERY PLAN {query}");
            let values = vec![Value::from(1); values];
            let steps = store.read(move |conn| {
                sql::all(conn, &explain, params_from_iter(values), |row| Ok(row.get::<_, String>(3)?))
            });
            let plan = steps.await.unwrap().join("\n");
            // Of the open ones there are as many as holders: they are read all, from an index that has no others.
            let plan = plan.replace("SCAN lock_span USING INDEX lock_span_open", "");
            assert!(!plan.contains("SCAN") && !plan.contains("TEMP B-TREE"), "{query}\n{plan}");
        }
    }
}
