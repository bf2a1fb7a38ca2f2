//! What goes wrong, and when.

use super::super::script::{Act, CallVerb, Fault, Mishap, Site, Step};
use super::chance::Chance;

/// Steps that go wrong over `horizon_ms`, not yet in order. One script in eight has none.
pub fn steps(chance: &mut Chance, site: &Site, horizon_ms: u64) -> Vec<Step> {
    let count = if chance.percent(12) { 0 } else { chance.between(1, 10) };
    (0..count)
        .filter_map(|_| {
            let fault = fault(chance, site)?;
            Some(Step { at_ms: chance.between(0, horizon_ms), act: Act::Fault(fault) })
        })
        .collect()
}

fn fault(chance: &mut Chance, site: &Site) -> Option<Fault> {
    let names: Vec<_> = site.runtimes.keys().cloned().collect();
    let runtime = chance.pick(&names)?.clone();
    let models: Vec<&String> = site.runtimes[&runtime].models.keys().collect();
    let model = chance.pick(&models).map(|model| (*model).clone());
    Some(match chance.between(0, 99) {
        0..=37 => Fault::Call {
            runtime,
            verb: chance.one_of(&[
                CallVerb::Observe,
                CallVerb::Load,
                CallVerb::Load,
                CallVerb::Unload,
                CallVerb::Run,
                CallVerb::Run,
            ]),
            how: mishap(chance),
        },
        38..=45 => Fault::Vanish { runtime, model: model? },
        46..=51 => Fault::Appear { runtime, model: model? },
        52..=58 => Fault::Restart { runtime },
        59..=66 => Fault::Down { runtime, for_ms: chance.between(1_000, 90_000) },
        67..=72 => Fault::Busy { runtime, requests: 2, for_ms: chance.between(1_000, 60_000) },
        73..=77 if !site.gpus.is_empty() => {
            Fault::Foreign { gpu: chance.index(site.gpus.len()), gb: chance.one_of(&[0.0, 2.0, 6.0, 12.0]) }
        }
        73..=81 => Fault::WallJump { by_ms: chance.one_of(&[-3_600_000, -30_000, 30_000, 3_600_000]) },
        82..=85 => Fault::Sleep { ms: chance.one_of(&[5_000, 120_000, 3_600_000]) },
        86..=90 => Fault::DiskFull { for_ms: chance.between(500, 60_000) },
        _ => Fault::Crash {
            writes: u32::try_from(chance.between(0, 6)).unwrap_or(0),
            after: chance.percent(50),
            away_ms: chance.one_of(&[10, 1_000, 20_000, 200_000]),
        },
    })
}

fn mishap(chance: &mut Chance) -> Mishap {
    match chance.between(0, 9) {
        0..=1 => Mishap::Slow { by_ms: chance.one_of(&[3_000, 20_000, 70_000]) },
        2 => Mishap::Hangs,
        3..=4 => Mishap::HangsDone,
        5..=6 => Mishap::Error,
        7 => Mishap::BadInput,
        8 => Mishap::DoneThenGone { after_ms: chance.one_of(&[0, 2_000, 20_000]) },
        _ => Mishap::Lies,
    }
}
