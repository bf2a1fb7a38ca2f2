//! The simulated program: what `arcology up` is besides planner, scheduler and engine core. It looks at runtimes, takes
//! revisions in, carries plans out, and keeps to the order of the engine: written down first, then done, then believed.
//!
//! All of it is lost at a crash; [`super::disk`] is what stays.

pub mod carry_out;
pub mod looks;
pub mod memory;
pub mod requests;
pub mod revisions;
pub mod work;

use std::collections::{BTreeMap, BTreeSet};

use crate::core::{Name, ObjectKey};
use crate::decide::dispatch::{ClaimId, Core};
use crate::decide::reconcile::Hold;
use crate::decide::scheduler::{ClaimVerb, ModelAt, TaskSeq};

use super::machines::CallId;
use super::watched::Watched;
use carry_out::Job;
use memory::Memory;

/// The program, while it runs.
#[derive(Debug, Default)]
pub struct Program {
    pub memory: Memory,
    /// Objects that are being reconciled.
    pub jobs: BTreeMap<ObjectKey, Job>,
    /// When an object is to be looked at next.
    pub due: BTreeMap<ObjectKey, u64>,
    /// Failures in a row of an object's actions.
    pub failures: BTreeMap<ObjectKey, u32>,
    /// Whom the answer of a call is for.
    pub calls: BTreeMap<CallId, Purpose>,
    /// Runtimes that are looked at, each with its failed looks in a row.
    pub observers: BTreeMap<Name, u32>,
    /// A revision is being written down.
    pub applying: bool,
    pub dispatcher: Option<Core<Watched>>,
    /// When the dispatcher is woken next, in true time.
    pub wake_at: Option<u64>,
    /// Claims that were answered just now.
    pub answers: BTreeMap<ClaimId, Result<(), Hold>>,
    /// Objects that wait for the scheduler to let go of something.
    pub waiting: BTreeSet<ObjectKey>,
    /// The claim that an object's action was admitted by.
    pub claims: BTreeMap<ObjectKey, ClaimId>,
    /// When each runtime was last heard of, on the steady clock.
    pub heard_ms: BTreeMap<Name, u64>,
    /// Actions that were under way when the program ended, until their object is planned.
    pub open: BTreeMap<ObjectKey, BTreeSet<u64>>,
}

/// Whom the answer of a call is for.
#[derive(Clone, Debug, PartialEq)]
pub enum Purpose {
    /// A look at a runtime, for whoever wants to know.
    Look(Name),
    /// An action of an object's plan.
    Act(ObjectKey),
    /// The look after it.
    LookAfter(ObjectKey, Name),
    /// An attempt.
    Run { task: TaskSeq, attempt: u32, began_ms: u64 },
    /// A load or unload of the dispatcher's.
    Move { at: ModelAt, verb: ClaimVerb, began_ms: u64 },
    /// The look after it.
    LookAfterMove { at: ModelAt, verb: ClaimVerb, began_ms: u64, result: Result<(), String> },
}
