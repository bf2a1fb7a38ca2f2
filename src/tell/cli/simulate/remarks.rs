//! In plain words: what would get better and what worse, the weightiest first.
//!
//! Small differences are passed over: a wait that changes by less than a second or a twentieth says nothing.

use serde::Serialize;

use super::compare::{Comparison, Pair, Totals};
use super::lasting;

/// Differences of waits below both are no news.
const WAIT_MS_MIN: f64 = 1_000.0;
const WAIT_PART_MIN: f64 = 0.05;
/// Differences of locks below this are no news, in milliseconds.
const LOCK_MS_MIN: u64 = 1_000;
/// Differences of memory below this are no news, in GB.
const MEMORY_GB_MIN: f64 = 0.05;

/// One thing that would be otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Remark {
    pub effect: Effect,
    /// One sentence without its full stop.
    pub text: String,
}

/// Whether that is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    Better,
    Worse,
    /// Neither the one nor the other.
    Other,
}

impl Effect {
    /// The word of the JSON contract.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::Other => "other",
        }
    }

    fn less_is_better(before: f64, after: f64) -> Self {
        if after < before { Self::Better } else { Self::Worse }
    }
}

/// What is worth saying of a comparison.
#[must_use]
pub fn of(comparison: &Comparison) -> Vec<Remark> {
    let totals = comparison.totals;
    let mut remarks = fates(totals);
    let mean = totals.map(|totals| totals.wait.mean_ms);
    remarks.extend(wait("tasks", "on average", mean));
    let longest = totals.map(|totals| totals.wait.max_ms as f64);
    remarks.extend(wait("the task that waits longest", "at most", longest));
    let mut by_capability: Vec<(f64, Remark)> = comparison
        .capabilities
        .iter()
        .filter_map(|row| {
            let mean = row.wait.map(|wait| wait.mean_ms);
            Some(((mean.in_force - mean.changed).abs(), wait(&row.capability, "on average", mean)?))
        })
        .collect();
    by_capability.sort_by(|a, b| b.0.total_cmp(&a.0));
    // With one capability it would say the same twice.
    if comparison.capabilities.len() > 1 {
        remarks.extend(by_capability.into_iter().map(|(_, remark)| remark));
    }
    remarks.extend(loads(totals));
    for row in &comparison.gpus {
        let held = Pair {
            in_force: row.drained_ms.in_force + row.exclusive_ms.in_force,
            changed: row.drained_ms.changed + row.exclusive_ms.changed,
        };
        remarks.extend(lock(&row.gpu, held));
        remarks.extend(memory(&row.gpu, row.high_gb, row.total_gb));
    }
    if totals.changed.stranded > totals.in_force.stranded {
        spare_praise(&mut remarks);
    }
    if remarks.is_empty() {
        let text = "nothing that matters would be otherwise for these submissions".to_owned();
        remarks.push(Remark { effect: Effect::Other, text });
    }
    remarks
}

/// Who never starts does not count among those that wait, load or lock: less of it is no gain then.
fn spare_praise(remarks: &mut [Remark]) {
    for remark in remarks.iter_mut().filter(|remark| remark.effect == Effect::Better) {
        remark.effect = Effect::Other;
        remark.text.push_str(", of fewer tasks that would run");
    }
}

/// Tasks that would not run at all.
fn fates(totals: Pair<Totals>) -> Vec<Remark> {
    let kinds: [(&str, Pair<u64>); 3] = [
        ("could never run", totals.map(|totals| totals.refused)),
        ("would wait without an end", totals.map(|totals| totals.stranded)),
        ("would be stopped to make way and done again", totals.map(|totals| totals.requeued)),
    ];
    let differ = kinds.into_iter().filter(|(_, pair)| pair.in_force != pair.changed);
    differ
        .map(|(what, pair)| {
            let effect = Effect::less_is_better(pair.in_force as f64, pair.changed as f64);
            let count = crate::core::text::count(usize::try_from(pair.changed).unwrap_or(usize::MAX), "task");
            Remark { effect, text: format!("{count} {what}, instead of {}", pair.in_force) }
        })
        .collect()
}

fn wait(who: &str, how: &str, mean: Pair<f64>) -> Option<Remark> {
    let Pair { in_force, changed } = mean;
    let difference = (in_force - changed).abs();
    if difference < WAIT_MS_MIN || difference < WAIT_PART_MIN * in_force.max(changed) {
        return None;
    }
    let effect = Effect::less_is_better(in_force, changed);
    let times =
        if in_force > 0.0 && changed > 0.0 { format!(" ({})", ratio(in_force, changed)) } else { String::new() };
    let would = format!("{who} would wait {} {how} instead of {}{times}", lasting(changed), lasting(in_force));
    Some(Remark { effect, text: would })
}

/// `39 % less`, `12 % more`, `3.4 times`.
fn ratio(before: f64, after: f64) -> String {
    let ratio = after / before;
    if ratio >= 2.0 {
        format!("{ratio:.1} times")
    } else if ratio >= 1.0 {
        format!("{:.0} % more", (ratio - 1.0) * 100.0)
    } else {
        format!("{:.0} % less", (1.0 - ratio) * 100.0)
    }
}

