//! The command line as a program: what it prints, where, and how it leaves.

mod context;
mod daemon;
mod discover;
mod doctor;
mod help;
mod manifests;
mod simulate;
mod with_daemon;
mod without_daemon;
