//! From the world and what was seen of it to a plan: what differs, what is done about it, and why not yet.

pub mod plan;
pub mod status;

pub use plan::{Cost, Intent, Plan, Target, Verb};
pub use status::{Drift, FieldDifference, Health, Hold, HoldReason, ObjectStatus, Sync};
