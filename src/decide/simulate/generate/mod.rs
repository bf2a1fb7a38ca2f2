//! From a seed to a script: a world that makes sense, people who use it, and what goes wrong.

pub mod chance;
pub mod commits;
pub mod people;
pub mod place;
pub mod plot;
#[cfg(test)]
mod tests;
pub mod troubles;

use super::script::Script;
use chance::Chance;
use commits::Author;

/// How long things happen before a simulation comes to rest, at least and at most.
const HORIZON_MS: (u64, u64) = (60_000, 360_000);

/// The script of a seed.
#[must_use]
pub fn script(seed: u64) -> Script {
    let plot = place::world(&mut Chance::new(seed, 1));
    let site = plot.site();
    let mut people = Chance::new(seed, 2);
    let horizon_ms = people.between(HORIZON_MS.0, HORIZON_MS.1);
    let mut author = Author::new(plot);
    for _ in 0..people.one_of(&[0, 0, 1, 2]) {
        author.put_task(&mut people);
    }
    author.first_commit();
    let files = author.files().clone();
    let mut steps = people::steps(&mut people, &mut author, &site, horizon_ms);
    steps.extend(troubles::steps(&mut Chance::new(seed, 3), &site, horizon_ms));
    // Stable: what was made first comes first within one moment.
    steps.sort_by_key(|step| step.at_ms);
    Script { seed, site, files, steps }
}
