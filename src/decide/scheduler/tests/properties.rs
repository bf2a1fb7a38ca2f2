//! Whatever happens, in any order: nothing forbidden is decided, nobody is lost, what can end ends, the same history gives
//! the same decisions, and clocks that jump change nothing.

use proptest::prelude::*;

use super::script::{Play, Step, steps};

fn played(script: &[Step]) -> Play {
    let mut play = Play::new();
    script.iter().for_each(|step| play.step(step));
    play
}

proptest! {
    #[test]
    fn nothing_forbidden_is_decided_and_everything_that_can_end_ends(script in steps(120)) {
        let mut play = played(&script);
        play.calm();
        prop_assert!(play.ledger.displaced.is_empty(), "{:?} did not come back", play.ledger.displaced);
        play.settle();
        for (task, word) in play.reasons() {
            let request = &play.ledger.waiting[&task];
            let waits_for_ever = |id: &std::sync::Arc<str>| play.ledger.waiting.values().any(|other| other.id == *id);
            let is_fair = match word {
                "NoRuntime" => true,
                "Dependency" => request.depends_on.iter().any(|it| waits_for_ever(&it.id)),
                _ => false,
            };
            prop_assert!(is_fair, "{} waits for {word}", request.id);
        }
    }

    #[test]
    fn the_same_history_gives_the_same_decisions(script in steps(80)) {
        prop_assert_eq!(played(&script).log, played(&script).log);
    }

    #[test]
    fn a_wall_clock_that_jumps_by_years_changes_nothing_but_dates(
        script in steps(80),
        jumps in prop::collection::vec(-300_000_000..300_000_000i64, 1..5)
    ) {
        // Dates that people wrote are meant to follow the wall clock.
        let dated = |step: &Step| matches!(step, Step::Submit { odd, .. } if odd % 16 == 5);
        let script: Vec<Step> = script.into_iter().filter(|step| !dated(step)).collect();
        let mut jumpy = Play::new();
        jumpy.jumps = jumps;
        script.iter().for_each(|step| jumpy.step(step));
        prop_assert_eq!(played(&script).log, jumpy.log);
    }

    #[test]
    fn after_a_restart_nothing_runs_twice_and_everything_goes_on(before in steps(60), after in steps(40)) {
        let mut play = played(&before);
        play.restart();
        after.iter().for_each(|step| play.step(step));
        play.settle();
        prop_assert!(play.reasons().iter().all(|(_, word)| matches!(*word, "NoRuntime" | "Dependency")));
    }
}
