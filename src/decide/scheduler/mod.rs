//! Who may use a GPU, when, and why not yet: a pure state machine.
//!
//! `State::apply(event, now)` gives decisions; no I/O, no clock, no randomness beyond a seed in the state. The same code runs
//! in production, in simulation and in `arcology simulate`. What an event is persisted as, and how a decision is carried
//! out, is the engine's.

mod broken;
mod check;
mod claim;
pub mod config;
pub mod decision;
mod disk;
mod dispatch;
mod eta;
pub mod event;
mod exclusive;
mod explain;
mod finish;
mod hash;
pub mod id;
mod intake;
mod lane;
mod lease;
mod line;
mod lock;
mod memory;
mod models;
mod options;
mod queue;
pub mod reason;
pub mod replay;
mod rest;
mod snapshot;
mod start;
pub mod state;
mod table;
#[cfg(test)]
mod tests;
mod timer;
pub mod view;
mod world;

#[cfg(any(test, feature = "broken-rules"))]
pub use broken::Rule;
pub use config::{Config, GpuConfig, HostConfig, ModelConfig, Pin, RuntimeConfig};
pub use decision::{Decision, FailCode, Holder, LockMode, Place};
pub use event::{ClaimVerb, Dependency, End, Event, LeaseRequest, Over, Request, RuntimeSeen};
pub use id::{GpuId, LeaseId, ModelAt, Moment, TaskSeq};
pub use reason::{Halt, Reason};
pub use state::State;
pub use view::SchedulerView;
