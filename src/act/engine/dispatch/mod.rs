//! The scheduler at work: one task owns the dispatcher's core, everybody else sends it what happened.
//!
//! | file | owns |
//! | --- | --- |
//! | [`inbox`] | what can be sent and asked, and how answers come back |
//! | [`work`] | the loop: inputs in batches, ops carried out, the view published |
//! | [`pen`] | writing records in order, many to a commit |
//! | [`effect`] | calls: attempts, loads, unloads |
//! | [`lessees`] | who has which lease, for telling why one was taken back |
//! | [`waiters`] | who waits for what became of a task or a lease |
//! | [`fact`], [`view`] | what the planner and surfaces are told |
//! | [`config`] | the world in force in the scheduler's shape, under the runtimes' own names |

pub mod config;
pub mod effect;
pub mod fact;
pub mod inbox;
pub mod lessees;
pub mod pen;
pub mod view;
pub mod waiters;
pub mod work;

pub use inbox::{Inbox, Message, Refusal};
