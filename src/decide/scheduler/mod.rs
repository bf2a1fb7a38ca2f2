//! Who may use a GPU, when, and why not yet: a pure state machine.
//!
//! `State::apply(event, now)` gives decisions; no I/O, no clock, no randomness beyond a seed in the state. The same code runs
//! in production, in simulation and in `arcology simulate`. What an event is persisted as, and how a decision is carried
//! out, is the engine's.

pub mod config;
pub mod decision;
pub mod event;
pub mod id;
pub mod reason;
pub mod view;

pub use config::{Config, GpuConfig, HostConfig, ModelConfig, Pin, RuntimeConfig};
pub use decision::{Decision, FailCode, Holder, LockMode, Place};
pub use event::{ClaimVerb, Dependency, End, Event, LeaseRequest, Over, Request, RuntimeSeen};
pub use id::{GpuId, LeaseId, ModelAt, Moment, TaskSeq};
pub use reason::Reason;
pub use view::SchedulerView;
