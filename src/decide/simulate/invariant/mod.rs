//! The invariants of the reliability page, one file each. They look at what the program did and was told, and at the disk;
//! never only at the books that the program keeps of itself.
//!
//! | number | file |
//! | --- | --- |
//! | 1 | [`slots`] |
//! | 2 | [`copilot`] |
//! | 3 | [`memory`] |
//! | 4 | [`life`] |
//! | 5 | [`dependencies`] |
//! | 6 | [`artifacts`] |
//! | 7 | [`rest`] |
//! | 9 | [`freshness`] |
//! | 10 | [`audit`] |
//!
//! Invariant 8, that reads change nothing, is about sockets and files, and is tested on the real program.

pub mod artifacts;
pub mod audit;
pub mod copilot;
pub mod dependencies;
pub mod freshness;
pub mod life;
pub mod memory;
pub mod rest;
pub mod slots;

use std::fmt;

use crate::decide::dispatch::{Op, Record};
use crate::decide::reconcile::ObjectPlan;
use crate::decide::scheduler::{ClaimVerb, ModelAt};

use super::run::Simulation;

/// What an invariant is looked at for.
#[derive(Clone, Copy, Debug)]
pub enum Occasion<'a> {
    /// The dispatcher is about to have this done.
    Op(&'a Op),
    /// The disk is about to take this.
    Put(&'a Record),
    /// A model is about to be loaded or unloaded, by whoever decided it.
    Call(&'a ModelAt, ClaimVerb),
    /// An object was planned.
    Plan(&'a ObjectPlan),
    /// An event happened.
    Event,
    /// Faults have stopped, and nothing is going on any more.
    Rest,
}

/// What must always hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    Slots,
    Copilot,
    Memory,
    Life,
    Dependencies,
    Artifacts,
    Rest,
    Freshness,
    Audit,
    /// The scheduler's own books add up, and nothing panics.
    Sound,
}

impl Invariant {
    pub const ALL: [Self; 10] = [
        Self::Slots,
        Self::Copilot,
        Self::Memory,
        Self::Life,
        Self::Dependencies,
        Self::Artifacts,
        Self::Rest,
        Self::Freshness,
        Self::Audit,
        Self::Sound,
    ];

    /// Its number on the reliability page, and its words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Slots => "1: at most gpuSharedSlots holders on a GPU, and none beside an exclusive owner",
            Self::Copilot => "2: a shielded copilot is unloaded only for a forced exclusive holder",
            Self::Memory => "3: loaded models never take more than the fit check allows",
            Self::Life => "4: a task ends once, or waits for one stated reason",
            Self::Dependencies => "5: a task whose dependencies are not done has not started",
            Self::Artifacts => "6: a done task has its artifacts, each recorded once",
            Self::Rest => "7: without faults everything comes to rest as declared, and stays so",
            Self::Freshness => "9: nothing is shown fresher than it was seen",
            Self::Audit => "10: every mutation has exactly one audit entry",
            Self::Sound => "the books add up",
        }
    }

    fn check(self, simulation: &Simulation<'_>, occasion: Occasion<'_>) -> Result<(), String> {
        match self {
            Self::Slots => slots::check(simulation, occasion),
            Self::Copilot => copilot::check(simulation, occasion),
            Self::Memory => memory::check(simulation, occasion),
            Self::Life => life::check(simulation, occasion),
            Self::Dependencies => dependencies::check(simulation, occasion),
            Self::Artifacts => artifacts::check(simulation, occasion),
            Self::Rest => rest::check(simulation, occasion),
            Self::Freshness => freshness::check(simulation, occasion),
            Self::Audit => audit::check(simulation, occasion),
            Self::Sound => simulation.check_books(occasion),
        }
    }
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

/// An invariant that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub invariant: Invariant,
    pub at_ms: u64,
    pub message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invariant {}: {} (at {:.3} s)", self.invariant, self.message, self.at_ms as f64 / 1e3)
    }
}

/// The first invariant that does not hold.
#[must_use]
pub fn first_broken(simulation: &Simulation<'_>, occasion: Occasion<'_>) -> Option<Violation> {
    Invariant::ALL.into_iter().find_map(|invariant| {
        let message = invariant.check(simulation, occasion).err()?;
        Some(Violation { invariant, at_ms: simulation.clocks.true_ms, message })
    })
}
