//! The policy of a host: every Policy that selects it, merged field by field, the most specific first.

use std::collections::BTreeSet;

use crate::core::Name;
use crate::core::unit::Span;
use crate::declare::manifest::kind::policy::{
    BatchingSpec, DriftMode, PolicySpec, Preemption, PromotionMode, PromotionSpec, PruneBudget, RetentionSpec,
    RetriesSpec,
};

use super::World;

/// All fields of a policy, none missing.
#[derive(Clone, Debug, PartialEq)]
pub struct EffectivePolicy {
    /// The policies that had a say, the most specific first; empty when only defaults apply.
    pub sources: Vec<Name>,
    pub copilot_persistent: bool,
    pub gpu_shared_slots: u32,
    pub gpu_exclusive_for: Vec<String>,
    pub unload_idle_after_minutes: u32,
    pub batching: BatchingSpec,
    pub drift: DriftMode,
    pub prune: bool,
    pub prune_budget: PruneBudget,
    pub paused: bool,
    pub draining: bool,
    pub preemption: Preemption,
    pub retries: RetriesSpec,
    pub retention: RetentionSpec,
    pub promotion: PromotionSpec,
}

impl Default for EffectivePolicy {
    fn default() -> Self {
        let days = |n: u64| Some(Span::from_secs(n * 86_400));
        Self {
            sources: Vec::new(),
            copilot_persistent: false,
            gpu_shared_slots: 1,
            gpu_exclusive_for: vec!["video.gen".into(), "train.run".into()],
            unload_idle_after_minutes: 10,
            batching: BatchingSpec { max_tasks: 8, max_wait: Span::from_secs(30) },
            drift: DriftMode::Correct,
            prune: true,
            prune_budget: PruneBudget::default(),
            paused: false,
            draining: false,
            preemption: Preemption::AfterBatch,
            retries: RetriesSpec { max: 2, backoff: Span::from_secs(5), max_backoff: Span::from_secs(300) },
            retention: RetentionSpec {
                artifacts: days(90),
                samples_raw: days(7),
                samples_5m: days(180),
                activity: days(90),
                capture_budget_mb: Some(50),
            },
            promotion: PromotionSpec { mode: PromotionMode::Propose, rollback_for: Span::from_secs(3_600) },
        }
    }
}

impl World {
    /// The policy of a host. A policy that names hosts is more specific than one that is for every host, and among
    /// those that name hosts the one with the fewest is. Ties are found at validation.
    #[must_use]
    pub fn policy_for(&self, host: &Name) -> EffectivePolicy {
        let named = self.policies().map(|(object, spec)| (&object.document.key.name, spec));
        for_host(named, host)
    }

    /// The rules that belong to no host, such as the prune budget: the policies for every host.
    #[must_use]
    pub fn policy_for_all(&self) -> EffectivePolicy {
        for_all(self.policies().map(|(object, spec)| (&object.document.key.name, spec)))
    }
}

/// A policy and its name.
pub type Named<'a> = (&'a Name, &'a PolicySpec);

/// What `policies` add up to for a host.
pub fn for_host<'a>(policies: impl Iterator<Item = Named<'a>>, host: &Name) -> EffectivePolicy {
    merge(policies.filter(|(_, spec)| spec.selector.as_ref().is_none_or(|selector| selector.hosts.contains(host))))
}

/// What those of `policies` that are for every host add up to.
pub fn for_all<'a>(policies: impl Iterator<Item = Named<'a>>) -> EffectivePolicy {
    merge(policies.filter(|(_, spec)| spec.selector.is_none()))
}

fn merge<'a>(policies: impl Iterator<Item = Named<'a>>) -> EffectivePolicy {
    let mut policies: Vec<_> = policies.collect();
    // The least specific first, so that a more specific one overwrites it; the name settles what validation forbids.
    policies.sort_by_key(|(name, spec)| (std::cmp::Reverse(breadth(spec)), *name));
    let mut merged = EffectivePolicy::default();
    for (name, spec) in policies {
        merged.overlay(spec);
        merged.sources.insert(0, name.clone());
    }
    merged
}

/// How many hosts a policy is for; the fewer, the more specific. A host named twice is one host.
#[must_use]
pub fn breadth(spec: &PolicySpec) -> usize {
    spec.selector.as_ref().map_or(usize::MAX, |selector| selector.hosts.iter().collect::<BTreeSet<_>>().len())
}

