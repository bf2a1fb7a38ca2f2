//! The gauges of `GET /metrics` (Prometheus text format 0.0.4): the queue, and whether the engine sleeps. Pure.

/// How deep the engine sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sleep {
    Awake,
    /// Level 1: the weights are in the host's memory.
    WeightsOffloaded,
    /// Level 2: the weights are gone.
    DiscardAll,
}

/// What was told; several engines are taken together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Metrics {
    pub running: Option<u32>,
    pub waiting: Option<u32>,
    /// Of all engines the one that sleeps deepest.
    pub sleep: Option<Sleep>,
}

const RUNNING: &str = "vllm:num_requests_running";
const WAITING: &str = "vllm:num_requests_waiting";
const SLEEP: &str = "vllm:engine_sleep_state";

/// Reads the gauges; lines that are not understood are passed over.
pub(super) fn read(text: &str) -> Metrics {
    let mut metrics = Metrics::default();
    for (name, labels, value) in text.lines().filter_map(sample) {
        match name {
            RUNNING => add(&mut metrics.running, value),
            WAITING => add(&mut metrics.waiting, value),
            SLEEP if value == 1.0 => metrics.sleep = metrics.sleep.max(sleep_of(labels)),
            _ => {}
        }
    }
    metrics
}

/// Name, labels and value of a line.
fn sample(line: &str) -> Option<(&str, &str, f64)> {
    if line.starts_with('#') {
        return None;
    }
    let (name, labels, rest) = match line.split_once('{') {
        // A label's value may hold a brace; a number holds none.
        Some((name, rest)) => {
            let (labels, rest) = rest.rsplit_once('}')?;
            (name, labels, rest)
        }
        None => {
            let (name, rest) = line.split_once(' ')?;
            (name, "", rest)
        }
    };
    let value: f64 = rest.split_whitespace().next()?.parse().ok()?;
    (value.is_finite() && value >= 0.0).then_some((name, labels, value))
}

fn sleep_of(labels: &str) -> Option<Sleep> {
    let (_, rest) = labels.split_once("sleep_state=\"")?;
    match rest.split_once('"')?.0 {
        "awake" => Some(Sleep::Awake),
        "weights_offloaded" => Some(Sleep::WeightsOffloaded),
        "discard_all" => Some(Sleep::DiscardAll),
        _ => None,
    }
}

fn add(sum: &mut Option<u32>, value: f64) {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative, and a cast saturates")]
    let value = value as u32;
    *sum = Some(sum.unwrap_or_default().saturating_add(value));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quirk_12_the_gauges_of_several_engines_are_taken_together() {
        let metrics = read(
            "# HELP vllm:num_requests_running Number of requests.\n# TYPE vllm:num_requests_running gauge\n\
             vllm:num_requests_running{engine=\"0\",model_name=\"a}b\"} 2.0\n\
             vllm:num_requests_running{engine=\"1\",model_name=\"a}b\"} 1.0\n\
             vllm:num_requests_waiting{engine=\"0\"} 4\n\
             vllm:num_requests_waiting_by_reason{engine=\"0\",reason=\"capacity\"} 4.0\n\
             vllm:engine_sleep_state{engine=\"0\",sleep_state=\"awake\"} 1.0\n\
             vllm:engine_sleep_state{engine=\"1\",sleep_state=\"awake\"} 0.0\n\
             vllm:engine_sleep_state{engine=\"1\",sleep_state=\"discard_all\"} 1.0\n",
        );
        assert_eq!(metrics, Metrics { running: Some(3), waiting: Some(4), sleep: Some(Sleep::DiscardAll) });
    }

    #[test]
    fn what_is_no_gauge_is_passed_over() {
        for text in [
            "",
            "vllm:num_requests_running NaN",
            "vllm:num_requests_running{engine=\"0\"",
            "vllm:num_requests_running{} -1",
            "vllm:engine_sleep_state{sleep_state=\"dreaming\"} 1",
            "vllm:engine_sleep_state{sleep_state=\"awake\"} 0",
            "<html>",
        ] {
            assert_eq!(read(text), Metrics::default(), "{text}");
        }
        assert_eq!(read("vllm:num_requests_waiting 1e99").waiting, Some(u32::MAX));
    }
}
