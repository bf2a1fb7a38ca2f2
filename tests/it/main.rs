//! All integration tests in one binary: one link step.

mod manifest;
mod remember;
mod web;
