//! What people and scripts see and say: the command line, the control socket, the read-only page and its JSON.

pub mod cli;
pub mod control;
pub mod diagnostics;
pub mod log;
pub mod terminal;
pub mod web;
