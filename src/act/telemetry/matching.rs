//! Which card a manifest means, and what of it does not agree with the hardware. Pure.
//!
//! A uuid names one card whatever the order of the slots; where one is declared, nothing else is tried. Without it the index
//! counts, and where there is one card and one declaration, neither is needed.

use crate::core::text::count;
use crate::core::unit::gigabytes;
use crate::decide::host_view::{GpuView, gb_of};
use crate::declare::manifest::kind::host::GpuSpec;

use super::card::Card;

/// A card with error correction or a display keeps up to a tenth of what its box says; more is another card.
const MEMORY_TOLERANCE: f64 = 0.1;
/// Cards that are named in a sentence.
const NAMED_MAX: usize = 4;

/// The declared GPU as it was seen among `cards`. `all` are the declared GPUs of its host.
///
/// # Errors
/// Why it cannot be told which card it is, or the card cannot be read.
pub fn view(declared: &GpuSpec, all: &[GpuSpec], cards: &[Card]) -> Result<GpuView, String> {
    let card = find(declared, all, cards)?;
    let figures = card.figures.as_ref().map_err(|fault| fault.why.clone())?;
    Ok(GpuView {
        name: card.name.clone(),
        uuid: card.uuid.clone(),
        index: Some(card.index),
        total_gb: gb_of(figures.total_bytes),
        used_gb: gb_of(figures.total_bytes - figures.free_bytes),
        util_pct: figures.util_pct,
        temperature_c: figures.temperature_c,
        processes: figures.processes.clone(),
        simulated: false,
        note: note(declared, all, card, gb_of(figures.total_bytes)),
    })
}

fn find<'a>(declared: &GpuSpec, all: &[GpuSpec], cards: &'a [Card]) -> Result<&'a Card, String> {
    if let Some(uuid) = &declared.uuid {
        if let Some(card) = cards.iter().find(|card| is(card, uuid)) {
            return Ok(card);
        }
        // A card that is lost may not even tell its uuid: then its trouble is the better answer.
        let silent = cards.iter().find(|card| card.uuid.is_none());
        return match silent.and_then(|card| Some((card, card.figures.as_ref().err()?))) {
            Some((card, fault)) => Err(format!("{}; that is the card at index {}", fault.why, card.index)),
            None => Err(format!("no card has this uuid; {}", there_is(cards))),
        };
    }
    if let Some(index) = declared.index {
        let found = cards.iter().find(|card| card.index == index);
        return found.ok_or_else(|| format!("no card has index {index}; {}", there_is(cards)));
    }
    match (cards, all.iter().filter(|gpu| !gpu.simulated).count()) {
        ([only], 1) => Ok(only),
        _ => Err(format!("it cannot be told which card this is; {}; declare its uuid", there_is(cards))),
    }
}

fn is(card: &Card, uuid: &str) -> bool {
    card.uuid.as_ref().is_some_and(|of_card| of_card.eq_ignore_ascii_case(uuid.trim()))
}

/// `the driver counts 2 cards: 0 RTX 5090 (GPU-1…), 1 RTX 3060 (GPU-2…)`.
fn there_is(cards: &[Card]) -> String {
    let named: Vec<String> = cards
        .iter()
        .take(NAMED_MAX)
        .map(|card| {
            let name = card.name.as_deref().unwrap_or("unnamed");
            let uuid = card.uuid.as_ref().map(|uuid| format!(" ({uuid})")).unwrap_or_default();
            format!("{} {name}{uuid}", card.index)
        })
        .collect();
    let list = if named.is_empty() { String::new() } else { format!(": {}", named.join(", ")) };
    format!("the driver counts {}{list}", count(cards.len(), "card"))
}

