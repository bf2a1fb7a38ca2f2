//! Kinds that are in force by being declared, and kinds that this version declares but does not carry out.

use crate::core::text::count;
use crate::declare::manifest::Spec;
use crate::declare::world::Object;

use super::plan::ObjectPlan;
use super::planner::blank_status;
use super::status::{Health, Sync};

/// The plan of an object of such a kind: nothing is done to the world for it.
#[must_use]
pub fn plan(object: &Object) -> ObjectPlan {
    let mut status = blank_status(object);
    status.source = "arcology".to_owned();
    status.observed_at = None;
    let (sync, health, desired, observed, reason) = match &object.document.spec {
        Spec::Policy(_) => (
            Sync::InSync,
            Health::Healthy,
            "in force".to_owned(),
            "in force",
            "in force for every decision that this version takes",
        ),
        Spec::Blueprint(spec) => (
            Sync::InSync,
            Health::Healthy,
            format!("{} declared", count(spec.nodes.len(), "node")),
            "checked",
            "its graph is sound",
        ),
        Spec::GoldenSet(spec) => (
            Sync::InSync,
            Health::Healthy,
            format!("cases for {}", spec.capability),
            "checked",
            "its cases are declared",
        ),
        Spec::Run(spec) => {
            (Sync::Unknown, Health::Unknown, format!("{} run once", spec.blueprint), "nothing", NOT_CARRIED_OUT)
        }
        Spec::Experiment(_) => {
            (Sync::Unknown, Health::Unknown, "candidates compared".to_owned(), "nothing", NOT_CARRIED_OUT)
        }
        // These have files of their own; the planner never sends them here.
        Spec::Runtime(_) | Spec::Model(_) | Spec::Loadout(_) | Spec::Task(_) | Spec::Host(_) => {
            (Sync::Unknown, Health::Unknown, String::new(), "nothing", "compared elsewhere")
        }
    };
    status.sync = sync;
    status.health = health;
    status.desired = desired;
    observed.clone_into(&mut status.observed);
    reason.clone_into(&mut status.reason);
    ObjectPlan { status, intents: Vec::new(), bookkeeping: Vec::new() }
}

const NOT_CARRIED_OUT: &str = "declared and checked; this version does not carry it out yet";