fn loads(totals: Pair<Totals>) -> Option<Remark> {
    let Pair { in_force, changed } = totals.map(|totals| totals.loads);
    if in_force == changed {
        return None;
    }
    let effect = Effect::less_is_better(in_force as f64, changed as f64);
    let loading = totals.map(|totals| lasting(totals.loading_ms as f64));
    let loads = crate::core::text::count(usize::try_from(changed).unwrap_or(usize::MAX), "model load");
    let (now, then) = (loading.changed, loading.in_force);
    Some(Remark { effect, text: format!("{loads} instead of {in_force}, {now} of loading instead of {then}") })
}

fn lock(gpu: &str, held: Pair<u64>) -> Option<Remark> {
    if held.in_force.abs_diff(held.changed) < LOCK_MS_MIN {
        return None;
    }
    let effect = Effect::less_is_better(held.in_force as f64, held.changed as f64);
    let time = held.map(|ms| lasting(ms as f64));
    let text = format!("{gpu} would be closed to shared work for {} instead of {}", time.changed, time.in_force);
    Some(Remark { effect, text })
}

fn memory(gpu: &str, high: Pair<f64>, total_gb: f64) -> Option<Remark> {
    if (high.in_force - high.changed).abs() < MEMORY_GB_MIN {
        return None;
    }
    let text = format!(
        "models would take up to {:.1} GB of {gpu} instead of {:.1} GB; it has {total_gb:.1} GB",
        high.changed, high.in_force
    );
    Some(Remark { effect: Effect::Other, text })
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn what_matters_is_said_and_what_does_not_is_passed_over() {
        assert_eq!(wait("tasks", "on average", Pair { in_force: 10_000.0, changed: 10_900.0 }), None);
        assert_eq!(wait("tasks", "on average", Pair { in_force: 100_000.0, changed: 103_000.0 }), None);
        let worse = wait("tasks", "on average", Pair { in_force: 10_000.0, changed: 34_000.0 }).unwrap();
        assert_eq!(worse.effect, Effect::Worse);
        assert_eq!(worse.text, "tasks would wait 34.0 s on average instead of 10.0 s (3.4 times)");
        let from_nothing = wait("tasks", "on average", Pair { in_force: 0.0, changed: 2_000.0 }).unwrap();
        assert_eq!(from_nothing.text, "tasks would wait 2.0 s on average instead of 0 ms");
    }

    #[test]
    fn the_same_twice_is_said_to_be_the_same() {
        let mut same = samples::comparison();
        same.totals.changed = same.totals.in_force;
        same.capabilities.iter_mut().for_each(|row| row.wait.changed = row.wait.in_force);
        for row in &mut same.gpus {
            row.high_gb.changed = row.high_gb.in_force;
            row.drained_ms.changed = row.drained_ms.in_force;
            row.exclusive_ms.changed = row.exclusive_ms.in_force;
        }
        let remarks = of(&same);
        assert_eq!(remarks.len(), 1);
        assert_eq!(remarks[0].text, "nothing that matters would be otherwise for these submissions");
    }

    #[test]
    fn nothing_is_praised_that_comes_from_tasks_that_would_never_start() {
        let mut paused = samples::comparison();
        paused.totals.changed.stranded = paused.totals.in_force.stranded + 19;
        let remarks = of(&paused);
        assert!(remarks.iter().all(|remark| remark.effect != Effect::Better), "{remarks:#?}");
        assert!(remarks.iter().any(|remark| remark.text.ends_with("(37 % less), of fewer tasks that would run")));
    }

    #[test]
    fn less_waiting_fewer_loads_and_fewer_lost_tasks_are_better() {
        let remarks = of(&samples::comparison());
        let words: Vec<(Effect, &str)> = remarks.iter().map(|remark| (remark.effect, remark.text.as_str())).collect();
        insta::assert_debug_snapshot!(words, @r#"
        [
            (
                Worse,
                "1 task could never run, instead of 0",
            ),
            (
                Better,
                "tasks would wait 24.1 s on average instead of 38.4 s (37 % less)",
            ),
            (
                Worse,
                "the task that waits longest would wait 5 min 55 s at most instead of 5 min 12 s (14 % more)",
            ),
            (
                Better,
                "chat.reply would wait 4.0 s on average instead of 21.0 s (81 % less)",
            ),
            (
                Worse,
                "video.gen would wait 1 min 31 s on average instead of 1 min 25 s (7 % more)",
            ),
            (
                Better,
                "34 model loads instead of 46, 4 min 41 s of loading instead of 6 min 12 s",
            ),
            (
                Better,
                "desk/gpu0 would be closed to shared work for 11 min 20 s instead of 12 min 1 s",
            ),
            (
                Other,
                "models would take up to 21.0 GB of desk/gpu0 instead of 18.5 GB; it has 24.0 GB",
            ),
        ]
        "#);
    }
}
