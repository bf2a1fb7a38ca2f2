//! What people and other programs do: submit, cancel, retry, reroute, commit, take a GPU for themselves.

use super::super::script::{Act, LeaseScript, Site, Step, Submission};
use super::chance::Chance;
use super::commits::Author;
use super::plot::{Plot, named};

/// Steps of people and programs over `horizon_ms`, not yet in order.
pub fn steps(chance: &mut Chance, author: &mut Author, site: &Site, horizon_ms: u64) -> Vec<Step> {
    let mut steps = Vec::new();
    let tasks = u32::try_from(chance.between(3, 14)).unwrap_or(3);
    let mut at_ms = chance.between(0, 5_000);
    for label in 0..tasks {
        // Bursts and pauses.
        at_ms += if chance.percent(60) { chance.between(0, 2_000) } else { chance.between(2_000, horizon_ms / 8) };
        let submission = submission(chance, &author.plot, label);
        let mut also = |chance: &mut Chance, percent: u64, within_ms: u64, act: Act| {
            if chance.percent(percent) {
                steps.push(Step { at_ms: at_ms + chance.between(0, within_ms), act });
            }
        };
        also(chance, 12, 60_000, Act::Cancel { task: label });
        also(chance, 8, 120_000, Act::Retry { task: label });
        let elsewhere = author.plot.runtimes.get(chance.index(author.plot.runtimes.len()));
        let runtime = elsewhere.map(|runtime| named(&runtime.name)).filter(|_| chance.percent(70));
        let model = author.plot.models.get(chance.index(author.plot.models.len()));
        let model = model.map(|model| named(&model.name)).filter(|_| chance.percent(30));
        also(chance, 8, 40_000, Act::Reroute { task: label, runtime, model });
        steps.push(Step { at_ms, act: Act::Submit(submission) });
    }
    let mut commits: Vec<u64> =
        (0..chance.one_of(&[0, 0, 1, 1, 2, 3])).map(|_| chance.between(0, horizon_ms)).collect();
    commits.sort_unstable();
    for at_ms in commits {
        let act = author.commit(chance);
        steps.push(Step { at_ms, act });
    }
    if !site.gpus.is_empty() {
        for label in 0..chance.one_of(&[0, 0, 0, 1, 1, 2]) {
            let lease = lease(chance, site, label);
            steps.push(Step { at_ms: chance.between(0, horizon_ms), act: Act::Lease(lease) });
        }
    }
    steps
}

fn submission(chance: &mut Chance, plot: &Plot, label: u32) -> Submission {
    let runtime = &plot.runtimes[chance.index(plot.runtimes.len())];
    let mut capability = vec![chance.pick(&runtime.capabilities).map_or("text.stats", |one| *one).to_owned()];
    if chance.percent(6) {
        capability.extend(chance.pick(&runtime.capabilities).map(|one| (*one).to_owned()));
    }
    if chance.percent(3) {
        // Nothing offers it.
        capability = vec!["audio.tts".to_owned()];
    }
    let models: Vec<&str> = plot
        .models
        .iter()
        .filter(|model| model.served.iter().any(|(at, _)| *at == runtime.name))
        .map(|model| model.name.as_str())
        .collect();
    let mut one = Submission {
        label,
        capability,
        work_ms: chance.one_of(&[50, 2_000, 2_000, 9_000, 30_000]),
        ..Submission::default()
    };
    one.runtime = chance.percent(25).then(|| named(&runtime.name));
    one.model = chance.pick(&models).map(|model| named(model)).filter(|_| chance.percent(35));
    one.priority = chance.one_of(&[0, 0, 0, 0, 1, 3, -2]);
    one.force = chance.percent(12);
    one.exclusive = if chance.percent(15) { Some(chance.percent(60)) } else { None };
    one.not_before_ms = chance.percent(8).then(|| chance.between(0, 400_000));
    if label > 0 {
        for _ in 0..chance.one_of(&[0, 0, 0, 0, 1, 2]) {
            one.depends_on.push(u32::try_from(chance.index(label as usize)).unwrap_or(0));
        }
    }
    one.runs_on_failure = chance.percent(25);
    one.input_tokens = if chance.percent(40) { Some(chance.one_of(&[200, 6_000, 60_000])) } else { None };
    one.twice = chance.percent(6);
    one
}

fn lease(chance: &mut Chance, site: &Site, label: u32) -> LeaseScript {
    let mut gpus: Vec<usize> = (0..site.gpus.len()).filter(|_| chance.percent(50)).collect();
    if gpus.is_empty() {
        gpus.push(chance.index(site.gpus.len()));
    }
    let exclusive = chance.percent(60);
    LeaseScript {
        label,
        gpus,
        exclusive,
        vram_gb: if chance.percent(50) { Some(chance.one_of(&[1.0, 4.0, 10.0])) } else { None },
        force: chance.percent(20),
        priority: chance.one_of(&[0, 0, 2]),
        ttl_ms: chance.one_of(&[5_000, 20_000]),
        lives_ms: chance.between(2_000, 120_000),
        releases: chance.percent(60),
    }
}
