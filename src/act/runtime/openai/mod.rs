//! Servers that speak OpenAI's protocol: the adapter `openai`, and the routes that other adapters use too.
//!
//! One file a route. Whom to ask, for how long and with which prompts is told by an [`Api`]; observing, loading and
//! everything else that differs from server to server is each adapter's own.

mod adapter;
mod api;
pub mod chat;
pub mod embed;
pub mod models;
mod reply;
pub mod sound;
pub mod speech;
pub mod transcribe;

pub use adapter::OpenAi;
pub use api::{Api, Routes};
