//! The built-in runtime: real work on a fresh clone, on the CPU, inside the program.
//!
//! It has two models for `text.summarize`, both published baselines that choose sentences of the text itself; and
//! `doc.extract` and `text.stats`, which need no model. It is no language model and never claims to be one.

mod adapter;
mod block;
mod loaded;
mod plain;
mod sentence;
mod stats;
mod summarize;
mod textrank;
mod word;
mod work;

pub use adapter::{Builtin, CAPABILITIES, MODELS};
