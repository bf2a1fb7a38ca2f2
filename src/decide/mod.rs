//! What follows from what was declared and what was seen: plans, sync, health, holds, costs.
//!
//! Functions of their arguments: no I/O, no clock, no randomness but a seed. That is why they can be simulated.

pub mod dispatch;
pub mod growth;
pub mod host_view;
pub mod reconcile;
pub mod scheduler;
pub mod simulate;
pub mod view;
