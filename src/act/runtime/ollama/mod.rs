//! Ollama: models that are loaded when they are asked for, and unloaded when nobody asked for a while.
//!
//! Looking uses three paths that change nothing; loading and unloading are confirmed by looking; work goes through the
//! OpenAI routes. What bites is written in `docs/adapters/ollama.md`.

mod adapter;
mod load;
mod seen;
mod wire;

pub use adapter::{CAPABILITIES, Look, Ollama};
