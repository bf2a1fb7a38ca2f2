//! llama.cpp's own server, `llama-server`: with one model, or as a router that loads and unloads several.
//!
//! Which of the two it is, the server tells itself. Looking uses five paths that are known to change nothing; loading and
//! unloading are confirmed by looking; work goes through the OpenAI routes. What bites is written in
//! `docs/adapters/llama-server.md`.

mod adapter;
mod events;
mod load;
mod paths;
mod seen;
mod told;
mod wire;

pub use adapter::{CAPABILITIES, LlamaServer};
pub use paths::Look;
