//! All that `arcology plan` tells, as one value: renderers turn it into text, JSON or Markdown and add nothing.

use serde::Serialize;

use crate::core::{Commit, ObjectKey, Revision};
use crate::decide::reconcile::{Hold, Intent, Plan, Target, Verb};
use crate::declare::manifest::{Diagnostic, Place, Severity};
use crate::declare::world::{Standing, World};

use super::changes::{self, Change};

/// Counts up when a key of the JSON changes its meaning or goes away.
pub const VERSION: u32 = 1;

/// What a change would do.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    pub version: u32,
    /// What the plan starts from. It is taken as fulfilled: nothing is asked of any runtime.
    pub base: Side,
    pub head: Side,
    /// True when a declaration changes or something would be done.
    pub would_change: bool,
    pub changes: Vec<Change>,
    /// What would be done, in order.
    pub intents: Vec<Intent>,
    /// What would not be done yet, and why.
    pub waiting: Vec<Waiting>,
    pub quarantined: Vec<Quarantined>,
    pub held_prunes: Vec<HeldPrune>,
    /// Gone from the manifests, kept because something quarantined refers to it.
    pub retained: Vec<Retained>,
    pub errors: usize,
    pub warnings: usize,
}

/// A revision, or the files as they lie in a folder.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Side {
    /// `main@sha1:…`, or `worktree`.
    pub revision: String,
    pub commit: Option<Commit>,
}

/// An object for which nothing is done yet.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Waiting {
    pub object: ObjectKey,
    pub hold: Hold,
}

/// A document that cannot be used as it is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Quarantined {
    /// None when not even its header could be read.
    pub object: Option<ObjectKey>,
    pub place: String,
    /// True when the last good version stays in force; otherwise nothing of it is.
    pub last_good: bool,
    pub diagnostics: Vec<Diagnostic>,
}

/// An object gone from the manifests that a guard keeps.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HeldPrune {
    pub object: ObjectKey,
    pub reason: String,
}

/// An object gone from the manifests that another one still needs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Retained {
    pub object: ObjectKey,
    pub by: ObjectKey,
}

impl Side {
    #[must_use]
    pub fn of(revision: &Revision) -> Self {
        Self { revision: revision.to_string(), commit: Some(revision.commit.clone()) }
    }

    /// Files that no commit holds.
    #[must_use]
    pub fn worktree() -> Self {
        Self { revision: "worktree".into(), commit: None }
    }
}

impl Report {
    /// What taking a fulfilled `base` to `head` means, given the planner's answer.
    #[must_use]
    pub fn new(base: (Side, &World), head: (Side, &World), plan: Plan) -> Self {
        let changes = changes::between(base.1, head.1);
        let world = head.1;
        let mut report = Self {
            version: VERSION,
            base: base.0,
            head: head.0,
            would_change: !changes.is_empty() || !plan.intents.is_empty(),
            changes,
            intents: plan.intents,
            waiting: Vec::new(),
            quarantined: Vec::new(),
            held_prunes: Vec::new(),
            retained: Vec::new(),
            errors: count(world, Severity::Error),
            warnings: count(world, Severity::Warning),
        };
        for status in plan.statuses {
            let told_below = world.objects.get(&status.key).is_some_and(|object| !object.is_current());
            if let Some(hold) = status.hold.filter(|_| !told_below) {
                report.waiting.push(Waiting { object: status.key, hold });
            }
        }
        report.add_standings(world);
        report
    }

    fn add_standings(&mut self, world: &World) {
        for (key, object) in &world.objects {
            let object_key = key.clone();
            match &object.standing {
                Standing::Current => {}
                Standing::LastGood { diagnostics } => self.quarantined.push(Quarantined {
                    object: Some(object_key),
                    place: place_of(diagnostics, &object.document.place),
                    last_good: true,
                    diagnostics: diagnostics.clone(),
                }),
                Standing::Retained { by } => {
                    self.retained.push(Retained { object: object_key, by: by.clone() });
                }
                Standing::PruneHeld { reason } => {
                    self.held_prunes.push(HeldPrune { object: object_key, reason: reason.clone() });
                }
            }
        }
        for broken in &world.broken {
            self.quarantined.push(Quarantined {
                object: broken.key.clone(),
                place: broken.place.to_string(),
                last_good: false,
                diagnostics: broken.diagnostics.clone(),
            });
        }
    }

