//! Every rule, once broken on purpose, is found broken: the checks of random histories are not there for show.

use std::panic::{AssertUnwindSafe, catch_unwind};

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;

use super::script::{Play, steps};
use super::*;

/// Histories that are played at most before a broken rule must have been found.
const HISTORIES_MAX: usize = 3_000;

fn is_found(rule: Option<Rule>, histories: usize) -> bool {
    let mut runner = TestRunner::deterministic();
    let scripts = steps(100);
    (0..histories).any(|_| {
        let script = scripts.new_tree(&mut runner).unwrap().current();
        let history = || {
            let mut play = Play::new();
            if let Some(rule) = rule {
                play.state.break_rule(rule);
            }
            script.iter().for_each(|step| play.step(step));
            play.calm();
            assert!(play.ledger.displaced.is_empty());
        };
        catch_unwind(AssertUnwindSafe(history)).is_err()
    })
}

#[test]
fn every_broken_rule_is_found() {
    for rule in Rule::ALL {
        assert!(is_found(Some(rule), HISTORIES_MAX), "nobody found {rule:?}");
    }
}

#[test]
fn rules_that_hold_are_not_found_broken() {
    assert!(!is_found(None, 60));
}
