//! The vault: artifacts stored once by SHA-256, readable under their own names, each with its lineage beside it.
//!
//! ```text
//! objects/ab/cdef…                      the bytes, named by their SHA-256, read-only
//! runs/<date>/<task>/<name>             the same file under a name for people
//! runs/<date>/<task>/<name>.lineage.json   where it came from
//! tmp/                                  what is being written
//! ```
//!
//! Everything here blocks: call it from `tokio::task::spawn_blocking`. The vault does not know the store; who writes an
//! artifact records it there afterwards, and `rebuild` gives the rows back when the store is lost.

mod check;
mod error;
mod handle;
mod lineage;
mod name;
mod publish;
mod put;

pub use check::{Problem, Rebuilt, Report};
pub use error::Error;
pub use handle::{READ_BYTES_MAX, Vault};
pub use lineage::{Identity, Input, Lineage, Timings};
pub use publish::{Link, Published};
pub use put::ARTIFACT_BYTES_MAX;
