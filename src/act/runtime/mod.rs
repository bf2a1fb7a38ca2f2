//! Runtimes: one contract, one file or folder an adapter. An adapter translates; it decides nothing.

pub mod adapter;

pub use adapter::{
    Abilities, Adapter, Fault, InputFile, Invocation, Outcome, Output, Progress, RuntimeError, RuntimeEvent,
};
