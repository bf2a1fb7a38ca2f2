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
