//! vLLM: one base model a process, put to sleep and woken where the server allows it.
//!
//! Looking uses six paths that are known to change nothing. Loading is waking and unloading is putting to sleep, both
//! confirmed by looking; work goes through the OpenAI routes. What bites is written in `docs/adapters/vllm.md`.

mod adapter;
mod metrics;
mod paths;
mod seen;
mod sleep;
mod wire;

pub use adapter::{CAPABILITIES, Vllm};
pub use paths::Look;
