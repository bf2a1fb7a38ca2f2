//! Doubles: servers on loopback that behave as real ones do, or as badly as they can.

mod activity;
mod chat;
pub mod comfyui;
mod comfyui_work;
pub mod gate;
pub mod llama_server;
pub mod llama_swap;
pub mod ollama;
pub mod openai;
pub mod port;
pub mod raw;
pub mod server;
pub mod shared;
pub mod state;
pub mod textgen_webui;
pub mod tts_webui;
pub mod vllm;
