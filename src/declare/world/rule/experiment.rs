//! An Experiment decides by what its golden set measures, between candidates that can do the work.

use crate::core::text::nearest;
use crate::declare::manifest::Spec;
use crate::declare::manifest::kind::experiment::{Candidate as Contender, ExperimentSpec};
use crate::declare::manifest::kind::golden_set::GoldenSetSpec;

use super::super::candidate::{Candidate, Subject};
use super::super::code;
use super::super::problem::Problem;
use super::Report;
use super::capability::{can_do, cannot, listed};

/// Ways to sum up a metric over all cases, besides percentiles such as `p95`.
const SUMMARIES: [&str; 3] = ["mean", "min", "max"];

/// Reports metrics that the golden set does not compute, and models that cannot do what it measures.
pub fn check(subject: Subject<'_>, world: &Candidate<'_>, report: &mut Report) {
    let Spec::Experiment(spec) = &subject.document.spec else { return };
    let Some(golden_set) = world.golden_set(spec.golden_set.as_str()) else { return };
    if !subject.reads("spec.goldenSet") {
        return;
    }
    if let Some(winner) = &spec.winner {
        metric(subject, spec, golden_set, "spec.winner.by", &winner.by, report);
        for (i, guard) in winner.guard.iter().enumerate() {
            metric(subject, spec, golden_set, &format!("spec.winner.guard[{i}].metric"), &guard.metric, report);
        }
    }
    let candidates = spec.candidates.iter().enumerate();
    let candidates = candidates.map(|(i, contender)| (format!("spec.candidates[{i}]"), contender));
    // A baseline that is a candidate too was looked at there.
    let comparable = subject.reads_all_of("spec.candidates") && subject.reads_all_of("spec.baseline");
    let baseline = spec.baseline.iter().filter(|baseline| comparable && !spec.candidates.contains(baseline));
    for (path, contender) in candidates.chain(baseline.map(|one| ("spec.baseline".to_owned(), one))) {
        able(subject, world, golden_set, &path, contender, report);
    }
}

fn metric(
    subject: Subject<'_>,
    spec: &ExperimentSpec,
    golden_set: &GoldenSetSpec,
    path: &str,
    wanted: &str,
    report: &mut Report,
) {
    if computes(&golden_set.metrics, wanted) {
        return;
    }
    let metrics: Vec<&str> = golden_set.metrics.iter().map(String::as_str).collect();
    let help = match nearest(wanted, metrics.iter().copied()) {
        Some(near) => {
            format!("did you mean `{near}`? or add `{wanted}` to the metrics of GoldenSet/{}", spec.golden_set)
        }
        None => format!("add it to the metrics of GoldenSet/{}", spec.golden_set),
    };
    let problem = Problem::at(path, format_args!("GoldenSet `{}` does not compute `{wanted}`", spec.golden_set))
        .label(format_args!("it computes {}", listed(&metrics)))
        .help(help);
    report.error(subject, &code::NOT_MEASURED, problem);
}

/// Whether a metric, perhaps with a summary as in `latency.p95`, is among those computed.
fn computes(metrics: &[String], wanted: &str) -> bool {
    let has = |name: &str| metrics.iter().any(|metric| metric == name);
    has(wanted) || wanted.rsplit_once('.').is_some_and(|(base, summary)| has(base) && is_summary(summary))
}

fn is_summary(word: &str) -> bool {
    let percentile = word.strip_prefix('p').and_then(|digits| digits.parse::<u8>().ok());
    SUMMARIES.contains(&word) || percentile.is_some_and(|percent| (1..100).contains(&percent))
}

fn able(
    subject: Subject<'_>,
    world: &Candidate<'_>,
    golden_set: &GoldenSetSpec,
    path: &str,
    contender: &Contender,
    report: &mut Report,
) {
    let Some(name) = &contender.model else { return };
    let Some(model) = world.model(name.as_str()) else { return };
    if !can_do(world, model, &golden_set.capability) {
        let path = format!("{path}.model");
        let problem = cannot(world, &path, name.as_str(), model, &[&golden_set.capability]);
        report.error(subject, &code::CANNOT_DO, problem);
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::fixture::{manifest, told};
    use super::computes;

    #[test]
    fn a_metric_may_carry_a_summary() {
        let metrics = ["rougeL", "latency", "exec:score.py"].map(str::to_owned);
        for good in ["rougeL", "latency.p95", "latency.mean", "exec:score.py", "exec:score.py.min"] {
            assert!(computes(&metrics, good), "{good}");
        }
        for bad in ["bleu", "latency.p0", "latency.p100", "latency.best", "rougel", "exec:score"] {
            assert!(!computes(&metrics, bad), "{bad}");
        }
    }

    #[test]
    fn metrics_that_are_not_computed_and_models_that_cannot_do_it_are_told() {
        let set = "capability: text.summarize, cases: [{id: a, input: b}], metrics: [rougeL, latency]";
        let embedder = "type: embedding, servedBy: [{runtime: swap}], capabilities: [text.embed]";
        let experiment = "goldenSet: g, candidates: [{model: qwen}, {model: embedder}], baseline: {model: embedder}, \
                          winner: {by: rouge1, guard: [{metric: latency.p95, max: 4s}, {metric: length, max: 5}]}";
        insta::assert_snapshot!(told(&[
            manifest("GoldenSet", "g", set),
            manifest("Model", "embedder", embedder),
            manifest("Experiment", "e", experiment),
        ]), @r#"
error ARC318 Experiment/e at `embedder`: Model `embedder` is not for `text.summarize`
  ^ it is for text.embed
  = models that can: large, lead, qwen
error ARC322 Experiment/e at `rouge1`: GoldenSet `g` does not compute `rouge1`
  ^ it computes rougeL, latency
  = did you mean `rougeL`? or add `rouge1` to the metrics of GoldenSet/g
error ARC322 Experiment/e at `length`: GoldenSet `g` does not compute `length`
  ^ it computes rougeL, latency
  = add it to the metrics of GoldenSet/g
"#);
    }
}
