//! The real binary, run as a person runs it: a state repository, `arcology up`, commits, and what surfaces then say.

pub mod harness;
mod steps;
