//! The world: the desired state in force, every object with its standing, references checked.
//!
//! A revision's files and what was in force before go in; the new world, every diagnostic and the changes come out
//! ([`assemble`]). Broken objects keep their last good version; nothing here decides what to do about a difference.
//!
//! The way through: `presence` lays the revision beside what is in force, `settle` lets the [`rule`]s decide which
//! newest versions can be used, `prune` decides about what is gone, [`assemble`] puts the outcome together; last,
//! `salvage` lets the rules look at what can be read of broken documents, for diagnostics alone. All of it is done anew for every revision: ten thousand objects take some ten milliseconds, and nothing can be stale.

pub mod assemble;
pub mod candidate;
pub mod code;
#[cfg(test)]
pub(crate) mod fixture;
pub mod graph;
pub mod object;
pub mod policy;
mod presence;
pub mod problem;
mod prune;
pub mod reference;
pub mod rule;
mod salvage;
mod settle;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::core::{Kind, Name, ObjectKey, Revision};

use super::manifest::{Broken, Diagnostic, Spec};
pub use assemble::{Assembly, Changes, Inputs, assemble, check};
pub use object::{Object, Standing};

/// The desired state in force.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// The revision that was applied; none before the first.
    pub revision: Option<Revision>,
    /// Every object in force, the last good version where the newest one is broken.
    pub objects: BTreeMap<ObjectKey, Arc<Object>>,
    /// Broken documents that have no last good version, so that nothing of them is in force.
    pub broken: Vec<Broken>,
    /// Every diagnostic of the revision, errors and warnings.
    pub diagnostics: Vec<Diagnostic>,
}

impl World {
    /// The object `kind`/`name`, if it is in force.
    #[must_use]
    pub fn get(&self, kind: Kind, name: &Name) -> Option<&Arc<Object>> {
        // A key is two cheap clones; a borrowed key type would save them and cost a page of code.
        self.objects.get(&ObjectKey::new(kind, name.clone()))
    }

    /// Every object of a kind, by name.
    pub fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Arc<Object>> {
        // Keys are sorted by kind first: the objects of a kind stand together, and the others are not looked at.
        self.objects
            .range(ObjectKey::before_all(kind)..)
            .map(|(_, object)| object)
            .take_while(move |object| object.document.key.kind == kind)
    }
}

/// Typed access to the specs of a world: `world.runtime(&name)`, `world.loadouts()`.
macro_rules! typed_access {
    ($($one:ident, $all:ident, $kind:ident, $spec:path);* $(;)?) => {
        impl World {
            $(
                /// The spec in force under this name.
                #[must_use]
                pub fn $one(&self, name: &Name) -> Option<&$spec> {
                    match &self.get(Kind::$kind, name)?.document.spec { Spec::$kind(spec) => Some(spec), _ => None }
                }
                /// Every object of this kind with its spec.
                pub fn $all(&self) -> impl Iterator<Item = (&Arc<Object>, &$spec)> {
                    self.of_kind(Kind::$kind).filter_map(|object| match &object.document.spec {
                        Spec::$kind(spec) => Some((object, spec)),
                        _ => None,
                    })
                }
            )*
        }
    };
}

typed_access! {
    host, hosts, Host, super::manifest::kind::host::HostSpec;
    runtime, runtimes, Runtime, super::manifest::kind::runtime::RuntimeSpec;
    model, models, Model, super::manifest::kind::model::ModelSpec;
    loadout, loadouts, Loadout, super::manifest::kind::loadout::LoadoutSpec;
    policy, policies, Policy, super::manifest::kind::policy::PolicySpec;
    blueprint, blueprints, Blueprint, super::manifest::kind::blueprint::BlueprintSpec;
    task, tasks, Task, super::manifest::kind::task::TaskSpec;
    run, runs, Run, super::manifest::kind::run::RunSpec;
    golden_set, golden_sets, GoldenSet, super::manifest::kind::golden_set::GoldenSetSpec;
    experiment, experiments, Experiment, super::manifest::kind::experiment::ExperimentSpec;
}
