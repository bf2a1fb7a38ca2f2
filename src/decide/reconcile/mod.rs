//! From the world and what was seen of it to a plan: what differs, what is done about it, and why not yet.
//!
//! [`plan()`] answers for everything, [`plan_object`] for one object; the second is what the loop carries out and the
//! first is the second over every key, so `arcology plan`, the page and the loop can never disagree.
//!
//! One file a kind that has something to compare ([`loadout`], [`task`], [`runtime`], [`model`], [`host`], [`removed`]);
//! [`declared`] answers for kinds that are in force by being declared.

pub mod assumed;
pub mod cost;
pub mod declared;
pub mod drift_loop;
pub mod gpu_use;
pub mod history;
pub mod host;
pub mod inputs;
pub mod loadout;
pub mod lock;
pub mod memory;
pub mod model;
pub mod offer;
pub mod plan;
pub mod planner;
pub mod removed;
pub mod runtime;
pub mod status;
pub mod task;
#[cfg(test)]
mod tests;
pub mod unfinished;

pub use history::{Correction, Failure, ObjectHistory};
pub use inputs::{Holding, Inputs, LoadHistory, TaskFact, held_since};
pub use plan::{Bookkeeping, Cost, Intent, ObjectPlan, Plan, Target, Verb};
pub use planner::{plan, plan_object};
pub use status::{Drift, FieldDifference, Health, Hold, HoldReason, ObjectStatus, Sync};
