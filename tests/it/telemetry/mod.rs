//! Measuring: the driver in every state that it can be in, by a library that is made for it, and the engine beside it.

mod driver;
mod engine;
pub mod fake;
