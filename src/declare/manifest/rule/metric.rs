//! Every metric that is named exists. A percentile or the like may follow behind a dot: `latency.p95`.

use super::super::code::UNKNOWN_METRIC;
use super::super::document::Spec;
use super::super::kind::golden_set::METRICS;
use super::super::path::Path;
use super::super::source::quoted;
use super::{Complaint, Subject, spec};
use crate::core::text::nearest;

pub fn check(subject: &Subject<'_>, complaints: &mut Vec<Complaint>) {
    match subject.spec {
        Spec::GoldenSet(set) => {
            for (index, metric) in set.metrics.iter().enumerate() {
                one(spec("metrics").index(index), metric, metric, complaints);
            }
        }
        Spec::Experiment(experiment) => {
            let Some(winner) = &experiment.winner else { return };
            let path = spec("winner");
            one(path.key("by"), &winner.by, base(&winner.by), complaints);
            for (index, guard) in winner.guard.iter().enumerate() {
                one(path.key("guard").index(index).key("metric"), &guard.metric, base(&guard.metric), complaints);
            }
        }
        Spec::Host(_)
        | Spec::Runtime(_)
        | Spec::Model(_)
        | Spec::Loadout(_)
        | Spec::Policy(_)
        | Spec::Blueprint(_)
        | Spec::Task(_)
        | Spec::Run(_) => {}
    }
}

/// The metric of which a statistic is taken.
fn base(metric: &str) -> &str {
    if metric.starts_with("exec:") { metric } else { metric.split('.').next().unwrap_or_default() }
}

fn one(path: Path, written: &str, metric: &str, complaints: &mut Vec<Complaint>) {
    let own_scorer = metric.strip_prefix("exec:").is_some_and(|program| !program.trim().is_empty());
    if own_scorer || METRICS.contains(&metric) {
        return;
    }
    let help = match nearest(metric, METRICS.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("the metrics are {}; `exec:PROGRAM` names a scorer of your own", METRICS.join(", ")),
    };
    let message = format!("there is no metric {}", quoted(written));
    complaints.push(Complaint::new(UNKNOWN_METRIC, path, message).label("unknown metric").help(help));
}
