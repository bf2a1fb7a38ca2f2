//! Two controllers never fight: after three corrections of the same drift in ten minutes an object stops.
//!
//! It stays stopped until its manifest changes, the drift goes away by itself, or a person runs `arcology reconcile`:
//! resuming by the clock would only make the fight slower.

use std::time::Duration;

use crate::core::Timestamp;
use crate::core::clock::millis_since;

use super::history::{Correction, DriftLoop, ObjectHistory};
use super::status::{Hold, HoldReason};

/// This many corrections of the same drift within [`WINDOW`] are the last ones.
pub const CORRECTIONS_MAX: usize = 3;
/// The stretch of time in which corrections count.
pub const WINDOW: Duration = Duration::from_secs(600);
/// How many corrections are remembered of an object, over all its drifts.
pub const REMEMBERED_MAX: usize = 32;

/// The loop that `history` shows for a drift that is seen as `saw`, if it is one.
#[must_use]
pub fn detect(history: &ObjectHistory, saw: &str, generation: u64, now: Timestamp) -> Option<DriftLoop> {
    if let Some(stopped) = &history.drift_loop
        && stopped.generation == generation
        && stopped.saw.iter().any(|correction| correction.saw == saw)
    {
        return Some(stopped.clone());
    }
    let same: Vec<Correction> =
        history.corrections.iter().filter(|past| past.saw == saw && within_window(past.at, now)).cloned().collect();
    (same.len() >= CORRECTIONS_MAX).then_some(DriftLoop { since: now, generation, saw: same })
}

/// Notes a correction, forgetting those that no longer count.
pub fn note(history: &mut ObjectHistory, saw: String, now: Timestamp) {
    history.corrections.retain(|past| within_window(past.at, now));
    history.corrections.push(Correction { at: now, saw });
    let surplus = history.corrections.len().saturating_sub(REMEMBERED_MAX);
    history.corrections.drain(..surplus);
}

/// The hold that a loop puts on its object, naming what was seen each time.
#[must_use]
pub fn hold(stopped: &DriftLoop) -> Hold {
    let times: Vec<String> =
        stopped.saw.iter().map(|correction| correction.at.strftime("%H:%M:%S").to_string()).collect();
    let saw = stopped.saw.last().map_or("a difference", |correction| correction.saw.as_str());
    Hold {
        reason: HoldReason::DriftLoop,
        message: format!(
            "saw `{saw}` again after correcting it {} times (at {} UTC): something else keeps changing it; find it, \
             or change the manifest, then run `arcology reconcile`",
            stopped.saw.len(),
            times.join(", "),
        ),
        who: None,
        until: None,
    }
}

fn within_window(at: Timestamp, now: Timestamp) -> bool {
    millis_since(at, now) < u64::try_from(WINDOW.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn corrected(times: &[i64]) -> ObjectHistory {
        let mut history = ObjectHistory::default();
        for second in times {
            note(&mut history, "models[a].state: unloaded".into(), at(*second));
        }
        history
    }

    #[test]
    fn three_corrections_in_ten_minutes_are_a_loop_and_two_are_not() {
        assert_eq!(detect(&corrected(&[0, 10]), "models[a].state: unloaded", 1, at(20)), None);
        let stopped = detect(&corrected(&[0, 10, 20]), "models[a].state: unloaded", 1, at(30)).unwrap();
        assert_eq!(stopped.saw.len(), 3);
        assert!(hold(&stopped).message.contains("00:00:20"));
    }

    #[test]
    fn corrections_spread_over_more_than_ten_minutes_are_no_loop() {
        assert_eq!(detect(&corrected(&[0, 300, 610]), "models[a].state: unloaded", 1, at(620)), None);
    }

    #[test]
    fn another_drift_of_the_same_object_is_still_corrected() {
        assert_eq!(detect(&corrected(&[0, 1, 2]), "models[b].state: unloaded", 1, at(3)), None);
    }

    #[test]
    fn a_stopped_object_stays_stopped_until_its_generation_changes() {
        let mut history = corrected(&[0, 1, 2]);
        history.drift_loop = detect(&history, "models[a].state: unloaded", 1, at(3));
        assert!(detect(&history, "models[a].state: unloaded", 1, at(90_000)).is_some());
        assert_eq!(detect(&history, "models[a].state: unloaded", 2, at(90_000)), None);
    }
}
