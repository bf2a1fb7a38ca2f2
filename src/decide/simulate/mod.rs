//! A simulated world in which the real planner, scheduler and engine core run: time, runtimes, cards, disk and faults from a
//! seed, invariants checked after every event.

pub mod broken;
pub mod calendar;
mod describe;
pub mod disk;
pub mod event;
pub mod generate;
pub mod invariant;
#[cfg(test)]
mod known;
pub mod ledger;
pub mod machines;
pub mod program;
pub mod repository;
pub mod run;
pub mod script;
pub mod seed;
pub mod shrink;
pub mod soak;
mod steps;
#[cfg(test)]
mod tests;
pub mod time;
pub mod trace;
pub mod watched;
mod wires;
pub mod witness;
