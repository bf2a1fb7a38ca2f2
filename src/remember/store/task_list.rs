//! Lists of tasks: each filter finds its rows by an index that is already in the order of the list.
//!
//! One filter finds the rows, the others thin them out: see [`query`]. With one filter a page costs as much as it holds,
//! however many tasks there are; with several it costs as much as the finder has to pass over.

use rusqlite::params_from_iter;
use rusqlite::types::Value;

use crate::core::{Name, ObjectKey};

use super::error::Error;
use super::handle::Store;
use super::page::{List, Listing, Page, Window};
use super::row::{TaskRow, TaskState};
use super::{sql, task};

/// Which tasks are wanted; what is absent or empty does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskFilter {
    /// Any of these.
    pub state: Vec<TaskState>,
    pub capability: Option<String>,
    pub runtime: Option<Name>,
    pub tag: Option<String>,
    /// The committed Task they come from.
    pub object: Option<ObjectKey>,
}

impl Store {
    /// Tasks, the newest accepted first.
    ///
    /// # Errors
    /// [`Error::BadCursor`]; else see [`Error`].
    pub async fn tasks(&self, filter: TaskFilter, page: Page) -> Result<Listing<TaskRow>, Error> {
        let window = Window::of(List::Tasks, &page)?;
        self.read(move |conn| {
            let (query, values) = query(&filter, window);
            Ok(window.listing(sql::all(conn, &query, params_from_iter(values), task::read)?))
        })
        .await
    }
}

/// What finds the rows of a query.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Finder {
    Object,
    Tag,
    Capability,
    Runtime,
    State(TaskState),
    Order,
}

impl Finder {
    /// The most telling filter: a few live tasks first, then what names few tasks, then what names many.
    fn of(filter: &TaskFilter) -> Vec<Self> {
        let live = !filter.state.is_empty() && filter.state.iter().all(|state| !state.is_final());
        let by_state = || TaskState::ALL.into_iter().filter(|state| filter.state.contains(state)).map(Self::State);
        if filter.object.is_some() {
            vec![Self::Object]
        } else if live {
            by_state().collect()
        } else if filter.tag.is_some() {
            vec![Self::Tag]
        } else if filter.capability.is_some() {
            vec![Self::Capability]
        } else if filter.runtime.is_some() {
            vec![Self::Runtime]
        } else if filter.state.is_empty() {
            vec![Self::Order]
        } else {
            by_state().collect()
        }
    }
}

/// One query, or one for each state merged in order. A `+` before a column keeps SQLite from using its index, and a CROSS
/// JOIN from changing the order of the tables, so that the finder is the finder whatever the statistics say.
pub(super) fn query(filter: &TaskFilter, window: Window) -> (String, Vec<Value>) {
    let mut values = Vec::new();
    let parts: Vec<String> =
        Finder::of(filter).into_iter().map(|finder| part(finder, filter, window, &mut values)).collect();
    values.push(Value::from(window.fetch()));
    (format!("{} ORDER BY 1 DESC LIMIT ?", parts.join(" UNION ALL ")), values)
}

fn part(finder: Finder, filter: &TaskFilter, window: Window, values: &mut Vec<Value>) -> String {
    let from = match finder {
        Finder::Tag => "task_tag f CROSS JOIN task t ON t.seq = f.seq WHERE f.tag = ? AND f.seq < ?",
        Finder::Capability => {
            "task_capability f CROSS JOIN task t ON t.seq = f.seq WHERE f.capability = ? AND f.seq < ?"
        }
        Finder::Object => "task t WHERE t.object = ? AND t.seq < ?",
        Finder::Runtime => "task t WHERE t.runtime = ? AND t.seq < ?",
        Finder::State(_) => "task t WHERE t.state = ? AND t.seq < ?",
        Finder::Order => "task t WHERE t.seq < ?",
    };
    let object = filter.object.as_ref().map(|object| Value::from(object.to_string()));
    let tag = filter.tag.clone().map(Value::from);
    let capability = filter.capability.clone().map(Value::from);
    let runtime = filter.runtime.as_ref().map(|runtime| Value::from(runtime.to_string()));
    values.extend(match finder {
        Finder::Object => object.clone(),
        Finder::Tag => tag.clone(),
        Finder::Capability => capability.clone(),
        Finder::Runtime => runtime.clone(),
        Finder::State(state) => Some(Value::from(state.as_str().to_owned())),
        Finder::Order => None,
    });
    values.push(Value::from(window.before));

    // The outer ORDER BY sorts by the first column: the finder's own `seq`, which its index gives in order.
    let seq = if matches!(finder, Finder::Tag | Finder::Capability) { "f.seq" } else { "t.seq" };
    let mut select = format!("SELECT {} FROM {from}", task::COLUMNS.replacen("t.seq", seq, 1));
    let others = [
        (Finder::Object, "+t.object = ?", object),
        (Finder::Tag, "EXISTS (SELECT 1 FROM task_tag x WHERE x.tag = ? AND x.seq = t.seq)", tag),
        (
            Finder::Capability,
            "EXISTS (SELECT 1 FROM task_capability x WHERE x.capability = ? AND x.seq = t.seq)",
            capability,
        ),
        (Finder::Runtime, "+t.runtime = ?", runtime),
    ];
    for (other, condition, value) in others {
        if let Some(value) = value.filter(|_| other != finder) {
            select.push_str(&format!(" AND {condition}"));
            values.push(value);
        }
    }
    if !filter.state.is_empty() && !matches!(finder, Finder::State(_)) {
        let marks = vec!["?"; filter.state.len()].join(", ");
        select.push_str(&format!(" AND +t.state IN ({marks})"));
        values.extend(filter.state.iter().map(|state| Value::from(state.as_str().to_owned())));
    }
    select
}

