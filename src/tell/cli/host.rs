//! A host in one line. Pure: hosts and GPUs of the JSON API in, text out.

use serde_json::Value;

use crate::core::Timestamp;
use crate::core::unit::gigabytes;

use super::read::{ago, at, shown, text};

/// `desk: gpu0 9.2 of 32 GB 63 %; CPU 28 %; RAM 38 of 96 GB; disk 512 GB free`.
pub fn line<'a>(host: &Value, gpus: impl Iterator<Item = &'a Value>, now: Timestamp) -> String {
    // What is so for the whole host is said once.
    let told = |gpu: &&Value| text(gpu, "problem").is_none() || text(gpu, "problem") != text(host, "problem");
    let mut parts: Vec<String> = own(gpus, host).filter(told).map(|one| gpu(one, now)).collect();
    match machine(host) {
        machine if machine.is_empty() => parts.push(trouble(host, now)),
        machine => parts.extend(machine),
    }
    format!("{}: {}", shown(host, "name"), parts.join("; "))
}

/// The GPUs of a host among all.
fn own<'a>(gpus: impl Iterator<Item = &'a Value>, host: &Value) -> impl Iterator<Item = &'a Value> {
    let name = text(host, "name");
    gpus.filter(move |gpu| text(gpu, "host") == name)
}

/// `gpu0 9.2 of 32 GB 63 %`, or why not.
fn gpu(gpu: &Value, now: Timestamp) -> String {
    let id = shown(gpu, "id");
    let simulated = if gpu["simulated"] == true { " simulated" } else { "" };
    match (figure(gpu, "vram_used_gb"), figure(gpu, "vram_total_gb")) {
        (Some(used), Some(total)) => {
            let work = figure(gpu, "util_pct").map(|pct| format!(" {pct:.0} %")).unwrap_or_default();
            format!("{id}{simulated} {} of {} GB{work}", gigabytes(used), gigabytes(total))
        }
        _ => format!("{id}{simulated} {}", trouble(gpu, now)),
    }
}

fn machine(host: &Value) -> Vec<String> {
    let cpu = figure(host, "cpu.util_pct").map(|pct| format!("CPU {pct:.0} %"));
    let of =
        |used, total| Some(format!("RAM {} of {} GB", gigabytes(figure(host, used)?), gigabytes(figure(host, total)?)));
    let disk = figure(host, "disk_gb.free").map(|free| format!("disk {} GB free", gigabytes(free)));
    [cpu, of("ram_gb.used", "ram_gb.total"), disk].into_iter().flatten().collect()
}

/// `stale, seen 4 min ago (the card fell off the bus)`.
fn trouble(item: &Value, now: Timestamp) -> String {
    let word = text(item, "reading").unwrap_or_else(|| "unknown".into());
    let seen = ago(item, "observed_at", now).map(|ago| format!(", seen {ago} ago")).unwrap_or_default();
    let why = text(item, "problem").map(|why| format!(" ({why})")).unwrap_or_default();
    format!("{word}{seen}{why}")
}

fn figure(value: &Value, path: &str) -> Option<f64> {
    at(value, path)?.as_f64()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_host_that_is_not_known_says_why_and_a_simulated_gpu_says_what_it_is() {
        let now = "2026-11-21T10:05:00Z".parse().unwrap();
        let desk =
            json!({"name": "desk", "reading": "stale", "observed_at": "2026-11-21T10:01:00Z", "problem": "no answer"});
        let gpus = [
            json!({"host": "desk", "id": "sim0", "simulated": true, "vram_used_gb": 2.5, "vram_total_gb": 8.0}),
            json!({"host": "attic", "id": "gpu0", "vram_used_gb": 1.0, "vram_total_gb": 2.0}),
            json!({"host": "desk", "id": "gpu0", "reading": "unknown", "problem": "no driver"}),
        ];
        assert_eq!(
            line(&desk, gpus.iter(), now),
            "desk: sim0 simulated 2.5 of 8 GB; gpu0 unknown (no driver); stale, seen 4 min ago (no answer)"
        );
        assert_eq!(line(&json!({}), gpus.iter(), now), "-: unknown", "an answer without fields claims nothing");
    }
}
