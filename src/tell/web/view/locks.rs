//! `/locks`: for each GPU a timeline of who held it, who holds it and what comes next, and the same facts as tables.

use std::time::Duration;

use serde::Serialize;

use crate::core::Timestamp;
use crate::core::clock::{after, millis_since};
use crate::core::text::{age, count};
use crate::decide::scheduler::GpuId;
use crate::decide::scheduler::view::{SchedulerView, Waiting};
use crate::remember::store::row::{LockKind, LockSpanRow};
use crate::tell::web::api::lock::{LockRow, gpus, past, present};
use crate::tell::web::facts::Facts;
use crate::tell::web::outlook::Outlooks;

use super::frame::{Choice, Frame, choices};
use super::href;
use super::lock::{Countdown, Holder, LockTile, holder};
use super::part::{Empty, Mark, Stamp, Tone, full};
use super::queue::expectation;
use super::timeline::{Drawing, Place, Stretch, ToCome, Window, draw};

/// How far back a timeline may reach: the word in the address, and seconds.
pub const PASTS: [(&str, i64); 4] = [("15m", 900), ("1h", 3_600), ("6h", 21_600), ("24h", 86_400)];
/// How far back it reaches when nothing else is asked for.
const PAST_DEFAULT: (&str, i64) = PASTS[1];
/// The most GPUs of one page; the others can be chosen.
pub const GPUS_SHOWN_MAX: usize = 12;
/// The most stretches of the past of one page, shared by its GPUs, and of one GPU.
const SPANS_MAX: usize = 1_200;
const SPANS_OF_ONE_MAX: usize = 200;
/// The most holders of one GPU that are told one by one: as many as there can be shared slots, and some leases.
const NOW_MAX: usize = 80;
/// The most tasks that are named as waiting for a GPU.
const NEXT_MAX: usize = 5;

/// What the page is narrowed to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocksQuery {
    pub gpu: Option<GpuId>,
    /// One of the words of [`PASTS`].
    pub past: Option<&'static str>,
}

impl LocksQuery {
    fn past_s(&self) -> i64 {
        let chosen = PASTS.iter().find(|(word, _)| Some(*word) == self.past);
        chosen.unwrap_or(&PAST_DEFAULT).1
    }

    /// Since when the past is wanted.
    #[must_use]
    pub fn since(&self, now: Timestamp) -> Timestamp {
        Window::around(now, self.past_s()).from
    }

    /// The GPUs that the page shows.
    #[must_use]
    pub fn gpus(&self, facts: &Facts) -> Vec<GpuId> {
        match &self.gpu {
            Some(gpu) => vec![gpu.clone()],
            None => gpus(facts).into_iter().take(GPUS_SHOWN_MAX).collect(),
        }
    }

    fn address(&self) -> String {
        let gpu = self.gpu.as_ref().map(ToString::to_string);
        href::with_query("/locks", [("gpu", gpu.as_deref()), ("past", self.past)])
    }
}

/// How many stretches of the past are read for each of so many GPUs.
#[must_use]
pub fn spans_each(gpus: usize) -> usize {
    (SPANS_MAX / gpus.max(1)).min(SPANS_OF_ONE_MAX)
}

/// What the store remembers of the past.
#[derive(Clone, Debug, Default)]
pub struct Past {
    /// By GPU, the oldest first.
    pub spans: Vec<(GpuId, Vec<LockSpanRow>)>,
    /// Why it could not be read, when it could not.
    pub problem: Option<String>,
}

/// The page.
#[derive(Clone, Debug, Serialize)]
pub struct Page {
    pub frame: Frame,
    pub summary: String,
    pub gpus: Vec<GpuPart>,
    pub more: usize,
    pub choices: Vec<Choice>,
    pub pasts: Vec<Choice>,
    pub filtered: bool,
    pub problem: Option<String>,
    pub empty: Option<Empty>,
}