#[cfg(test)]
mod tests {
    use rusqlite::params;

    use super::super::testing::{key, name, open};
    use super::super::{ArtifactFilter, AuditFilter, Page, artifact, audit, journal};
    use super::*;

    /// So many tasks, each with a tag, a capability, an artifact and an audit entry.
    async fn filled(store: &Store, tasks: u32) {
        let fill = "
            CREATE TEMP TABLE n AS WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {tasks})
                SELECT n FROM n;
            INSERT INTO task (id, spec, actor, state, runtime, object, attempts, policy, created_at)
                SELECT 'task-' || n, '{\"capability\": \"text.summarize\"}', 'uid 0',
                    CASE n % 1000 WHEN 0 THEN 'queued' WHEN 1 THEN 'running' WHEN 2 THEN 'error' ELSE 'done' END,
                    'swap', 'Task/t' || (n % 7), 0, '[]', n FROM n;
            INSERT INTO task_tag SELECT 'project:Acme', n FROM n;
            INSERT INTO task_capability SELECT 'text.summarize', n FROM n;
            INSERT INTO artifact (path, sha256, bytes, kind, task, capability, model, created_at, lineage)
                SELECT 'runs/' || n, '', 0, 'md', 'task-' || (n % 7), 'text.summarize', 'qwen', n, '{}' FROM n;
            INSERT INTO artifact_tag SELECT 'project:Acme', n FROM n;
            INSERT INTO audit (at, actor, verb, object, reason, result)
                SELECT n, 'arcology', 'load', 'Loadout/desk', '', 'ok' FROM n;";
        let fill = fill.replace("{tasks}", &tasks.to_string());
        store.write_relaxed(move |conn| Ok(conn.execute_batch(&fill)?)).await.unwrap();
    }

    async fn plan(store: &Store, query: &str, values: Vec<Value>) -> String {
        let explain = format!("EXPLAIN QUERY PLAN {query}");
        let steps = store
            .read(move |conn| sql::all(conn, &explain, params_from_iter(values), |row| Ok(row.get::<_, String>(3)?)));
        steps.await.unwrap().join("\n")
    }

    fn filters() -> Vec<TaskFilter> {
        let none = TaskFilter::default;
        let acme = || Some("project:Acme".to_owned());
        let summarize = || Some("text.summarize".to_owned());
        vec![
            none(),
            TaskFilter { state: vec![TaskState::Queued], ..none() },
            TaskFilter { state: TaskState::ALL.to_vec(), ..none() },
            TaskFilter { capability: summarize(), ..none() },
            TaskFilter { runtime: Some(name("swap")), ..none() },
            TaskFilter { tag: acme(), ..none() },
            TaskFilter { object: Some(key("Task/t3")), ..none() },
            TaskFilter { state: vec![TaskState::Queued, TaskState::Running], tag: acme(), ..none() },
            TaskFilter { state: vec![TaskState::Error], tag: acme(), capability: summarize(), ..none() },
            TaskFilter { runtime: Some(name("swap")), object: Some(key("Task/t3")), capability: summarize(), ..none() },
        ]
    }

    #[tokio::test]
    async fn among_a_hundred_thousand_every_page_is_found_by_an_index_and_nothing_is_sorted() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        filled(&store, 100_000).await;
        let mut plans = Vec::new();
        for filter in filters() {
            let (query, values) = query(&filter, Window::of(List::Tasks, &Page::default()).unwrap());
            plans.push((format!("{filter:?}"), plan(&store, &query, values).await));
        }
        let one = || Some("1".to_owned());
        let (object, actor, verb) = (AuditFilter::default(), AuditFilter::default(), AuditFilter::default());
        let entries = [
            AuditFilter { object: one(), ..object },
            AuditFilter { actor: one(), ..actor },
            AuditFilter { verb: one(), ..verb },
            AuditFilter { object: one(), actor: one(), verb: one() },
            AuditFilter::default(),
        ];
        for filter in entries {
            let (query, values) = audit::query(&filter, Window::of(List::Audit, &Page::default()).unwrap());
            plans.push((format!("{filter:?}"), plan(&store, &query, values).await));
        }
        let none = ArtifactFilter::default;
        let artifacts = [
            none(),
            ArtifactFilter { task: one(), ..none() },
            ArtifactFilter { capability: one(), ..none() },
            ArtifactFilter { model: one(), ..none() },
            ArtifactFilter { tag: one(), ..none() },
            ArtifactFilter { kind: one(), ..none() },
            ArtifactFilter { text: one(), ..none() },
            ArtifactFilter { task: one(), capability: one(), model: one(), tag: one(), kind: one(), text: one() },
        ];
        for filter in artifacts {
            let (query, values) = artifact::query(&filter, Window::of(List::Artifacts, &Page::default()).unwrap());
            plans.push((format!("{filter:?}"), plan(&store, &query, values).await));
        }
        let values = vec![Value::from("swap".to_owned()), Value::from("qwen".to_owned()), Value::from(9)];
        plans.push(("load durations".to_owned(), plan(&store, journal::LOAD_DURATIONS, values).await));
        for (what, plan) in plans {
            // The one scan that is none: a full-text search, which finds its rows in its own index, in order.
            let scans = plan.replace("SCAN w VIRTUAL TABLE INDEX", "").contains("SCAN");
            assert!(!scans && !plan.contains("TEMP B-TREE"), "{what}:\n{plan}");
        }
        let unfinished = plan(&store, &format!("SELECT t.spec {}", task::UNFINISHED), Vec::new()).await;
        assert!(unfinished.contains("task_unfinished") && !unfinished.contains("TEMP B-TREE"), "{unfinished}");
    }

    #[tokio::test]
    async fn pages_hold_every_task_that_fits_once_newest_first_whatever_finds_them() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let row = |n: u32| {
            let mut row = super::super::testing::task(&format!("task-{n:02}"));
            row.state = TaskState::ALL[usize::try_from(n).unwrap() % 6];
            row.runtime = n.is_multiple_of(2).then(|| name("swap"));
            row.object = n.is_multiple_of(3).then(|| key("Task/t3"));
            row.spec.tags = if n.is_multiple_of(5) { Vec::new() } else { vec!["project:Acme".to_owned()] };
            row.spec.capability.0.extend((n % 4 == 1).then(|| "text.translate".to_owned()));
            row
        };
        for n in 0..60 {
            assert!(store.task_add(row(n)).await.unwrap().new);
        }
        for filter in filters()
            .into_iter()
            .chain([TaskFilter { capability: Some("text.translate".to_owned()), ..TaskFilter::default() }])
        {
            let fits = |row: &TaskRow| {
                (filter.state.is_empty() || filter.state.contains(&row.state))
                    && filter.capability.as_ref().is_none_or(|wanted| row.spec.capability.0.contains(wanted))
                    && filter.tag.as_ref().is_none_or(|wanted| row.spec.tags.contains(wanted))
                    && (filter.runtime.is_none() || filter.runtime == row.runtime)
                    && (filter.object.is_none() || filter.object == row.object)
            };
            let expected: Vec<TaskRow> = (0..60).rev().map(row).filter(fits).collect();
            let (mut found, mut cursor) = (Vec::new(), None);
            loop {
                let listing = store.tasks(filter.clone(), Page { limit: 7, cursor }).await.unwrap();
                found.extend(listing.items);
                cursor = listing.next;
                if cursor.is_none() {
                    break;
                }
            }
            assert_eq!(found, expected, "{filter:?}");
        }
        let all = store.tasks(TaskFilter::default(), Page { limit: 10, cursor: None }).await.unwrap();
        store.task_add(row(60)).await.unwrap();
        let next = store.tasks(TaskFilter::default(), Page { limit: 10, cursor: all.next }).await.unwrap();
        assert_eq!(next.items[0].id, "task-49", "a new task moves no page that follows");
    }

    #[tokio::test]
    async fn counting_costs_nothing_and_is_right_even_when_rows_are_deleted() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        filled(&store, 3_000).await;
        let deleted = store.write(|conn| sql::change(conn, "DELETE FROM task WHERE state = ?1", params!["error"]));
        assert_eq!(deleted.await, Ok(3));
        let counts = store.task_counts().await.unwrap();
        assert_eq!(counts.into_values().collect::<Vec<_>>(), [3, 0, 3, 2_991, 0, 0]);
        let tags =
            store.read(|conn| Ok(conn.query_row("SELECT count(*) FROM task_tag", [], |row| row.get::<_, i64>(0))?));
        assert_eq!(tags.await, Ok(2_997));
    }
}
