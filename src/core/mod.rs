//! Words every wing uses: names, digests, times, units, revisions and observed values.
//!
//! Nothing here does I/O or reads a clock. A type belongs here only when at least two wings need it.

pub mod backoff;
pub mod clock;
pub mod digest;
pub mod key;
pub mod observed;
pub mod revision;
pub mod rng;
pub mod text;
pub mod unit;

pub use clock::Clock;
pub use digest::Digest;
pub use jiff::Timestamp;
pub use key::{Kind, Name, ObjectKey};
pub use observed::{Observed, Reading};
pub use revision::{Commit, CommitSha, Revision};