    /// `2 objects declared differently, 1 action, 1 quarantined`.
    #[must_use]
    pub fn summary(&self) -> String {
        use crate::core::text::count;
        if !self.would_change && self.quarantined.is_empty() && self.held_prunes.is_empty() {
            return "nothing would change".into();
        }
        let mut parts = vec![
            format!("{} declared differently", count(self.changes.len(), "object")),
            count(self.intents.len(), "action"),
        ];
        for (n, word) in [
            (self.waiting.len(), "waiting"),
            (self.quarantined.len(), "quarantined"),
            (self.held_prunes.len(), "held back from deletion"),
        ] {
            if n > 0 {
                parts.push(format!("{n} {word}"));
            }
        }
        parts.join(", ")
    }
}

/// Where the broken version stands; where the good one stood, when the diagnostics do not say.
fn place_of(diagnostics: &[Diagnostic], good: &Place) -> String {
    diagnostics.first().map_or_else(|| good.to_string(), |first| format!("{}:{}", first.path, first.span.line))
}

fn count(world: &World, severity: Severity) -> usize {
    world.diagnostics.iter().filter(|diagnostic| diagnostic.severity == severity).count()
}

/// What an intent is about, in a few words: `textrank on builtin`.
#[must_use]
pub fn target(intent: &Intent) -> String {
    match &intent.target {
        Target::Model { runtime, model: Some(model), .. } => format!("{model} on {runtime}"),
        Target::Model { runtime, model: None, served_as } => format!("{served_as} on {runtime}"),
        Target::Task { id } => id.clone(),
    }
}

/// The change of GPU memory: `+7.8 GB on desk/gpu0`, `none: runs on CPU`, `unknown`.
#[must_use]
pub fn vram(intent: &Intent) -> String {
    if matches!(intent.target, Target::Task { .. }) {
        return "-".into();
    }
    match (intent.cost.vram_gb, &intent.cost.gpu) {
        (Some(gb), Some(gpu)) => format!("{gb:+.1} GB on {gpu}"),
        (Some(gb), None) => format!("{gb:+.1} GB"),
        (None, None) => "none: runs on CPU".into(),
        (None, Some(gpu)) => format!("unknown on {gpu}"),
    }
}

/// How long it is expected to take, and on what evidence.
#[must_use]
pub fn time(intent: &Intent) -> String {
    use crate::core::text::{age, count};
    let samples = usize::try_from(intent.cost.samples).unwrap_or(usize::MAX);
    match (intent.cost.expected_ms, intent.verb) {
        (Some(expected), _) => format!("{} (median of {})", age(expected), count(samples, "load")),
        (None, Verb::Load) => "unknown: never loaded here".into(),
        (None, Verb::Unload | Verb::Enqueue | Verb::Cancel) => "-".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn every_standing_of_the_new_world_is_told() {
        let report = samples::report();
        let quarantined: Vec<_> = report.quarantined.iter().map(|one| (&*one.place, one.last_good)).collect();
        assert_eq!(quarantined, [("manifests/desk.yaml:9", true), ("manifests/broken.yaml:1", false)]);
        assert_eq!(report.held_prunes[0].object.to_string(), "Runtime/builtin");
        assert_eq!(
            report.summary(),
            "3 objects declared differently, 2 actions, 1 waiting, 2 quarantined, 1 held back from deletion"
        );
    }

    #[test]
    fn a_plan_from_a_world_to_itself_changes_nothing() {
        let (base, _) = samples::worlds();
        let report = Report::new((Side::worktree(), &base), (Side::worktree(), &base), Plan::default());
        assert!(!report.would_change);
        assert_eq!(report.summary(), "nothing would change");
    }

    #[test]
    fn a_first_load_has_no_made_up_time() {
        let report = samples::report();
        assert_eq!(report.intents.iter().map(time).collect::<Vec<_>>(), ["-", "unknown: never loaded here"]);
    }
}