/// One GPU.
#[derive(Clone, Debug, Serialize)]
pub struct GpuPart {
    pub tile: LockTile,
    pub drawing: Drawing,
    pub title: String,
    /// What the drawing shows, in words.
    pub description: String,
    /// What holds it now, and what comes next.
    pub now: Vec<LockLine>,
    pub now_more: usize,
    /// Tasks that wait for it, in order, bounded.
    pub next: Vec<NextLine>,
    pub next_more: usize,
    /// What is past, the newest first.
    pub past: Vec<LockLine>,
    /// Whether there was more than is read.
    pub past_cut: bool,
}

/// A lock in words.
#[derive(Clone, Debug, Serialize)]
pub struct LockLine {
    pub kind: Mark,
    /// `holds it`, `waits`, or `over`.
    pub state: &'static str,
    pub who: Holder,
    pub what: String,
    pub since: Stamp,
    /// `09:05:00`, as on the drawing.
    pub clock: String,
    pub until: Option<Stamp>,
    pub until_clock: Option<String>,
    pub took: Option<String>,
    pub expected: Option<Countdown>,
    pub why: Option<String>,
}

/// A task that waits for a GPU.
#[derive(Clone, Debug, Serialize)]
pub struct NextLine {
    pub who: Holder,
    pub what: String,
    pub since: Stamp,
    pub reason: &'static str,
    pub message: String,
    pub clears: Option<Countdown>,
    pub expected: Option<String>,
}

/// The page of all locks, or those of one GPU.
#[must_use]
pub fn page(facts: &Facts, query: &LocksQuery, past: &Past) -> Page {
    let (all, shown) = (gpus(facts), query.gpus(facts));
    let names: Vec<String> = all.iter().map(ToString::to_string).collect();
    let chosen = query.gpu.as_ref().map(ToString::to_string);
    let mut pasts = choices("", PASTS.map(|(word, _)| word), Some(query.past.unwrap_or(PAST_DEFAULT.0)));
    pasts.remove(0);
    for (choice, text) in pasts.iter_mut().zip(["15 minutes", "1 hour", "6 hours", "24 hours"]) {
        text.clone_into(&mut choice.text);
    }
    let rows = present(&facts.picture.scheduler);
    let parts: Vec<GpuPart> = shown.iter().map(|gpu| part(facts, query, gpu, &rows, past)).collect();
    Page {
        frame: Frame::new(facts, "Locks", "/locks", query.address()),
        summary: summary(facts, all.len()),
        more: if query.gpu.is_some() { 0 } else { all.len() - parts.len() },
        gpus: parts,
        choices: choices("every GPU", names.iter().map(String::as_str), chosen.as_deref()),
        pasts,
        filtered: *query != LocksQuery::default(),
        problem: past.problem.clone(),
        empty: all
            .is_empty()
            .then(|| Empty::new("No host declares a GPU, so there is nothing to lock.", Some("arcology schema Host"))),
    }
}

fn summary(facts: &Facts, all: usize) -> String {
    let locks = facts.picture.scheduler.gpus.values();
    let of = |mode: &str| locks.clone().filter(|lock| lock.mode == mode).count();
    let waiting = facts.picture.scheduler.leases.iter().filter(|lease| !lease.granted).count();
    let mut parts = vec![count(all, "GPU")];
    parts.extend([(of("exclusive"), "exclusive"), (of("draining"), "draining"), (of("shared"), "shared")].map(told));
    parts.extend((all > locks.len()).then(|| format!("{} not known", all - locks.len())));
    parts.extend((waiting > 0).then(|| format!("{} waiting", count(waiting, "lease"))));
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
}

fn told((n, word): (usize, &str)) -> String {
    if n == 0 { String::new() } else { format!("{n} {word}") }
}

