//! Work over the routes that OpenAI's protocol names, as many servers speak it: the base of several adapters.
//!
//! One file a route. Whom to ask, for how long and with which prompts is told by an [`Api`]; observing, loading and
//! everything else that differs from server to server is each adapter's own.

mod api;
pub mod chat;
pub mod embed;
mod reply;

pub use api::{Api, Routes};
