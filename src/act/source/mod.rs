//! Git: opening, watching, fetching, verifying, and reading exactly what changed.
//!
//! The only room that names `git2` and `notify`, and the only one that runs the `git` program. Everything blocks: the
//! engine calls it on a blocking thread, and only [`Watcher`] is async. No `git2` handle leaves this room.
//!
//! Flow of one look ([`Source::poll`]):
//! 1. find the tip: read the branch of a local repository ([`local`]), or ask the remote and fetch ([`remote`], through
//!    the `git` program in a sealed environment, [`git_program`]);
//! 2. nothing more when the tip is the commit in force;
//! 3. hold a rewritten history ([`history`]) and an unsigned commit ([`verify`]);
//! 4. compare tree ids with the last look ([`tree`]), parse what is new ([`index`]), attribute it ([`history`]).
//!
//! Guarantees
//! - Looking at the same commit step by step or all at once gives the same files.
//! - One bad file, link or name is one [`crate::declare::manifest::ParsedFile`] that says so; it stops nothing else.
//! - An error changes nothing: the last snapshot stays valid, and the next look starts afresh.
//!
//! After a restart the first look gives `Changed` even when the tip is the commit in force, because nothing was read
//! yet. When that first look fails or holds, [`Source::snapshot_at`] the commit in force still works from what is on disk.

mod address;
pub mod code;
mod credentials;
mod error;
mod fault;
mod git_program;
mod history;
mod index;
mod local;
mod look;
pub mod options;
mod place;
mod reader;
mod remote;
mod snapshot;
mod state;
mod tree;
mod verify;
mod watch;
mod worktree;

pub use error::{Error, Reason};
pub use look::Source;
pub use options::{FOLDERS, Options};
pub use snapshot::{Held, Paths, Poll, Snapshot, Stats};
pub use watch::{Places, Wake, Watcher};
pub use worktree::snapshot_of_dir;