impl EffectivePolicy {
    fn overlay(&mut self, spec: &PolicySpec) {
        macro_rules! overlay {
            ($($field:ident),*) => { $(if let Some(value) = &spec.$field { self.$field = value.clone(); })* };
        }
        overlay!(
            copilot_persistent,
            gpu_shared_slots,
            gpu_exclusive_for,
            unload_idle_after_minutes,
            batching,
            drift,
            prune,
            prune_budget,
            paused,
            draining,
            preemption,
            retries,
            promotion
        );
        if let Some(retention) = &spec.retention {
            macro_rules! keep {
                ($($field:ident),*) => { $(if retention.$field.is_some() { self.retention.$field = retention.$field; })* };
            }
            keep!(artifacts, samples_raw, samples_5m, activity, capture_budget_mb);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(fields: serde_json::Value) -> PolicySpec {
        serde_json::from_value(fields).unwrap()
    }

    /// What policies add up to for the host `desk`, whatever order they are given in.
    fn merged(policies: &[(&str, serde_json::Value)]) -> EffectivePolicy {
        let named: Vec<(Name, PolicySpec)> =
            policies.iter().map(|(name, fields)| (Name::new(name).unwrap(), spec(fields.clone()))).collect();
        let desk = Name::new("desk").unwrap();
        let forth = for_host(named.iter().map(|(name, spec)| (name, spec)), &desk);
        let back = for_host(named.iter().rev().map(|(name, spec)| (name, spec)), &desk);
        assert_eq!(forth, back, "the order of policies does not matter");
        forth
    }

    #[test]
    fn without_policies_the_defaults_hold() {
        assert_eq!(merged(&[]), EffectivePolicy::default());
        assert_eq!(merged(&[("p", serde_json::json!({}))]).sources, [Name::new("p").unwrap()]);
    }

    #[test]
    fn the_most_specific_policy_wins_field_by_field() {
        let effective = merged(&[
            ("a-desk", serde_json::json!({"selector": {"hosts": ["desk"]}, "paused": true})),
            ("both", serde_json::json!({"selector": {"hosts": ["desk", "lab"]}, "paused": false, "drift": "report"})),
            ("z-all", serde_json::json!({"paused": false, "drift": "correct", "gpuSharedSlots": 3})),
        ]);
        assert!(effective.paused, "the policy for this host alone");
        assert_eq!(effective.drift, DriftMode::Report, "the policy for two hosts");
        assert_eq!(effective.gpu_shared_slots, 3, "the policy for every host");
        assert_eq!(effective.unload_idle_after_minutes, 10, "the default");
        let sources: Vec<_> = effective.sources.iter().map(Name::as_str).collect();
        assert_eq!(sources, ["a-desk", "both", "z-all"]);
    }

    #[test]
    fn a_host_named_twice_makes_a_policy_no_broader() {
        let effective = merged(&[
            ("narrow", serde_json::json!({"selector": {"hosts": ["desk", "desk", "desk"]}, "paused": true})),
            ("wide", serde_json::json!({"selector": {"hosts": ["desk", "lab"]}, "paused": false})),
        ]);
        assert!(effective.paused);
    }

    #[test]
    fn policies_for_other_hosts_or_for_none_have_no_say() {
        let effective = merged(&[
            ("lab", serde_json::json!({"selector": {"hosts": ["lab"]}, "paused": true})),
            ("nobody", serde_json::json!({"selector": {"hosts": []}, "draining": true})),
        ]);
        assert_eq!(effective, EffectivePolicy::default());
    }

    #[test]
    fn retention_is_merged_part_by_part_and_the_other_groups_whole() {
        let effective = merged(&[
            (
                "desk",
                serde_json::json!({"selector": {"hosts": ["desk"]}, "retention": {"artifacts": "1d"},
                "batching": {"maxTasks": 2, "maxWait": "1s"}}),
            ),
            (
                "all",
                serde_json::json!({"retention": {"artifacts": "2d", "activity": "3d"},
                "batching": {"maxTasks": 9, "maxWait": "9s"}}),
            ),
        ]);
        let days = |n: u64| Some(Span::from_secs(n * 86_400));
        assert_eq!(effective.retention.artifacts, days(1));
        assert_eq!(effective.retention.activity, days(3));
        assert_eq!(effective.retention.samples_raw, days(7), "the default");
        assert_eq!(effective.batching, BatchingSpec { max_tasks: 2, max_wait: Span::from_secs(1) });
    }

    #[test]
    fn every_field_of_a_policy_has_its_say() {
        let all = serde_json::json!({
            "copilotPersistent": true, "gpuSharedSlots": 7, "gpuExclusiveFor": ["image.gen"],
            "unloadIdleAfterMinutes": 99, "batching": {"maxTasks": 1, "maxWait": "7s"}, "drift": "report",
            "prune": false, "pruneBudget": 3, "paused": true, "draining": true, "preemption": "never",
            "retries": {"max": 9, "backoff": "7s", "maxBackoff": "9s"},
            "retention": {"artifacts": "1d", "samplesRaw": "1d", "samples5m": "1d", "activity": "1d",
                "captureBudgetMb": 1},
            "promotion": {"mode": "commit", "rollbackFor": "9s"}
        });
        let names = serde_json::to_value(spec(all.clone())).unwrap();
        assert_eq!(names.as_object().unwrap().len(), 14, "a new field of a policy belongs into this test");
        for (name, value) in names.as_object().unwrap() {
            let one = merged(&[("p", serde_json::json!({ name: value }))]);
            assert_ne!(
                EffectivePolicy { sources: Vec::new(), ..one },
                EffectivePolicy::default(),
                "{name} was ignored"
            );
        }
    }

    #[test]
    fn the_rules_of_no_host_come_from_the_policies_for_every_host() {
        let narrow = spec(serde_json::json!({"selector": {"hosts": ["desk"]}, "pruneBudget": 1}));
        let wide = spec(serde_json::json!({"pruneBudget": "25%"}));
        let names = [Name::new("narrow").unwrap(), Name::new("wide").unwrap()];
        let effective = for_all([(&names[0], &narrow), (&names[1], &wide)].into_iter());
        assert_eq!(effective.prune_budget, PruneBudget::Percent(25));
        assert_eq!(effective.sources, [names[1].clone()]);
    }
}
