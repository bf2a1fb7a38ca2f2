//! One seed from beginning to end: its script, its run, and, where an invariant breaks, the smallest script that breaks it.

use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::broken::Broken;
use super::generate;
use super::invariant::{Invariant, Violation};
use super::repository::Library;
use super::run::Simulation;
use super::script::Script;
use super::shrink;
use super::trace::Trace;

/// What came of a script.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Of the whole trace: the same script gives the same one.
    pub digest: u64,
    pub events: u64,
    /// Simulated time.
    pub simulated_ms: u64,
    pub violation: Option<Violation>,
    /// The trace as text, where it was kept.
    pub text: Vec<String>,
}

/// Runs a script.
#[must_use]
pub fn run(script: &Script, library: &mut Library, rule: Option<Broken>, keep_text: bool) -> Outcome {
    let trace = if keep_text { Trace::kept() } else { Trace::default() };
    let mut simulation = Simulation::new(script, library, trace, rule);
    let panicked = catch_unwind(AssertUnwindSafe(|| simulation.run())).is_err();
    let (events, simulated_ms) = (simulation.events, simulation.clocks.true_ms);
    let mut violation = simulation.violation.take();
    if panicked {
        let message = "it panicked; the message is above".to_owned();
        violation = Some(Violation { invariant: Invariant::Sound, at_ms: simulated_ms, message });
    }
    let ending = if keep_text { simulation.describe() } else { Vec::new() };
    let trace = simulation.into_trace();
    let digest = trace.digest();
    let mut text = trace.into_text();
    text.extend(ending);
    Outcome { digest, events, simulated_ms, violation, text }
}

/// Runs a seed.
#[must_use]
pub fn run_seed(seed: u64, library: &mut Library) -> Outcome {
    run(&generate::script(seed), library, None, false)
}

/// A seed that breaks an invariant, made small.
#[derive(Clone, Debug)]
pub struct Failure {
    pub seed: u64,
    pub violation: Violation,
    pub script: Script,
    /// How many steps the seed's own script has.
    pub steps: usize,
    /// How many runs it took to make it small.
    pub tries: u32,
    /// The trace of the small script.
    pub text: Vec<String>,
}

/// The smallest script that breaks the same invariant as a seed does; none when it breaks none.
#[must_use]
pub fn explain(seed: u64, library: &mut Library, rule: Option<Broken>) -> Option<Failure> {
    let whole = generate::script(seed);
    let broken = run(&whole, library, rule, false).violation?;
    let (script, tries) = shrink::shrink(&whole, |candidate| {
        run(candidate, library, rule, false).violation.is_some_and(|one| one.invariant == broken.invariant)
    });
    let outcome = run(&script, library, rule, true);
    let violation = outcome.violation.unwrap_or(broken);
    Some(Failure { seed, violation, script, steps: whole.steps.len(), tries, text: outcome.text })
}

/// The last lines of a trace are the ones that matter; so many of them are shown.
const LINES_SHOWN_MAX: usize = 60;

impl Failure {
    /// The failure as a person reads it.
    #[must_use]
    pub fn report(&self) -> String {
        let mut text = format!("seed {} breaks invariant {}\n", self.seed, self.violation.invariant);
        let _ = writeln!(text, "  {}", self.violation);
        let _ = writeln!(text, "again: arcology soak --seeds 1 --from {}", self.seed);
        let (left, all) = (self.script.steps.len(), self.steps);
        let _ = writeln!(text, "shrunk from {all} steps to {left} in {} runs:", self.tries);
        for step in &self.script.steps {
            let _ = writeln!(text, "  {step}");
        }
        let _ = writeln!(text, "in this world:");
        for (path, manifest) in &self.script.files {
            let _ = writeln!(text, "  {path}: {}", manifest.lines().last().unwrap_or_default());
        }
        for (name, site) in &self.script.site.runtimes {
            let _ = writeln!(text, "  {name}: {site:?}");
        }
        let skipped = self.text.len().saturating_sub(LINES_SHOWN_MAX);
        let _ = writeln!(text, "and ends so ({skipped} lines before are left out):");
        for line in &self.text[skipped..] {
            let _ = writeln!(text, "  {line}");
        }
        text
    }
}