fn part(facts: &Facts, query: &LocksQuery, gpu: &GpuId, present: &[LockRow], past_of: &Past) -> GpuPart {
    let (view, now) = (&facts.picture.scheduler, facts.now);
    let lock = view.gpus.get(gpu);
    let window = Window::around(now, query.past_s());
    let here = |row: &&LockRow| row.host == gpu.host.as_str() && row.gpu == gpu.gpu.as_str();
    let mut rows: Vec<LockRow> = present.iter().filter(here).cloned().collect();
    rows.sort_by_key(|row| (row.state != "held", row.since, row.owner.clone()));
    let now_more = rows.len().saturating_sub(NOW_MAX);
    rows.truncate(NOW_MAX);
    let spans = past_of.spans.iter().find(|(of, _)| of == gpu).map_or(&[][..], |(_, spans)| spans);
    // What holds a GPU now is the scheduler's to say; without its word an open span is all that is known.
    let ended = spans.iter().filter(|span| span.until.is_some() || lock.is_none()).map(past);
    let ended: Vec<LockRow> = ended.collect();
    let outlooks = Outlooks::of(facts);
    let mut stretches: Vec<Stretch> = ended.iter().chain(&rows).map(|row| stretch(view, row, now)).collect();
    stretches.extend(rows.iter().filter_map(|row| after_the_drain(row, &outlooks, now)));
    let waiting: Vec<&Waiting> = view.queue.iter().filter(|waiting| waiting.gpu.as_ref() == Some(gpu)).collect();
    let tile = LockTile::of(facts, gpu);
    GpuPart {
        title: format!("Timeline of {gpu}"),
        description: description(&tile, window, &rows, ended.len()),
        drawing: draw(window, lock.map_or(1, |lock| lock.slots), &stretches),
        now: rows.iter().map(|row| LockLine::of(view, row, now)).collect(),
        now_more,
        next: waiting.iter().take(NEXT_MAX).map(|waiting| NextLine::of(waiting, &outlooks, now)).collect(),
        next_more: waiting.len().saturating_sub(NEXT_MAX),
        past: ended.iter().rev().map(|row| LockLine::of(view, row, now)).collect(),
        past_cut: spans.len() >= spans_each(query.gpus(facts).len()),
        tile,
    }
}

/// What comes when a drain ends: its owner has the GPU for itself, until it is expected to be done.
fn after_the_drain(row: &LockRow, outlooks: &Outlooks<'_>, now: Timestamp) -> Option<Stretch> {
    let begins = row.expected_at.filter(|at| row.kind == LockKind::Draining.as_str() && *at > now)?;
    let band = outlooks.waiting(&row.owner).and_then(|waiting| outlooks.band_of(waiting));
    let done = band.map(|band| after(now, Duration::from_secs(band.likely))).filter(|done| *done > begins);
    Some(Stretch {
        place: Place::Whole,
        kind: LockKind::Exclusive.as_str(),
        from: begins,
        held_to: None,
        to_come: done.map_or(ToCome::Unsure, ToCome::Until),
        words: row.owner.clone(),
        title: match done {
            Some(done) => format!("next: {} from {} to about {}", row.owner, clock(begins), clock(done)),
            None => format!("next: {} from {}, until when is not known", row.owner, clock(begins)),
        },
    })
}

fn stretch(view: &SchedulerView, row: &LockRow, now: Timestamp) -> Stretch {
    let who = holder(view, &row.owner, &row.what);
    let kind = LockKind::ALL.into_iter().find(|kind| kind.as_str() == row.kind).unwrap_or(LockKind::Shared);
    let place = match kind {
        LockKind::Shared => Place::Slot,
        LockKind::Draining | LockKind::Exclusive => Place::Whole,
        LockKind::Lease => Place::Lease,
    };
    let soon = |at: Option<Timestamp>| at.filter(|at| *at > now);
    let (from, held_to, to_come) = match (row.state, kind, row.until) {
        (_, _, Some(until)) => (row.since, Some(until), ToCome::Over),
        // A drain lasts until its owner begins; the owner's own time is not known yet.
        ("waiting", LockKind::Draining, None) => {
            (row.since, Some(now), soon(row.expected_at).map_or(ToCome::Unsure, ToCome::Until))
        }
        ("waiting", _, None) => (row.expected_at.unwrap_or(now).max(now), None, ToCome::Unsure),
        (_, _, None) => (row.since, Some(now), soon(row.expected_at).map_or(ToCome::Unsure, ToCome::Until)),
    };
    Stretch {
        place,
        kind: kind.as_str(),
        from: from.min(held_to.unwrap_or(from)),
        held_to,
        to_come,
        title: sentence(&who, row, now),
        words: who.text,
    }
}

