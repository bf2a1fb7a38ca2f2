//! The source against real temporary repositories.

mod cost;
mod history;
mod hostile;
mod look;
mod property;
mod remote;
pub mod repo;
mod verify;
mod watch;
mod worktree;
