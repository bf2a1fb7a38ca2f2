//! `arcology plan`: what a change would do, without touching anything.

pub mod changes;
pub mod json;
pub mod markdown;
pub mod report;
pub mod text;

#[cfg(test)]
mod samples;