/// What of the manifest does not agree with the card that was found.
fn note(declared: &GpuSpec, all: &[GpuSpec], card: &Card, total_gb: f64) -> Option<String> {
    let mut notes = Vec::new();
    if (declared.vram_gb - total_gb).abs() > total_gb * MEMORY_TOLERANCE {
        let (said, has) = (gigabytes(declared.vram_gb), gigabytes(total_gb));
        notes.push(format!("the manifest says {said} GB, the driver says {has} GB"));
    }
    if declared.uuid.is_some()
        && let Some(index) = declared.index.filter(|index| *index != card.index)
    {
        notes.push(format!("the manifest says index {index}, the driver says {}; the uuid counts", card.index));
    }
    let same = |other: &&GpuSpec| match &other.uuid {
        Some(uuid) => is(card, uuid),
        None => other.index == Some(card.index),
    };
    let twins = all.iter().filter(|other| other.id != declared.id && !other.simulated).filter(same);
    notes.extend(twins.map(|twin| format!("{} is the same card", twin.id)));
    (!notes.is_empty()).then(|| notes.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::act::telemetry::card::{Fault, Figures};

    /// A GPU from `id index uuid gb`, `-` for what is absent.
    fn gpu(text: &str) -> GpuSpec {
        let parts: Vec<&str> = text.split(' ').collect();
        let given = |n: usize| Some(parts[n]).filter(|part| *part != "-");
        GpuSpec {
            id: crate::core::Name::new(parts[0]).unwrap(),
            index: given(1).map(|index| index.parse().unwrap()),
            uuid: given(2).map(str::to_owned),
            vram_gb: parts[3].parse().unwrap(),
            label: None,
            simulated: parts.get(4).is_some(),
        }
    }

    fn card(index: u32, uuid: &str, gb: u64) -> Card {
        Card {
            index,
            uuid: Some(uuid.into()),
            name: Some("RTX".into()),
            figures: Figures::checked(gb << 30, (gb - 2) << 30, Some(63), None, Vec::new()),
        }
    }

    fn lost(index: u32) -> Card {
        Card { index, uuid: None, name: None, figures: Err(Fault { why: "it is lost".into(), reopen: true }) }
    }

    /// What becomes of the first of the declared GPUs: the index of its card and the note, or why not.
    fn seen(declared: &[&str], cards: &[Card]) -> String {
        let all: Vec<GpuSpec> = declared.iter().map(|text| gpu(text)).collect();
        match view(&all[0], &all, cards) {
            Ok(view) => format!("{} {}", view.index.unwrap(), view.note.as_deref().unwrap_or("-")),
            Err(why) => why,
        }
    }

    #[test]
    fn a_card_is_found_by_uuid_first_then_by_index_and_alone_by_neither() {
        let two = [card(0, "GPU-a", 32), card(1, "GPU-b", 24)];
        for (declared, cards, found) in [
            (vec!["g - GPU-b 24"], &two[..], "1 -"),
            (vec!["g 1 gpu-B 24"], &two[..], "1 -"),
            (vec!["g 0 - 32"], &two[..], "0 -"),
            (vec!["g - - 32"], &two[..1], "0 -"),
            (vec!["g - - 32", "s - - 8 sim"], &two[..1], "0 -"),
            (
                vec!["g - - 32"],
                &two[..],
                "it cannot be told which card this is; the driver counts 2 cards: 0 RTX (GPU-a), 1 RTX (GPU-b); declare its uuid",
            ),
            (
                vec!["g - - 32", "h 1 - 24"],
                &two[..1],
                "it cannot be told which card this is; the driver counts 1 card: 0 RTX (GPU-a); declare its uuid",
            ),
            (vec!["g 7 - 32"], &two[..1], "no card has index 7; the driver counts 1 card: 0 RTX (GPU-a)"),
            (vec!["g 0 - 32"], &[], "no card has index 0; the driver counts 0 cards"),
        ] {
            assert_eq!(seen(&declared, cards), found, "{declared:?}");
        }
    }

    #[test]
    fn a_uuid_that_is_not_there_is_never_replaced_by_an_index() {
        let why = seen(&["g 0 GPU-x 32"], &[card(0, "GPU-a", 32)]);
        assert_eq!(why, "no card has this uuid; the driver counts 1 card: 0 RTX (GPU-a)");
        let why = seen(&["g 1 GPU-b 24"], &[card(0, "GPU-a", 32), lost(1)]);
        assert_eq!(why, "it is lost; that is the card at index 1");
    }

    #[test]
    fn what_does_not_agree_is_noted_and_the_measured_value_stands() {
        let cards = [card(0, "GPU-a", 24), card(1, "GPU-b", 24)];
        assert_eq!(seen(&["g 0 - 32"], &cards), "0 the manifest says 32 GB, the driver says 24 GB");
        assert_eq!(seen(&["g 0 - 25"], &cards), "0 -", "what a display or error correction takes is no other card");
        assert_eq!(
            seen(&["g 1 GPU-a 24", "h 0 - 24", "i 1 - 24"], &cards),
            "0 the manifest says index 1, the driver says 0; the uuid counts; h is the same card"
        );
        let spec = gpu("g 0 - 32");
        let view = view(&spec, std::slice::from_ref(&spec), &cards).unwrap();
        assert_eq!((view.total_gb, view.used_gb, view.util_pct), (24.0, 2.0, Some(63.0)));
    }

    #[test]
    fn a_card_that_is_lost_says_so_at_its_index() {
        assert_eq!(seen(&["g 1 - 24"], &[card(0, "GPU-a", 24), lost(1)]), "it is lost");
    }
}
