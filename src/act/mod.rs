//! What touches the outside: Git, runtimes, the machine, time, and the loop that carries plans out.

pub mod clock;
pub mod controller;
pub mod discover;
pub mod doctor;
pub mod engine;
pub mod http;
pub mod runtime;
pub mod source;
pub mod telemetry;
