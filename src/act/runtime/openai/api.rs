//! Whom to ask, where, for how long, and with which prompts.

use std::time::Duration;

use crate::act::http::Client;
use crate::act::runtime::prompts::Prompts;

/// A server that speaks OpenAI's protocol, as far as its routes need it.
#[derive(Clone, Copy, Debug)]
pub struct Api<'a> {
    pub client: &'a Client,
    pub prompts: &'a Prompts,
    /// How long one call may take.
    pub limit: Duration,
    pub routes: Routes,
}

impl<'a> Api<'a> {
    /// A server that has its routes where most have them.
    #[must_use]
    pub fn new(client: &'a Client, prompts: &'a Prompts, limit: Duration) -> Self {
        Self { client, prompts, limit, routes: Routes::USUAL }
    }
}

/// The paths below the endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Routes {
    pub chat: &'static str,
    pub embeddings: &'static str,
    pub speech: &'static str,
    pub transcriptions: &'static str,
}

impl Routes {
    /// As most servers have them.
    pub const USUAL: Self = Self {
        chat: "/v1/chat/completions",
        embeddings: "/v1/embeddings",
        speech: "/v1/audio/speech",
        transcriptions: "/v1/audio/transcriptions",
    };
}
