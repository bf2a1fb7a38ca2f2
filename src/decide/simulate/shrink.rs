//! Making a failing script small: steps are taken away while it still breaks the same invariant.
//!
//! Delta debugging (Zeller, Hildebrandt: "Simplifying and Isolating Failure-Inducing Input", 2002), plainly: halves first,
//! then smaller pieces, then single steps, until nothing can be taken away or the number of tries is used up.

use super::script::{Act, Script};

/// Runs that shrinking may take.
pub const TRIES_MAX: u32 = 600;

/// The smallest script found for which `fails` holds, and how many runs it took. `fails(script)` must hold.
pub fn shrink(script: &Script, mut fails: impl FnMut(&Script) -> bool) -> (Script, u32) {
    let mut small = script.clone();
    let mut tries = 0;
    let mut piece = small.steps.len().div_ceil(2);
    while piece > 0 && tries < TRIES_MAX {
        let mut at = 0;
        let mut smaller = false;
        while at < small.steps.len() && tries < TRIES_MAX {
            let mut candidate = small.clone();
            let end = (at + piece).min(candidate.steps.len());
            candidate.steps.drain(at..end);
            tries += 1;
            if fails(&candidate) {
                small = candidate;
                smaller = true;
            } else {
                at += piece;
            }
        }
        // Single steps are tried again until none can go: one may have been needed only by another.
        piece = if piece > 1 { piece / 2 } else { usize::from(smaller) };
    }
    (plainer(small, &mut tries, fails), tries)
}

/// Tries to say each submission more plainly, and to leave out files that nothing needs.
fn plainer(mut small: Script, tries: &mut u32, mut fails: impl FnMut(&Script) -> bool) -> Script {
    let mut attempt = |small: &mut Script, change: &dyn Fn(&mut Script)| {
        let mut candidate = small.clone();
        change(&mut candidate);
        if candidate != *small && *tries < TRIES_MAX {
            *tries += 1;
            if fails(&candidate) {
                *small = candidate;
            }
        }
    };
    for path in small.files.keys().cloned().collect::<Vec<_>>() {
        attempt(&mut small, &|script| drop(script.files.remove(&path)));
    }
    for at in 0..small.steps.len() {
        attempt(&mut small, &|script| {
            if let Act::Submit(one) = &mut script.steps[at].act {
                one.input_tokens = None;
                one.not_before_ms = None;
                one.priority = 0;
                one.twice = false;
            }
        });
        attempt(&mut small, &|script| {
            if let Act::Submit(one) = &mut script.steps[at].act {
                one.depends_on.clear();
                one.exclusive = None;
                one.force = false;
            }
        });
    }
    small
}

#[cfg(test)]
mod tests {
    use super::super::generate;
    use super::*;

    #[test]
    fn what_is_left_fails_still_and_nothing_more_can_be_taken_away() {
        // A script that has at least 12 steps; "fails" when the third and the last but one are in it.
        let script = (0..).map(generate::script).find(|script| script.steps.len() >= 12).unwrap();
        let needed = [script.steps[2].clone(), script.steps[script.steps.len() - 2].clone()];
        let fails = |script: &Script| needed.iter().all(|step| script.steps.iter().any(|one| one.at_ms == step.at_ms));
        let (small, tries) = shrink(&script, fails);
        assert!(fails(&small));
        assert!(small.steps.len() <= 4, "{} steps after {tries} tries", small.steps.len());
        assert!(small.files.is_empty());
    }

    #[test]
    fn shrinking_ends_whatever_it_is_told() {
        let script = generate::script(3);
        let (_, tries) = shrink(&script, |_| false);
        assert!(tries <= TRIES_MAX);
    }
}
