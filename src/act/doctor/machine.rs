//! The machine: its memory, and the cards that are declared held against those that the driver has.

use std::path::PathBuf;
use std::time::Duration;

use crate::act::telemetry::card::Card;
use crate::act::telemetry::machine::Machine;
use crate::act::telemetry::nvml::Driver;
use crate::act::telemetry::probe::Probe;
use crate::core::text::count;
use crate::decide::host_view::{HostView, gb_of};
use crate::declare::manifest::kind::host::GpuSpec;

use super::finding::Finding;

/// How long the driver may take.
const DRIVER_MAX: Duration = Duration::from_secs(3);

/// What is known of the machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    pub memory: Result<HostView, String>,
    pub cards: Result<Vec<Card>, String>,
    /// The cards that the Host of this machine declares, without simulated ones.
    pub declared: Vec<GpuSpec>,
}

/// Looks.
pub async fn gather(declared: Vec<GpuSpec>) -> Facts {
    let mut probe = Probe::new("nvml", DRIVER_MAX, || {
        let mut driver = Driver::new(None);
        move || driver.look()
    });
    let cards = match probe.look().await {
        Ok(Ok(cards)) => Ok(cards),
        Ok(Err(fault)) => Err(fault.to_string()),
        Err(silence) => Err(silence.to_string()),
    };
    let declared = declared.into_iter().filter(|gpu| !gpu.simulated).collect();
    Facts { memory: Machine::new(PathBuf::from("/")).look(), cards, declared }
}

/// Judges.
#[must_use]
pub fn judge(facts: &Facts) -> Vec<Finding> {
    vec![memory(facts), cards(facts)]
}

fn memory(facts: &Facts) -> Finding {
    const CHECK: &str = "memory";
    match &facts.memory {
        Err(why) => Finding::skipped(CHECK, why.clone()),
        Ok(view) => {
            let free = (view.ram_total_gb - view.ram_used_gb).max(0.0);
            let seen = format!("{free:.1} of {:.1} GB free", view.ram_total_gb);
            if free < 0.05 * view.ram_total_gb {
                return Finding::warn(
                    CHECK,
                    seen,
                    "end what takes the most: the system may end programs by itself soon",
                );
            }
            Finding::ok(CHECK, seen)
        }
    }
}

fn cards(facts: &Facts) -> Finding {
    const CHECK: &str = "gpus";
    let cards = match (&facts.cards, facts.declared.is_empty()) {
        (Err(why), true) => return Finding::skipped(CHECK, format!("none is declared, and {why}")),
        (Err(why), false) => {
            let mend = "install NVIDIA's driver (nvidia-smi must work), or in a container hand in libnvidia-ml.so.1; AMD and Apple cards are not read in this version";
            return Finding::fail(CHECK, format!("{} declared, and {why}", count(facts.declared.len(), "card")), mend);
        }
        (Ok(cards), _) => cards,
    };
    let seen: Vec<String> = cards.iter().map(in_words).collect();
    let seen = if seen.is_empty() { "the driver has no card".to_owned() } else { seen.join("; ") };
    let missing: Vec<&str> =
        facts.declared.iter().filter(|gpu| !is_there(gpu, cards)).map(|gpu| gpu.id.as_str()).collect();
    if !missing.is_empty() {
        let mend = "correct `index` or `uuid` in the Host's manifest: nvidia-smi -L";
        return Finding::fail(CHECK, format!("{} is declared and not there; {seen}", missing.join(", ")), mend);
    }
    if cards.iter().any(|card| card.figures.is_err()) {
        return Finding::warn(CHECK, seen, "nvidia-smi tells more; a card that fell off the bus needs a restart");
    }
    if facts.declared.is_empty() && !cards.is_empty() {
        return Finding::warn(
            CHECK,
            format!("{seen}; none is declared, so none is used"),
            "declare them in the Host's manifest; `arcology discover` prints it",
        );
    }
    Finding::ok(CHECK, seen)
}

fn is_there(gpu: &GpuSpec, cards: &[Card]) -> bool {
    match (&gpu.uuid, gpu.index) {
        (Some(uuid), _) => cards.iter().any(|card| card.uuid.as_ref() == Some(uuid)),
        (None, Some(index)) => cards.iter().any(|card| card.index == index),
        // Which one is meant is found by counting; there has to be one at least.
        (None, None) => !cards.is_empty(),
    }
}

fn in_words(card: &Card) -> String {
    let name = card.name.as_deref().unwrap_or("a card without a name");
    match &card.figures {
        Ok(figures) => format!(
            "{} {name}, {:.1} of {:.1} GB free",
            card.index,
            gb_of(figures.free_bytes),
            gb_of(figures.total_bytes)
        ),
        Err(fault) => format!("{} {name}: {fault}", card.index),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::act::doctor::Status;
    use crate::act::telemetry::card::{Fault, Figures};

    fn card(index: u32) -> Card {
        let figures = Figures { total_bytes: 24 << 30, free_bytes: 20 << 30, ..Figures::default() };
        Card { index, uuid: Some(format!("GPU-{index}")), name: Some("RTX".into()), figures: Ok(figures) }
    }

    fn gpu(more: serde_json::Value) -> GpuSpec {
        let mut spec = serde_json::json!({"id": "gpu0", "vramGb": 24.0});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(spec).unwrap()
    }

    #[test]
    fn declared_cards_are_held_against_those_that_are_there() {
        use serde_json::json;
        let broken = Card { figures: Err(Fault::lasting("off the bus")), ..card(0) };
        for (cards_there, declared, expected) in [
            (Err("no driver".to_owned()), vec![], Status::Skipped),
            (Err("no driver".to_owned()), vec![gpu(json!({"index": 0}))], Status::Fail),
            (Ok(vec![card(0)]), vec![gpu(json!({"index": 0}))], Status::Ok),
            (Ok(vec![card(0)]), vec![gpu(json!({"index": 1}))], Status::Fail),
            (Ok(vec![card(0)]), vec![gpu(json!({"uuid": "GPU-0"}))], Status::Ok),
            (Ok(vec![card(0)]), vec![gpu(json!({"uuid": "GPU-7"}))], Status::Fail),
            (Ok(vec![card(0)]), vec![], Status::Warn),
            (Ok(vec![]), vec![], Status::Ok),
            (Ok(vec![]), vec![gpu(json!({}))], Status::Fail),
            (Ok(vec![broken]), vec![gpu(json!({"index": 0}))], Status::Warn),
        ] {
            let facts = Facts { memory: Err("x".into()), cards: cards_there, declared };
            assert_eq!(cards(&facts).status, expected, "{facts:?}");
        }
    }

    #[test]
    fn memory_that_runs_out_is_told() {
        let with = |ram_used_gb| {
            let view = HostView { ram_used_gb, ram_total_gb: 100.0, ..HostView::default() };
            memory(&Facts { memory: Ok(view), cards: Ok(vec![]), declared: vec![] }).status
        };
        assert_eq!((with(50.0), with(97.0)), (Status::Ok, Status::Warn));
    }
}
