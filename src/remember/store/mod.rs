//! The store: SQLite in WAL mode, one writer with group commit, many readers, typed rows.
//!
//! | file | owns |
//! | --- | --- |
//! | [`row`] | the rows as the rest of the program sees them |
//! | `handle` | [`Store`]: open, close, health |
//! | `writer`, `reader`, `gauge` | the one thread that writes; the few connections that read; how both fare |
//! | `place`, `migrate`, `backup` | the directory and its lock; the schema; online copies |
//! | [`archive`] | what is remembered of past work, read without being the daemon |
//! | `revision`, `inventory`, `journal`, `audit`, `history` | what reconciling needs to remember |
//! | `lock` | who held which GPU when |
//! | `task`, `task_life`, `task_outcome`, `task_list`, `artifact` | work and what came of it |
//! | `dispatch`, `lease`, `span`, `resume` | the records of the dispatcher; what it takes up again |
//! | `cut` | where a test lets the store stop as if the program had died |
//! | `error`, `page`, `sql` | what goes wrong; pages and cursors; columns |
//!
//! Only this room names rusqlite.

pub mod archive;
mod artifact;
mod audit;
mod backup;
#[doc(hidden)]
pub mod cut;
mod dispatch;
#[cfg(test)]
mod dispatch_tests;
mod error;
mod gauge;
mod handle;
mod history;
mod inspect;
mod inventory;
mod journal;
mod lease;
mod lock;
mod migrate;
mod page;
mod place;
mod reader;
pub mod resume;
mod revision;
pub mod row;
mod span;
mod sql;
mod task;
mod task_life;
mod task_list;
mod task_outcome;
#[cfg(test)]
mod testing;
mod writer;

pub use archive::Archive;
pub use artifact::ArtifactFilter;
pub use audit::{AuditEntry, AuditFilter};
pub use dispatch::{ARCOLOGY, Stamp, Yield, cancelled_words};
pub use error::Error;
pub use handle::{Answer, Store};
pub use inspect::{Inspected, inspect};
pub use journal::{Effects, NewIntent};
pub use lock::{LockChange, LockFilter, SPANS_KEPT};
pub use page::{Listing, PAGE_ITEMS, PAGE_ITEMS_MAX, Page};
pub use place::{DATABASE_FILE, LOCK_FILE};
pub use resume::{Open, Took};
pub use revision::Removal;
pub use task::{NewTask, TaskAdded};
pub use task_list::TaskFilter;
pub use task_outcome::TaskOutcome;
