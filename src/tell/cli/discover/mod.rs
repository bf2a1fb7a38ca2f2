//! `arcology discover`: what was found, as manifests that are ready to be committed, as JSON, and in words.
//!
//! [`name`] makes names that manifests may have, [`guess`] says what sort of model a name suggests, [`manifest`] writes the
//! YAML, [`program`] that of programs, [`summary`] tells people. Looking itself is `act::discover`'s. Pure.

pub mod guess;
pub mod manifest;
pub mod name;
pub mod program;
pub mod summary;

use crate::act::discover::{Looked, Programs};
use crate::act::telemetry::card::Card;

/// Everything that one look brought.
#[derive(Clone, Debug)]
pub struct Finds {
    pub looked: Vec<Looked>,
    /// This machine's; empty when it was not looked at.
    pub programs: Programs,
    /// This machine's cards, or why nothing is known of them; none when it was not looked at.
    pub cards: Option<Result<Vec<Card>, String>>,
    /// What this machine's Host is called where it is declared already.
    pub declared_host: Option<crate::core::Name>,
}
