//! A disk that is full at any durable step, and for a few after it: the program lives on, says so, and gets there once there is
//! room again, without a second of anything. `ARCOLOGY_FULL=journal_finish:2:4 cargo test --test it a_disk_that_is_full` tries one case.

use std::fmt;
use std::sync::Mutex;

use arcology::remember::store::cut::{Cut, Step};
use tokio::runtime::Runtime;

use super::story::{Fate, Story};
use super::{AT_LEAST, AT_ONCE, outside};

const ONE_CASE: &str = "ARCOLOGY_FULL";
/// For how many durable steps there is no room: for that one alone, and until after what is tried next in its place.
const LENGTHS: [usize; 2] = [1, 4];

#[test]
fn a_disk_that_is_full_at_any_durable_step_converges_once_it_has_room() {
    let outside = outside();
    let only = std::env::var(ONE_CASE).ok();
    let cases = AT_LEAST.iter().flat_map(|(step, times)| (1..=*times).map(move |nth| (*step, nth)));
    let cases = cases.flat_map(|(step, nth)| LENGTHS.map(|length| Case { step, nth, length }));
    let cases = Mutex::new(cases.filter(|case| only.as_ref().is_none_or(|only| *only == case.to_string())));
    let wrong = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        let work = || {
            loop {
                let next = cases.lock().unwrap().next();
                let Some(case) = next else { return };
                if let Err(why) = case.tried(&outside) {
                    wrong.lock().unwrap().push(format!("full at {case}: {why}"));
                }
            }
        };
        for _ in 0..AT_ONCE {
            scope.spawn(work);
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// From where on, and for how long, there is no room.
#[derive(Clone, Copy, Debug)]
struct Case {
    step: &'static str,
    nth: usize,
    length: usize,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.step, self.nth, self.length)
    }
}

impl Case {
    fn tried(self, outside: &Runtime) -> Result<(), String> {
        let cut = Cut::full_at(Step::Named(self.step.to_owned(), self.nth), self.length);
        let mut story = Story::new(outside, false);
        let lived = story.live(&cut).map_err(|wrong| format!("after {:?}: {wrong}", cut.steps()))?;
        if !matches!(lived, Fate::Through) || !cut.was_full() {
            return Err(format!("it never came to that: {:?}", cut.steps()));
        }
        story.check().map_err(|wrong| format!("after {:?}: {wrong}", cut.steps()))
    }
}
