//! Runtimes: one contract, one file or folder an adapter. An adapter translates; it decides nothing.

pub mod adapter;
pub mod builtin;
pub mod comfyui;
pub mod connect;
pub mod document;
pub mod exec;
pub mod fault;
pub mod input;
pub mod limit;
pub mod llama_server;
pub mod llama_swap;
pub mod ollama;
pub mod openai;
pub mod params;
pub mod prompts;
pub mod reach;
pub mod sse;
pub mod stop;
pub mod textgen_webui;
pub mod tts_webui;
pub mod vllm;

pub use adapter::{
    Abilities, Adapter, Call, Events, Fault, InputFile, Invocation, MachineSample, Outcome, Output, Progress,
    RuntimeError, RuntimeEvent,
};
pub use connect::{Places, connect};
