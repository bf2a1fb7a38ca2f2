//! text-generation-webui: one model at a time, loaded and unloaded over its internal API.
//!
//! Looking uses three paths that are known to change nothing. A load is believed once tokens can be counted with the model;
//! that is asked once after a load, because it may load by itself. What bites is written in
//! `docs/adapters/textgen-webui.md`.

mod adapter;
mod load;
mod paths;
mod seen;
mod wire;

pub use adapter::{CAPABILITIES, TextgenWebui};
pub use paths::Look;
