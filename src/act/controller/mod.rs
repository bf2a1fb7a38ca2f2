//! The queue of reconciliations: which object is looked at when, and never two looks at one object at once.
//!
//! Generic over the key of an object (`K`) and over what can be waited for (`E`, an edge: something that changes in the
//! world, such as a runtime that is reachable again). What a reconciliation does is the caller's function.
//!
//! # Flow
//!
//! 1. Something happens. [`Handle`] puts the key into the queue: a new generation (`changed`), an observation
//!    or a person asking (`trigger`), an edge (`wake`). A key is there once, however often it is asked for.
//! 2. [`Controller::run`] takes the next key that is due, best [`Lane`] first, when a slot is free, and calls the
//!    reconcile function with a [`Run`]: the key, its generation, and every reason why it is looked at.
//! 3. The function returns an [`Outcome`]: done, wait for an edge, retry, stalled. A panic or an overrun is a retry.
//! 4. The queue turns the outcome into the key's next place and arms the timer; back to 1.
//!
//! # Guarantees
//!
//! - Every key is in exactly one place: scheduled, pending, running, waiting with a deadline, or at rest (idle, stalled).
//! - One key never runs twice at once. A trigger during a run causes at least one more run.
//! - An edge that fires during the run that goes on to wait for it wakes it: no wake-up is lost.
//! - A new generation ends wait, backoff and stall of the old one; what a run of the old one says does not count.
//! - Objects that failed or were slow have slots of their own and never take those of the others.
//! - A run that panics or overruns hurts its own object alone.
//! - Shutdown starts nothing, waits for a grace time, and names every key that is owed a run.
//! - Memory grows with the keys that were not forgotten, and with nothing else.
//!
//! # Assumptions
//!
//! - Reconciling looks at the world anew each time: a trigger says *that* something changed, never *what*.
//! - `wake` is called when something changes, not while it stays so: each call costs a run of all who wait for it.
//! - A run does not trigger its own key: it would be looked at for ever.
//! - A reconcile function yields to the runtime. One that blocks its thread cannot be stopped by its deadline.
//!
//! # Caveats
//!
//! - Lanes are strict: resyncs wait for as long as better lanes have work.
//! - Nobody knows beforehand which run will be slow. Where more of them turn slow at once than there are slow slots, the
//!   rest keep their fast slots until a slow one is free or their deadline ends.
//! - The queue is memory. After a restart every object is handed in again, and looked at anew.

mod backoff;
pub mod breaker;
mod handle;
mod moment;
mod outcome;
mod queue;
mod reason;
mod runner;
#[cfg(test)]
mod scripts;
mod snapshot;
#[cfg(test)]
mod tests;

pub use breaker::Breaker;
pub use handle::{Handle, Stopped};
pub use outcome::{Outcome, RetryClass};
pub use reason::{Lane, Reason, Reasons, Run};
pub use runner::{Controller, Options, Unfinished};
pub use snapshot::{Failing, Place, Snapshot, Standing};

use std::fmt::Debug;

/// What names an object: anything cheap to clone that has an order.
pub trait Key: Clone + Ord + Debug + Send + 'static {}
impl<T: Clone + Ord + Debug + Send + 'static> Key for T {}

/// What can be waited for: a change in the world, by name.
pub trait Edge: Clone + Ord + Debug + Send + 'static {}
impl<T: Clone + Ord + Debug + Send + 'static> Edge for T {}
