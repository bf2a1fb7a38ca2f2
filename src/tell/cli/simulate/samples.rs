//! A comparison with something of everything, for the tests of what renders it.

use crate::core::Timestamp;

use super::compare::{CapabilityRow, Comparison, GpuRow, Pair, Totals, VERSION, Wait};
use super::remarks;

fn wait(tasks: u64, mean_ms: f64, p50_ms: u64, p95_ms: u64, max_ms: u64) -> Wait {
    Wait { tasks, mean_ms, p50_ms, p95_ms, max_ms }
}

pub fn comparison() -> Comparison {
    let before = Totals {
        wait: wait(412, 38_400.0, 9_000, 170_000, 312_000),
        loads: 46,
        unloads: 41,
        loading_ms: 372_000,
        drained_ms: 81_000,
        exclusive_ms: 640_000,
        makespan_ms: 86_000_000,
        requeued: 0,
        refused: 0,
        stranded: 0,
    };
    let after = Totals {
        wait: wait(411, 24_100.0, 6_000, 120_000, 355_000),
        loads: 34,
        unloads: 29,
        loading_ms: 281_000,
        drained_ms: 40_000,
        exclusive_ms: 640_000,
        refused: 1,
        ..before
    };
    let mut comparison = Comparison {
        version: VERSION,
        from: "2026-11-14T07:00:00Z".parse().unwrap_or(Timestamp::UNIX_EPOCH),
        to: "2026-11-21T07:00:00Z".parse().unwrap_or(Timestamp::UNIX_EPOCH),
        in_force: "main@sha1:4f2a91c".to_owned(),
        changed: "Policy/default from policies/default.yaml".to_owned(),
        submissions: 412,
        totals: Pair { in_force: before, changed: after },
        capabilities: vec![
            CapabilityRow {
                capability: "chat.reply".to_owned(),
                wait: Pair {
                    in_force: wait(300, 21_000.0, 4_000, 90_000, 200_000),
                    changed: wait(300, 4_000.0, 1_000, 20_000, 60_000),
                },
                busy_ms: Pair { in_force: 2_250_000, changed: 2_250_000 },
            },
            CapabilityRow {
                capability: "video.gen".to_owned(),
                wait: Pair {
                    in_force: wait(112, 85_000.0, 80_000, 300_000, 312_000),
                    changed: wait(111, 91_000.0, 84_000, 340_000, 355_000),
                },
                busy_ms: Pair { in_force: 640_000, changed: 640_000 },
            },
        ],
        gpus: vec![GpuRow {
            gpu: "desk/gpu0".to_owned(),
            total_gb: 24.0,
            high_gb: Pair { in_force: 18.5, changed: 21.0 },
            drained_ms: Pair { in_force: 81_000, changed: 40_000 },
            exclusive_ms: Pair { in_force: 640_000, changed: 640_000 },
        }],
        remarks: Vec::new(),
        unknown: vec!["2 tasks of audio.tts left out: none of them ever ran".to_owned()],
    };
    comparison.remarks = remarks::of(&comparison);
    comparison
}
