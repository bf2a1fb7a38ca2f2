//! The command line: one file a verb, all output through one place.

pub mod failure;
pub mod plan;
pub mod table;
pub mod ui;
