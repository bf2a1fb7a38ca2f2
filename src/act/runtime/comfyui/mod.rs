//! ComfyUI: workflows with named inputs, followed over its WebSocket, their outputs fetched.
//!
//! [`paths`] is the only way to look; [`workflow`] fills a graph; [`submit`] hands it over and [`watch`] follows it to its end,
//! which [`verdict`] reads; [`fetch`] brings the outputs, [`leave`] takes back what nobody waits for any more and has memory
//! given up. What bites is written in `docs/adapters/comfyui.md`.

mod adapter;
mod events;
mod fetch;
mod id;
mod leave;
mod media;
mod paths;
mod refusal;
mod run;
mod seen;
mod submit;
mod told;
mod verdict;
mod watch;
mod wire;
mod workflow;

pub use adapter::Comfyui;
pub use paths::Look;
