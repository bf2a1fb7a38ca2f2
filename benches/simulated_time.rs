//! How fast recorded time is replayed: what `arcology simulate` waits for.

use arcology::decide::scheduler::replay::replay;
use arcology::decide::scheduler::state::State;
use arcology::declare::world::policy::EffectivePolicy;

use crate::measure::{processor_seconds, row};
use crate::thrash::workload;

const DAYS: u64 = 28;
const ROUNDS: u64 = 5;

pub fn run() {
    for pace in [0.5, 2.0] {
        let policy = EffectivePolicy { gpu_shared_slots: 2, ..EffectivePolicy::default() };
        let trace = workload::trace(workload::mixed(1, 24 * DAYS, pace), workload::config(policy));
        let (mut events, mut simulated_ms) = (0, 0);
        let start = processor_seconds();
        for _ in 0..ROUNDS {
            let report = replay(&mut State::new(), &trace);
            (events, simulated_ms) = (events + report.events, simulated_ms + report.makespan_ms);
        }
        let seconds = processor_seconds() - start;
        let a_second = simulated_ms as f64 / 1e3 / seconds;
        row(
            format!("{DAYS} days, {} tasks, one GPU", trace.submissions.len()),
            format!(
                "{:.1} ms; {:.1} million simulated seconds a processor second, {:.0} events/s",
                seconds * 1e3 / ROUNDS as f64,
                a_second / 1e6,
                events as f64 / seconds
            ),
        );
    }
}
