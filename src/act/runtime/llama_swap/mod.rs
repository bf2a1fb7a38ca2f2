//! llama-swap: a proxy that starts and stops model servers so that they share a GPU.
//!
//! Looking uses paths that are known to change nothing; loading and unloading are confirmed by looking; work goes
//! through the OpenAI routes. What bites is written in `docs/adapters/llama-swap.md`.

mod activity;
mod adapter;
mod captures;
mod events;
mod in_flight;
mod load;
mod paths;
mod performance;
mod run;
mod seen;
mod wire;

pub use adapter::{CAPABILITIES, LlamaSwap};
pub use paths::Look;
