//! All integration tests in one binary: one link step.

mod cli;
mod double;
mod house;
mod manifest;
mod remember;
mod runtime;
mod scheduler;
mod source;
mod telemetry;
mod up;
mod web;
mod world;
