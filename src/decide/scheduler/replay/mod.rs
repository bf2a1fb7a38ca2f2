//! What would have happened: submissions replayed through a scheduler, in simulated time.
//!
//! A [`Trace`] says what was asked for, when, and how long each piece of work and each load takes. [`replay`] hands it to a
//! [`Scheduler`] event by event, carries its decisions out in simulated time, and counts what comes of them: who waited for
//! how long, how often models were loaded, how long GPUs were locked, how full they were. `arcology simulate` and the
//! benchmarks stand on it.
//!
//! Nothing fails in a replay and no program takes memory beside the runtimes: it compares policies, it does not test them.
//! Where a trace comes from is left to others; [`history`] makes one of what a store remembers.
//!
//! | file | owns |
//! | --- | --- |
//! | [`trace`] | what is replayed |
//! | `machine` | simulated time: what happens next, and what a decision leads to |
//! | `ledger` | counting what comes of it |
//! | [`report`] | what was counted |
//! | [`history`] | a trace of recorded tasks |

pub mod history;
mod ledger;
mod machine;
pub mod report;
pub mod trace;

pub use machine::{Scheduler, replay};
pub use report::{Fate, Outcome, Report, Spread};
pub use trace::{LoadTimes, Submission, Trace, Work};

#[cfg(test)]
mod tests;
