//! A crash before and after every durable step: whatever was under way, the next start brings it to its end, once.
//!
//! The whole engine runs in this process, with a real repository, store and vault, against a llama-swap that outlives it.
//! The store dies with a [`Cut`]; then every task of the engine dies at once with its tokio runtime, and a new engine is
//! started on what is left. A failure says how to try its case alone:
//! `ARCOLOGY_CUT=before:journal_finish:2 cargo test --test it a_crash_before_or_after`.

mod full;
mod scene;
mod story;
mod truth;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Mutex;

use arcology::remember::store::cut::{Cut, Side, Step};
use tokio::runtime::{Builder, Runtime};

use story::{Fate, Story};

/// Names one case to be tried alone.
const ONE_CASE: &str = "ARCOLOGY_CUT";
/// How many cases are tried at once: they mostly wait.
const AT_ONCE: usize = 4;
/// How often every life that is not cut short takes each step. Whether the scheduler or the loadout comes first to load
/// what the first task needs is a race, whose one way takes an entry in the journal and whose other a call of the scheduler.
const AT_LEAST: [(&str, usize); 9] = [
    ("apply_revision", 3),
    ("attempt_end", 4),
    ("attempt_start", 4),
    ("call_begin", 1),
    ("call_finish", 1),
    ("drop_inventory", 2),
    ("journal_begin", 9),
    ("journal_finish", 9),
    ("tasks_accept", 4),
];

#[test]
fn a_crash_before_or_after_any_durable_step_converges() {
    let outside = outside();
    if let Ok(case) = std::env::var(ONE_CASE) {
        let case: Case = case.parse().unwrap();
        assert!(case.tried(&outside).unwrap_or_else(|wrong| panic!("{wrong}")), "{case} never came");
        return;
    }
    let cases = Mutex::new(cases(&outside));
    let (missed, failed) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        let work = || {
            while let Some(case) = next(&cases, &failed) {
                match case.tried(&outside) {
                    Ok(reached) if reached || !case.always_comes() => {}
                    Ok(_) => missed.lock().unwrap().push(case.to_string()),
                    Err(wrong) => failed.lock().unwrap().push(wrong),
                }
            }
        };
        for _ in 0..AT_ONCE {
            scope.spawn(work);
        }
    });
    let (missed, failed) = (missed.into_inner().unwrap(), failed.into_inner().unwrap());
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
    assert!(missed.is_empty(), "cases that always come never came: {missed:?}");
}

/// The next case, unless one has failed already.
fn next(cases: &Mutex<Vec<Case>>, failed: &Mutex<Vec<String>>) -> Option<Case> {
    if failed.lock().unwrap().is_empty() { cases.lock().unwrap().pop() } else { None }
}

/// Both sides of every step that a life without a crash takes.
fn cases(outside: &Runtime) -> Vec<Case> {
    let cut = Cut::never();
    Story::new(outside, false).told(&cut).unwrap_or_else(|wrong| panic!("without a crash: {wrong}"));
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let mut cases = Vec::new();
    for step in cut.steps() {
        let nth = seen.entry(step).or_default();
        *nth += 1;
        let sides = [Side::Before, Side::After];
        cases.extend(sides.map(|side| Case { side, step: step.to_owned(), nth: *nth }));
    }
    for (step, at_least) in AT_LEAST {
        let found = seen.get(step).copied().unwrap_or_default();
        assert!(found >= at_least, "{step} must be tried {at_least} times, and came {found} times");
    }
    cases.reverse();
    cases
}

#[test]
fn a_program_that_dies_again_and_again_gets_there_as_soon_as_it_lives_long_enough() {
    let outside = outside();
    let mut story = Story::new(&outside, true);
    for life in 1.. {
        let side = if life % 2 == 0 { Side::Before } else { Side::After };
        let lived = story.live(&Cut::at(side, Step::Number(life)));
        match lived.unwrap_or_else(|wrong| panic!("in life {life}: {wrong}")) {
            Fate::Died => {}
            Fate::Through => break,
        }
    }
    story.check().unwrap_or_else(|wrong| panic!("{wrong}"));
}

#[test]
fn a_task_that_ends_the_program_each_time_is_given_up_and_everything_else_goes_on() {
    let outside = outside();
    let mut story = Story::new(&outside, true);
    for life in 1..=2 {
        let cut = Cut::at(Side::After, Step::Named("attempt_start".to_owned(), 1));
        let lived = story.live(&cut).unwrap_or_else(|wrong| panic!("in life {life}: {wrong}"));
        assert!(matches!(lived, Fate::Died), "life {life} began an attempt");
    }
    story.told(&Cut::never()).unwrap_or_else(|wrong| panic!("{wrong}"));
    let ends: BTreeMap<&str, (usize, Option<&str>)> = story
        .before
        .iter()
        .map(|(task, attempts)| {
            let code = task.error.as_ref().map(|error| error.code.as_str());
            (truth::text(task), (attempts.len(), code))
        })
        .collect();
    let (given_up, not_begun) = ((2, Some("interrupted")), (0, Some("dependency_failed")));
    let wanted = [("edited", (1, None)), ("first", given_up), ("second", not_begun), ("submitted", (1, None))];
    assert_eq!(ends, BTreeMap::from(wanted));
}

#[test]
fn a_crash_in_the_middle_of_a_call_converges_whether_or_not_the_runtime_finished_meanwhile() {
    let outside = outside();
    for model in ["alpha", "beta", "gamma", "delta"] {
        for before in [true, false] {
            let told = Story::new(&outside, false).told_while_loading(&outside, model, before);
            let when = if before { "before the next life" } else { "after it had looked" };
            told.unwrap_or_else(|wrong| panic!("killed while {model} was on its way, which ended {when}: {wrong}"));
        }
    }
}

/// One place to die at.
#[derive(Clone, Debug)]
struct Case {
    side: Side,
    step: String,
    nth: usize,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = match self.side {
            Side::Before => "before",
            Side::After => "after",
        };
        write!(f, "{side}:{}:{}", self.step, self.nth)
    }
}

impl FromStr for Case {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let usage = || format!("{ONE_CASE} reads like `before:journal_finish:2`, and not `{text}`");
        let [side, step, nth] = text.split(':').collect::<Vec<_>>().try_into().map_err(|_| usage())?;
        let side = match side {
            "before" => Side::Before,
            "after" => Side::After,
            _ => return Err(usage()),
        };
        Ok(Self { side, step: step.to_owned(), nth: nth.parse().map_err(|_| usage())? })
    }
}

impl Case {
    /// Whether it comes in every life, and not only where something else came first.
    fn always_comes(&self) -> bool {
        AT_LEAST.iter().any(|(step, at_least)| *step == self.step && self.nth <= *at_least)
    }

    /// Whether the program died there; an error says what was wrong in the end.
    fn tried(&self, outside: &Runtime) -> Result<bool, String> {
        let cut = Cut::at(self.side, Step::Named(self.step.clone(), self.nth));
        let told = Story::new(outside, false).told(&cut);
        told.map_err(|wrong| {
            let steps = cut.steps();
            let number = steps.len();
            format!("killed at {self}, step {number} of {steps:?}; alone: {ONE_CASE}={self}\n  {wrong}")
        })?;
        Ok(cut.is_reached())
    }
}

/// Where everything lives that outlives the program.
fn outside() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}
