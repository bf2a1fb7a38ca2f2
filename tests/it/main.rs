//! All integration tests in one binary: one link step.

mod cli;
mod manifest;
mod remember;
mod world;
