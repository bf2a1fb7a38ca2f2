//! Every object: what is declared, what was seen, and what follows. The line of one object stands on other pages too.

use serde::Serialize;

use crate::core::Kind;
use crate::decide::reconcile::{FieldDifference, ObjectStatus};
use crate::declare::manifest::Broken;
use crate::tell::web::api::drift::{self, DriftFilter, SYNC_WORDS};
use crate::tell::web::api::status::ObjectCounts;
use crate::tell::web::facts::Facts;

use super::diagnostic::DiagnosticView;
use super::frame::{Choice, Frame, choices, kind_names};
use super::href;
use super::part::{CommitView, Empty, Mark, Stamp, Tone};

/// How many objects a page shows when nothing else is asked for.
pub const ROWS_DEFAULT: usize = 200;

/// One object in a few words.
#[derive(Clone, Debug, Serialize)]
pub struct ObjectLine {
    pub kind: &'static str,
    pub name: String,
    pub href: String,
    pub sync: Mark,
    pub health: Mark,
    pub hold: Option<HoldView>,
    pub reason: String,
    pub since: Option<Stamp>,
    /// Committed.
    pub desired: String,
    /// Observed.
    pub observed: String,
    pub observed_at: Option<Stamp>,
    pub source: String,
    pub fields: Vec<FieldDifference>,
    pub manifest: Option<String>,
    pub commit: Option<CommitView>,
}

/// Why nothing is being done.
#[derive(Clone, Debug, Serialize)]
pub struct HoldView {
    pub mark: Mark,
    pub message: String,
    pub who: Option<String>,
    pub until: Option<Stamp>,
}

impl ObjectLine {
    #[must_use]
    pub fn of(facts: &Facts, status: &ObjectStatus) -> Self {
        let now = facts.now;
        Self {
            kind: status.key.kind.as_str(),
            name: status.key.name.to_string(),
            href: format!("/objects/{}/{}", status.key.kind, status.key.name),
            sync: Mark::of_sync(status.sync),
            health: Mark::of_health(status.health),
            hold: status.hold.as_ref().map(|hold| HoldView {
                mark: Mark::new(Tone::Held, format!("{:?}", hold.reason)),
                message: hold.message.clone(),
                who: hold.who.clone(),
                until: Stamp::maybe(hold.until, now),
            }),
            reason: status.reason.clone(),
            since: Stamp::maybe(facts.since(status), now),
            desired: status.desired.clone(),
            observed: status.observed.clone(),
            observed_at: Stamp::maybe(status.observed_at, now),
            source: status.source.clone(),
            fields: status.fields.clone(),
            manifest: status.place.as_ref().map(ToString::to_string),
            commit: status.commit.as_ref().map(|commit| CommitView::of(commit, now)),
        }
    }
}

/// The page of all objects.
#[derive(Clone, Debug, Serialize)]
pub struct Page {
    pub frame: Frame,
    pub counts: ObjectCounts,
    pub rows: Vec<ObjectLine>,
    pub next: Option<String>,
    pub syncs: Vec<Choice>,
    pub kinds: Vec<Choice>,
    pub holds: Vec<Choice>,
    pub filtered: bool,
    pub unreadable: Vec<Unreadable>,
    pub empty: Option<Empty>,
}

/// A document that could not be read far enough to know whose it is.
#[derive(Clone, Debug, Serialize)]
pub struct Unreadable {
    pub place: String,
    pub diagnostics: Vec<DiagnosticView>,
}

/// One page of the objects that the filter keeps.
#[must_use]
pub fn page(facts: &Facts, filter: &DriftFilter, limit: usize, cursor: Option<&str>) -> Page {
    let (shown, next) = drift::page(facts, filter, limit, cursor);
    let unreadable =
        facts.picture.world.broken.iter().filter(|broken| broken.key.is_none()).map(Unreadable::of).collect();
    let held = filter.held.map(|held| if held { "true" } else { "false" });
    let mut holds = choices("held or not", ["true", "false"], held);
    for (choice, text) in holds.iter_mut().skip(1).zip(["held", "not held"]) {
        text.clone_into(&mut choice.text);
    }
    Page {
        frame: Frame::new(facts, "Objects", "/drift", address(filter, limit, cursor)),
        counts: ObjectCounts::of(facts),
        rows: shown.iter().map(|status| ObjectLine::of(facts, status)).collect(),
        next: next.map(|cursor| address(filter, limit, Some(&cursor))),
        syncs: choices("any state", SYNC_WORDS, filter.sync.as_deref()),
        kinds: choices("every kind", kind_names(), filter.kind.map(Kind::as_str)),
        holds,
        filtered: *filter != DriftFilter::default() || cursor.is_some(),
        empty: shown.is_empty().then(|| empty(facts, filter)),
        unreadable,
    }
}

impl Unreadable {
    fn of(broken: &Broken) -> Self {
        Self {
            place: broken.place.to_string(),
            diagnostics: broken.diagnostics.iter().map(DiagnosticView::of).collect(),
        }
    }
}

fn empty(facts: &Facts, filter: &DriftFilter) -> Empty {
    if !facts.statuses.is_empty() {
        return Empty::new("No object matches this filter.", None);
    }
    debug_assert!(facts.statuses.is_empty() || *filter != DriftFilter::default());
    nothing_declared(facts)
}

/// What to do when nothing is declared.
#[must_use]
pub fn nothing_declared(facts: &Facts) -> Empty {
    match facts.revision() {
        None => Empty::new(
            "No revision was applied yet. Arcology applies the first commit that it can read.",
            Some("arcology validate && git commit"),
        ),
        Some(_) => Empty::new(
            "The applied revision declares no objects. A working example is one command away.",
            Some("arcology init . && git add -A && git commit -m 'Declare the first runtime'"),
        ),
    }
}

fn address(filter: &DriftFilter, limit: usize, cursor: Option<&str>) -> String {
    let held = filter.held.map(|held| held.to_string());
    let limit = (limit != ROWS_DEFAULT).then(|| limit.to_string());
    href::with_query(
        "/drift",
        [
            ("sync", filter.sync.as_deref()),
            ("kind", filter.kind.map(Kind::as_str)),
            ("held", held.as_deref()),
            ("limit", limit.as_deref()),
            ("cursor", cursor),
        ],
    )
}
