//! What llama-swap measures of its machine: processors, memory and graphics cards, every few seconds.
//!
//! The newest sample of each is kept with its own time, which is that of the other machine's clock. A figure that makes no
//! sense is absent, and so is everything while measuring is switched off there.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use serde::Deserialize;

use crate::act::runtime::adapter::{Fault, MachineSample, RuntimeError};
use crate::act::telemetry::card::{Card, Figures};
use crate::core::Timestamp;
use crate::core::text::shorten;
use crate::decide::host_view::{HostView, gb_of};

use super::adapter::LlamaSwap;
use super::paths::{Look, look};

/// More memory than any machine has, in MiB: 1 PiB. A larger figure is a broken answer.
const MEMORY_MIB_MAX: f64 = (1_u64 << 30) as f64;
/// Cards that are believed to be in one machine.
const CARDS_MAX: usize = 64;
const NAME_CHARS_MAX: usize = 80;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Performance {
    enabled: bool,
    sys_stats: Option<Vec<System>>,
    gpu_stats: Option<Vec<Gpu>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct System {
    timestamp: Option<Timestamp>,
    cpu_util_per_core: Option<Vec<f64>>,
    mem_total_mb: f64,
    mem_used_mb: f64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Gpu {
    timestamp: Option<Timestamp>,
    id: u32,
    name: String,
    uuid: String,
    temp_c: Option<f64>,
    gpu_util_pct: Option<f64>,
    mem_used_mb: f64,
    mem_total_mb: f64,
}

/// The newest samples so far; none where llama-swap does not measure, or has not yet.
pub(super) async fn newest(runtime: &LlamaSwap) -> Result<Option<MachineSample>, RuntimeError> {
    let known = runtime.sample.lock().unwrap_or_else(PoisonError::into_inner).clone();
    // What is older than all that is known need not be sent again. A `Z` needs no encoding.
    let query = known.as_ref().and_then(newest_at).map(|at| format!("?after={at}")).unwrap_or_default();
    let answer = match look(&runtime.client, Look::Performance, &query).await {
        Ok(answer) => answer,
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    let sample = merge(known, &answer.json()?);
    runtime.sample.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&sample);
    Ok(sample)
}

/// Whether it says that it does not measure, or is too old to.
fn is_absent(error: &RuntimeError) -> bool {
    let switched_off = |words: &String| words.replace(' ', "").contains("\"enabled\":false");
    error.fault == Fault::NotFound || error.words.as_ref().is_some_and(switched_off)
}

fn newest_at(sample: &MachineSample) -> Option<Timestamp> {
    let host = sample.host.as_ref().map(|(at, _)| *at);
    sample.cards.iter().map(|(at, _)| *at).chain(host).max()
}

/// What is known after an answer. None when nothing is, or it does not measure any more.
fn merge(known: Option<MachineSample>, told: &Performance) -> Option<MachineSample> {
    if !told.enabled {
        return None;
    }
    let mut sample = known.unwrap_or_default();
    let systems = told.sys_stats.iter().flatten().filter_map(|system| Some((system.timestamp?, host_of(system)?)));
    sample.host = systems.chain(sample.host.take()).max_by_key(|(at, _)| *at);
    let mut cards: BTreeMap<u32, (Timestamp, Card)> =
        sample.cards.into_iter().map(|(at, card)| (card.index, (at, card))).collect();
    for (at, card) in told.gpu_stats.iter().flatten().filter_map(|gpu| Some((gpu.timestamp?, card_of(gpu)))) {
        if cards.get(&card.index).is_none_or(|(known, _)| *known <= at) && cards.len() <= CARDS_MAX {
            cards.insert(card.index, (at, card));
        }
    }
    sample.cards = cards.into_values().collect();
    (sample.host.is_some() || !sample.cards.is_empty()).then_some(sample)
}

fn host_of(system: &System) -> Option<HostView> {
    let total = bytes(system.mem_total_mb).filter(|total| *total > 0)?;
    let used = bytes(system.mem_used_mb).filter(|used| *used <= total)?;
    let cores: Vec<f64> = system.cpu_util_per_core.iter().flatten().copied().filter(|pct| is_percent(*pct)).collect();
    #[expect(clippy::cast_precision_loss, reason = "no machine has 2^53 processors")]
    let mean = (!cores.is_empty()).then(|| cores.iter().sum::<f64>() / cores.len() as f64);
    Some(HostView { cpu_util_pct: mean, ram_used_gb: gb_of(used), ram_total_gb: gb_of(total), ..HostView::default() })
}

fn card_of(gpu: &Gpu) -> Card {
    let total = bytes(gpu.mem_total_mb).unwrap_or(0);
    // More used than there is, or no number, is refused with the rest.
    let free = bytes(gpu.mem_used_mb).and_then(|used| total.checked_sub(used)).unwrap_or(u64::MAX);
    let (util, temperature) = (gpu.gpu_util_pct.and_then(whole), gpu.temp_c.filter(|c| *c > 0.0).and_then(whole));
    let text = |text: &str| Some(shorten(text.trim(), NAME_CHARS_MAX)).filter(|text| !text.is_empty());
    Card {
        index: gpu.id,
        uuid: text(&gpu.uuid),
        name: text(&gpu.name),
        figures: Figures::checked(total, free, util, temperature, Vec::new()),
    }
}

fn is_percent(pct: f64) -> bool {
    (0.0..=100.0).contains(&pct)
}

fn whole(of: f64) -> Option<u32> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1000 fits")]
    (0.0..=1_000.0).contains(&of).then(|| of.round() as u32)
}

/// Bytes from MiB, which it calls MB.
fn bytes(mib: f64) -> Option<u64> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below 2^50 and not negative")]
    (0.0..=MEMORY_MIB_MAX).contains(&mib).then(|| (mib * 1_048_576.0).round() as u64)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn told(value: Value) -> Performance {
        serde_json::from_value(value).unwrap()
    }

    fn gpu(id: u32, second: u32, used: f64) -> Value {
        json!({"timestamp": format!("2026-08-22T10:00:{second:02}.5Z"), "id": id, "name": "RTX 3090", "uuid": format!("GPU-{id}"),
            "temp_c": 51, "gpu_util_pct": 88, "mem_used_mb": used, "mem_total_mb": 24576})
    }

    fn used(sample: &MachineSample) -> Vec<Option<f64>> {
        let used = |card: &Card| card.figures.as_ref().ok().map(|of| gb_of(of.total_bytes - of.free_bytes));
        sample.cards.iter().map(|(_, card)| used(card)).collect()
    }

    #[test]
    fn the_newest_sample_of_each_part_counts_and_is_kept_while_nothing_newer_comes() {
        let system = |second: u32, used: f64| {
            json!({"timestamp": format!("2026-08-22T10:00:{second:02}Z"), "cpu_util_per_core": [10.0, 30.0],
                "mem_total_mb": 65536, "mem_used_mb": used})
        };
        let all = json!({"enabled": true, "sys_stats": [system(5, 1024.0), system(10, 2048.0)],
            "gpu_stats": [gpu(0, 10, 6144.0), gpu(0, 5, 3072.0), gpu(1, 5, 0.0)]});
        let first = merge(None, &told(all)).unwrap();
        let (at, host) = first.host.clone().unwrap();
        assert_eq!(
            (at.as_second() % 60, host.cpu_util_pct, host.ram_used_gb, host.ram_total_gb),
            (10, Some(20.0), 2.0, 64.0)
        );
        assert_eq!(used(&first), [Some(6.0), Some(0.0)]);
        let quiet = merge(Some(first.clone()), &told(json!({"enabled": true, "sys_stats": null, "gpu_stats": null})));
        assert_eq!(quiet, Some(first.clone()));
        let next = merge(Some(first), &told(json!({"enabled": true, "gpu_stats": [gpu(1, 15, 1024.0)]}))).unwrap();
        assert_eq!(used(&next), [Some(6.0), Some(1.0)]);
        assert_eq!(newest_at(&next).unwrap().to_string(), "2026-08-22T10:00:15.5Z");
    }

    #[test]
    fn what_is_switched_off_or_cannot_be_true_is_absent() {
        assert_eq!(merge(None, &told(json!({"enabled": false, "gpu_stats": [gpu(0, 1, 1.0)]}))), None);
        assert_eq!(merge(None, &told(json!({"enabled": true}))), None);
        for (used_mb, total_mb) in [(9.0, 8.0), (-1.0, 8.0), (1.0, 0.0), (1.0, 1e300)] {
            let stamp = "2026-08-22T10:00:00Z";
            let bad = json!({"enabled": true, "sys_stats": [{"timestamp": stamp, "mem_total_mb": total_mb, "mem_used_mb": used_mb}],
                "gpu_stats": [{"timestamp": stamp, "id": 0, "mem_used_mb": used_mb, "mem_total_mb": total_mb}]});
            let sample = merge(None, &told(bad)).unwrap();
            assert_eq!((sample.host.is_none(), used(&sample)), (true, vec![None]), "{used_mb} of {total_mb}");
        }
    }
}