/// `09:05:00`, in UTC as on the drawing.
fn clock(at: Timestamp) -> String {
    at.strftime("%H:%M:%S").to_string()
}

/// All of a lock in one sentence: what stands beside its bar.
fn sentence(who: &Holder, row: &LockRow, now: Timestamp) -> String {
    let told = who.href.is_none() || row.what.is_empty();
    let what = if told { String::new() } else { format!(", {}", row.what) };
    let end = match (row.until, row.expected_at) {
        (Some(until), _) => {
            format!("{} to {}, {}", clock(row.since), clock(until), age(millis_since(row.since, until)))
        }
        (None, Some(at)) if row.state == "waiting" => {
            format!("waits since {}, expected to begin {}", clock(row.since), clock(at))
        }
        (None, None) if row.state == "waiting" => format!("waits since {}", clock(row.since)),
        (None, Some(at)) if at > now => format!("since {}, expected to end {}", clock(row.since), clock(at)),
        (None, Some(at)) => format!("since {}, was expected to end {}", clock(row.since), clock(at)),
        (None, None) => format!("since {}, its end is not known", clock(row.since)),
    };
    format!("{}: {}{what}, {end}", row.kind, who.text)
}

fn description(tile: &LockTile, window: Window, rows: &[LockRow], past: usize) -> String {
    let held = rows.iter().filter(|row| row.state == "held").count();
    let waiting = rows.len() - held;
    format!(
        "{} is {}. Time runs from {} to {}; now is at three quarters of it. {} now, {waiting} waiting, {past} in the past; \
         the tables below say the same.",
        tile.name,
        tile.mode.word,
        full(window.from),
        full(window.to),
        count(held, "holder"),
    )
}

impl LockLine {
    fn of(view: &SchedulerView, row: &LockRow, now: Timestamp) -> Self {
        let who = holder(view, &row.owner, &row.what);
        Self {
            kind: kind_mark(row.kind),
            state: match row.state {
                "held" => "holds it",
                "waiting" => "waits",
                _ => "over",
            },
            // A lease is called by its purpose, which need not be said twice.
            what: if who.href.is_some() { row.what.clone() } else { String::new() },
            who,
            since: Stamp::of(row.since, now),
            clock: clock(row.since),
            until: Stamp::maybe(row.until, now),
            until_clock: row.until.map(clock),
            took: row.until.map(|until| age(millis_since(row.since, until))),
            expected: row.expected_at.map(|at| Countdown::of(at, now)),
            why: row.why.clone(),
        }
    }
}

/// Each kind of lock with a shape of its own.
fn kind_mark(kind: &str) -> Mark {
    let tone = match kind {
        "exclusive" => Tone::Held,
        "draining" => Tone::Warn,
        "shared" => Tone::Busy,
        _ => Tone::Quiet,
    };
    Mark::new(tone, kind)
}

impl NextLine {
    fn of(waiting: &Waiting, outlooks: &Outlooks<'_>, now: Timestamp) -> Self {
        Self {
            who: Holder { text: waiting.id.to_string(), href: Some(super::task::task_href(&waiting.id)) },
            what: waiting.capability.to_string(),
            since: Stamp::of(waiting.since, now),
            reason: waiting.why.reason,
            message: waiting.why.message.clone(),
            clears: waiting.why.clears_at.map(|at| Countdown::of(at, now)),
            expected: outlooks.band_of(waiting).map(|band| expectation(&band)),
        }
    }
}
