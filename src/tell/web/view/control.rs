//! The policy in force for each host, as chips: what it says, and which line of which manifest says so.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::core::{Kind, Name};
use crate::declare::manifest::kind::policy::{DriftMode, PolicySpec, Preemption};
use crate::declare::manifest::locate::Reader;
use crate::declare::world::World;
use crate::declare::world::policy::EffectivePolicy;
use crate::tell::web::facts::Facts;

use super::part::{Link, Mark, Tone};

/// The policy in force for a host.
#[derive(Clone, Debug, Serialize)]
pub struct ActivePolicy {
    /// None: what would govern a host, where none is declared.
    pub host: Option<Link>,
    /// When nothing new starts here.
    pub brake: Option<Mark>,
    pub chips: Vec<PolicyChip>,
    /// The policies that had a say, the most specific first.
    pub sources: Vec<Link>,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PolicyChip {
    /// As the field is written in a manifest.
    pub name: &'static str,
    pub value: String,
    /// The line that says so; none for a default.
    pub from: Option<Link>,
    /// Whether it keeps work from starting.
    pub brakes: bool,
}

/// A field that a chip shows: how it is written, whether a policy sets it, and what is in force.
struct Field {
    name: &'static str,
    set: fn(&PolicySpec) -> bool,
    value: fn(&EffectivePolicy) -> String,
}

const FIELDS: [Field; 8] = [
    Field {
        name: "copilotPersistent",
        set: |spec| spec.copilot_persistent.is_some(),
        value: |policy| yes(policy.copilot_persistent),
    },
    Field {
        name: "gpuSharedSlots",
        set: |spec| spec.gpu_shared_slots.is_some(),
        value: |policy| policy.gpu_shared_slots.to_string(),
    },
    Field {
        name: "gpuExclusiveFor",
        set: |spec| spec.gpu_exclusive_for.is_some(),
        value: |policy| match policy.gpu_exclusive_for.as_slice() {
            [] => "nothing".to_owned(),
            capabilities => capabilities.join(", "),
        },
    },
    Field {
        name: "unloadIdleAfterMinutes",
        set: |spec| spec.unload_idle_after_minutes.is_some(),
        value: |policy| match policy.unload_idle_after_minutes {
            0 => "never".to_owned(),
            minutes => minutes.to_string(),
        },
    },
    Field {
        name: "preemption",
        set: |spec| spec.preemption.is_some(),
        value: |policy| {
            match policy.preemption {
                Preemption::Never => "never",
                Preemption::AfterBatch => "afterBatch",
                Preemption::Requeue => "requeue",
            }
            .to_owned()
        },
    },
    Field {
        name: "batching",
        set: |spec| spec.batching.is_some(),
        value: |policy| format!("{} tasks, {}", policy.batching.max_tasks, policy.batching.max_wait),
    },
    Field {
        name: "retries",
        set: |spec| spec.retries.is_some(),
        value: |policy| format!("{} after {}", policy.retries.max, policy.retries.backoff),
    },
    Field {
        name: "drift",
        set: |spec| spec.drift.is_some(),
        value: |policy| {
            match policy.drift {
                DriftMode::Correct => "correct",
                DriftMode::Report => "report",
            }
            .to_owned()
        },
    },
];

/// Fields that keep work from starting; shown only when they do.
const BRAKES: [Field; 2] = [
    Field { name: "paused", set: |spec| spec.paused.is_some(), value: |policy| yes(policy.paused) },
    Field { name: "draining", set: |spec| spec.draining.is_some(), value: |policy| yes(policy.draining) },
];

fn yes(value: bool) -> String {
    if value { "true" } else { "false" }.to_owned()
}

/// The policy in force for every host, by name.
#[must_use]
pub fn policies(facts: &Facts) -> Vec<ActivePolicy> {
    let world = &facts.picture.world;
    let mut lines = Lines { world, read: BTreeMap::new() };
    let names: Vec<&Name> = world.hosts().map(|(object, _)| &object.document.key.name).collect();
    if names.is_empty() && world.policies().next().is_some() {
        return vec![active(None, &world.policy_for_all(), &mut lines)];
    }
    names.into_iter().map(|name| active(Some(name), &world.policy_for(name), &mut lines)).collect()
}

fn active(host: Option<&Name>, policy: &EffectivePolicy, lines: &mut Lines<'_>) -> ActivePolicy {
    let brakes = BRAKES.iter().filter(|field| (field.value)(policy) == "true");
    let mut chip = |field: &Field, brakes: bool| PolicyChip {
        name: field.name,
        value: (field.value)(policy),
        from: lines.of(policy, field),
        brakes,
    };
    let mut chips: Vec<_> = brakes.map(|field| chip(field, true)).collect();
    chips.extend(FIELDS.iter().map(|field| chip(field, false)));
    ActivePolicy {
        host: host.map(|name| Link::new(name.as_str(), format!("/objects/Host/{name}"))),
        brake: brake(policy),
        chips,
        sources: policy
            .sources
            .iter()
            .map(|name| Link::new(name.as_str(), format!("/objects/Policy/{name}")))
            .collect(),
    }
}

/// Whether a policy keeps work from starting.
#[must_use]
pub fn brake(policy: &EffectivePolicy) -> Option<Mark> {
    match (policy.paused, policy.draining) {
        (true, _) => Some(Mark::new(Tone::Held, "paused")),
        (false, true) => Some(Mark::new(Tone::Held, "draining")),
        (false, false) => None,
    }
}

/// Which line of which manifest sets a field. Each manifest is read once, however many hosts it governs.
struct Lines<'a> {
    world: &'a World,
    read: BTreeMap<Name, Reader>,
}

impl Lines<'_> {
    /// Of the most specific policy that sets it; none when none does.
    fn of(&mut self, policy: &EffectivePolicy, field: &Field) -> Option<Link> {
        let name = policy.sources.iter().find(|name| self.world.policy(name).is_some_and(field.set))?;
        let document = &self.world.get(Kind::Policy, name)?.document;
        let reader = self.read.entry(name.clone()).or_insert_with(|| Reader::of(document));
        let line = reader.span(&format!("spec.{}", field.name)).line;
        let text = format!("{}:{line}", document.place.path);
        Some(Link::new(text, format!("/objects/Policy/{name}#line-{line}")))
    }
}
