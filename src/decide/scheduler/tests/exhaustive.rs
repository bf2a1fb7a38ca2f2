//! Every short history of a small world, none left out: after each event the books forbid what must not be decided and the
//! oracle names who must run. What a random history might miss for years is met here in every run.

use super::script::{Play, Step};

/// What can happen, the fewest steps that let all rules meet: shared work of two models that do not fit beside each other
/// with a third, exclusive work with and without force, a lease, calls that end and fail, and time.
fn alphabet() -> Vec<Step> {
    let submit = |kind, odd| Step::Submit { kind, priority: 0, after: None, odd };
    vec![
        submit(0, 12),
        // `coder`, by its name.
        submit(0, 22),
        // `movie`, which needs a GPU for itself; once with force, and once behind the copilot's shield.
        submit(4, 0),
        submit(4, 12),
        // Urgent, and for itself on whatever serves it.
        Step::Submit { kind: 0, priority: 2, after: None, odd: 1 },
        Step::Moved { pick: 0, fails: false },
        Step::Moved { pick: 0, fails: true },
        Step::End { pick: 0, how: 0 },
        Step::Lease { gpus: 0, exclusive: true, gb: None, priority: 0, force: true },
        Step::Release { pick: 0 },
        Step::Pass { ms: 31_000 },
    ]
}

/// Goes on from `play` in every way, `depth` steps deep. The checks are in the steps themselves; `at_end` is for what must
/// be so wherever a history ends.
fn explore(play: &Play, alphabet: &[Step], depth: usize, at_end: &impl Fn(Play)) -> u64 {
    if depth == 0 {
        at_end(play.clone());
        return 1;
    }
    let further = |step| {
        let mut next = play.clone();
        next.step(step);
        explore(&next, alphabet, depth - 1, at_end)
    };
    alphabet.iter().map(further).sum()
}

#[test]
fn in_every_short_history_nothing_forbidden_is_decided_and_whoever_can_run_runs() {
    let histories = explore(&Play::new(), &alphabet(), 4, &|_| {});
    assert_eq!(histories, 11_u64.pow(4));
}

#[test]
fn every_history_of_two_steps_comes_to_an_end_when_its_troubles_are_over() {
    let ends = |mut play: Play| {
        play.calm();
        assert!(play.ledger.displaced.is_empty(), "{:?} did not come back", play.ledger.displaced);
        play.settle();
        let reasons = play.reasons();
        assert!(reasons.iter().all(|(_, word)| *word == "NoRuntime"), "{reasons:?}");
    };
    assert_eq!(explore(&Play::new(), &alphabet(), 2, &ends), 11 * 11);
}
