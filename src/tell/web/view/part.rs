//! The small parts every page is made of: a state as word, shape and tone; a time with its age; a sighting; a commit.

use serde::Serialize;

use crate::core::clock::millis_since;
use crate::core::text::age;
pub use crate::core::unit::gigabytes;
use crate::core::{Commit, Reading, Timestamp};
use crate::decide::reconcile::{Health, Sync};
use crate::decide::view::ModelState;
use crate::remember::store::row::TaskState;

/// How a state is to be felt. A tone never stands alone: a word and a shape always stand beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Tone {
    Good,
    Bad,
    Warn,
    Unknown,
    Stale,
    Busy,
    Held,
    Quiet,
}

impl Tone {
    /// A shape that differs for each tone, also without colour.
    #[must_use]
    pub fn icon(self) -> &'static str {
        match self {
            Self::Good => "✓",
            Self::Bad => "✕",
            Self::Warn => "▲",
            Self::Unknown => "?",
            Self::Stale => "◷",
            Self::Busy => "↻",
            Self::Held => "‖",
            Self::Quiet => "○",
        }
    }
}

/// A state as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mark {
    pub tone: Tone,
    pub icon: &'static str,
    pub word: String,
}

impl Mark {
    pub fn new(tone: Tone, word: impl Into<String>) -> Self {
        Self { tone, icon: tone.icon(), word: word.into() }
    }

    #[must_use]
    pub fn of_sync(sync: Sync) -> Self {
        let tone = match sync {
            Sync::InSync => Tone::Good,
            Sync::Drifted(_) => Tone::Warn,
            Sync::Unknown => Tone::Unknown,
            Sync::Invalid => Tone::Bad,
        };
        Self::new(tone, sync.to_string())
    }

    #[must_use]
    pub fn of_health(health: Health) -> Self {
        let tone = match health {
            Health::Healthy => Tone::Good,
            Health::Progressing => Tone::Busy,
            Health::Degraded => Tone::Warn,
            Health::Missing => Tone::Bad,
            Health::Unknown => Tone::Unknown,
        };
        Self::new(tone, health.as_str())
    }

    #[must_use]
    pub fn of_task(state: TaskState) -> Self {
        let tone = match state {
            TaskState::Queued => Tone::Quiet,
            TaskState::Blocked => Tone::Held,
            TaskState::Running => Tone::Busy,
            TaskState::Done => Tone::Good,
            TaskState::Error => Tone::Bad,
            TaskState::Cancelled => Tone::Quiet,
        };
        Self::new(tone, state.as_str())
    }

    #[must_use]
    pub fn of_model(state: ModelState) -> Self {
        let tone = match state {
            ModelState::Loaded => Tone::Good,
            ModelState::Loading | ModelState::Unloading => Tone::Busy,
            ModelState::Unloaded => Tone::Quiet,
            ModelState::Unknown => Tone::Unknown,
        };
        Self::new(tone, state.as_str())
    }

    /// Whether a result that was written down, such as an audit entry's, was good.
    #[must_use]
    pub fn of_result(result: &str) -> Self {
        if result == "ok" { Self::new(Tone::Good, "ok") } else { Self::new(Tone::Bad, result) }
    }
}

/// A moment, with its age or the time left until it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stamp {
    /// RFC 3339, for machines and the script that lets ages grow.
    pub iso: String,
    /// `12 min ago`, or `in 5 min`.
    pub text: String,
    /// `2026-11-21 10:20:30 UTC`.
    pub full: String,
}

impl Stamp {
    #[must_use]
    pub fn of(at: Timestamp, now: Timestamp) -> Self {
        let text = if at > now {
            format!("in {}", age(millis_since(now, at)))
        } else {
            format!("{} ago", age(millis_since(at, now)))
        };
        Self { iso: to_second(at).to_string(), text, full: full(at) }
    }

    #[must_use]
    pub fn maybe(at: Option<Timestamp>, now: Timestamp) -> Option<Self> {
        at.map(|at| Self::of(at, now))
    }
}

