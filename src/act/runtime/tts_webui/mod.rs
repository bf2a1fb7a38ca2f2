//! Speech servers: TTS-WebUI, and others that speak OpenAI's speech route and differ in everything else.
//!
//! What each is asked in order to look is in [`paths`]; a sound is checked before it is kept, and what went wrong is compared
//! with the voices there are. What bites is written in `docs/adapters/tts-webui.md`.

mod adapter;
mod paths;
mod voice;
mod wave;
mod wire;

pub use adapter::{CAPABILITIES, TtsWebui};
pub use paths::Look;
