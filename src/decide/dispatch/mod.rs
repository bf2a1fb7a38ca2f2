//! Between the scheduler and the world: what is written before what is called, what is believed after what, what a crash
//! leaves and how it is taken up. Pure: inputs go in, ops come out; whoever carries ops out owns disk, runtimes and time.
//!
//! Rules that hold everywhere here:
//! 1. Nothing is called before the record of it was written.
//! 2. A result is believed, and the scheduler told of it, only after it was written.
//! 3. A record leaves exactly one audit entry, or none, and [`Record::audit`] says which.
//! 4. What is on disk at any moment is enough: recovering takes up every task, load and lease from it.
//!
//! | file | owns |
//! | --- | --- |
//! | [`input`] | what happens |
//! | [`op`] | what is to be done |
//! | [`record`] | what is written, and its audit entry |
//! | [`stored`] | what is read back |
//! | `core`, `answer` | the state; what follows from a record being on disk, or not |
//! | `task`, `retry`, `ended` | a task's way through starts, ends, cancels and reroutes |
//! | `call`, `lease` | loads, unloads and claims; leases |
//! | `recover` | taking up what is on disk |
//! | [`ledger`] | what the disk is, as a plain value: for simulations, and to hold the store to |

mod answer;
mod call;
mod core;
mod ended;
pub mod input;
mod lease;
pub mod ledger;
pub mod op;
pub mod record;
mod recover;
pub mod retry;
pub mod stored;
mod task;

pub use self::core::{Core, Machine};
pub use input::{CallFailure, ClaimId, Input, NotWritten, RunFailure, RunOutcome};
pub use ledger::Ledger;
pub use op::{Note, Op, SpanKind, WriteId};
pub use record::{AttemptEnd, Audit, LeaseEnd, Record};
pub use stored::{OpenCall, Phase, Restored, Stored, StoredLease};

#[cfg(test)]
mod tests;