/// `2026-11-21 10:20:30 UTC`.
#[must_use]
pub fn full(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

fn to_second(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

/// The length of time between two moments, `12 s`; up to `now` while the end is open.
#[must_use]
pub fn took(from: Option<Timestamp>, to: Option<Timestamp>, now: Timestamp) -> Option<String> {
    from.map(|from| age(millis_since(from, to.unwrap_or(now))))
}

/// Where something was seen and when: stands beside whatever comes from the world.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sighting {
    /// `fresh`, `stale` or `unknown`.
    pub reading: &'static str,
    /// For what is not fresh, a mark that says so.
    pub mark: Option<Mark>,
    pub source: String,
    pub at: Option<Stamp>,
    /// Why there is nothing, or why it is old.
    pub why: Option<String>,
    /// All of it in one line, for a tooltip.
    pub title: String,
}

impl Sighting {
    /// Of a reading that came from `source` at `at`.
    #[must_use]
    pub fn of<T>(reading: &Reading<'_, T>, source: &str, at: Option<Timestamp>, now: Timestamp) -> Self {
        let (mark, why) = match reading {
            Reading::Fresh { .. } => (None, None),
            Reading::Stale { problem, .. } => {
                (Some(Mark::new(Tone::Stale, "stale")), Some(problem.unwrap_or("no look for too long").to_owned()))
            }
            Reading::Unknown { why } => (Some(Mark::new(Tone::Unknown, "unknown")), Some((*why).to_owned())),
        };
        let title = match at {
            Some(at) => format!("{} · seen {}", or_dash(source), full(at)),
            None => format!("{} · never seen", or_dash(source)),
        };
        Self { reading: reading.word(), mark, source: source.to_owned(), at: Stamp::maybe(at, now), why, title }
    }
}

fn or_dash(text: &str) -> &str {
    if text.is_empty() { "no source" } else { text }
}

/// A commit as a person recognises it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CommitView {
    pub sha: String,
    pub short: String,
    pub subject: String,
    pub author: String,
    pub at: Stamp,
}

impl CommitView {
    #[must_use]
    pub fn of(commit: &Commit, now: Timestamp) -> Self {
        Self {
            sha: commit.sha.to_string(),
            short: commit.sha.short().to_owned(),
            subject: commit.subject.clone(),
            author: commit.author.clone(),
            at: Stamp::of(commit.at, now),
        }
    }
}

/// A link with its text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Link {
    pub text: String,
    pub href: String,
}

impl Link {
    pub fn new(text: impl Into<String>, href: impl Into<String>) -> Self {
        Self { text: text.into(), href: href.into() }
    }
}

/// What stands where nothing is to be shown: why, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Empty {
    pub message: String,
    /// A command or commit to copy.
    pub next: Option<String>,
}

impl Empty {
    pub fn new(message: impl Into<String>, next: Option<&str>) -> Self {
        Self { message: message.into(), next: next.map(str::to_owned) }
    }
}

/// `1.5 GB`, `320 kB`: decimal units, as file managers say it.
#[must_use]
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["B", "kB", "MB", "GB"];
    #[expect(clippy::cast_precision_loss, reason = "a size for people is rounded anyway")]
    let mut amount = bytes as f64;
    let mut unit = 0;
    while amount >= 999.5 && unit < UNITS.len() - 1 {
        amount /= 1_000.0;
        unit += 1;
    }
    if unit == 0 || amount >= 99.95 {
        format!("{amount:.0} {}", UNITS[unit])
    } else {
        format!("{amount:.1} {}", UNITS[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn every_tone_has_a_shape_of_its_own() {
        use Tone::{Bad, Busy, Good, Held, Quiet, Stale, Unknown, Warn};
        let shapes: std::collections::BTreeSet<_> =
            [Good, Bad, Warn, Unknown, Stale, Busy, Held, Quiet].iter().map(|tone| tone.icon()).collect();
        assert_eq!(shapes.len(), 8);
    }

    #[test]
    fn unknown_stale_and_degraded_look_neither_good_nor_bad() {
        let tones = [
            Mark::of_health(Health::Unknown).tone,
            Mark::of_health(Health::Degraded).tone,
            Mark::of_sync(Sync::Unknown).tone,
            Mark::of_model(ModelState::Unknown).tone,
        ];
        assert!(tones.iter().all(|tone| !matches!(tone, Tone::Good | Tone::Bad)), "{tones:?}");
    }

    #[test]
    fn a_moment_says_its_age_or_the_time_left() {
        assert_eq!(Stamp::of(at(100), at(220)).text, "2 min ago");
        assert_eq!(Stamp::of(at(400), at(100)).text, "in 5 min");
        assert_eq!(Stamp::of(at(0), at(0)).full, "1970-01-01 00:00:00 UTC");
    }

    #[test]
    fn sizes_read_as_people_say_them() {
        for (bytes, text) in
            [(0, "0 B"), (999, "999 B"), (1_000, "1.0 kB"), (123_456, "123 kB"), (7_800_000_000, "7.8 GB")]
        {
            assert_eq!(size(bytes), text);
        }
    }
}
