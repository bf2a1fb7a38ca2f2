//! The policy of a host: every Policy that selects it, merged field by field, the most specific first.

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

/// How many hosts a policy is for; the fewer, the more specific.
#[must_use]
pub fn breadth(spec: &PolicySpec) -> usize {
    spec.selector.as_ref().map_or(usize::MAX, |selector| selector.hosts.len())
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
