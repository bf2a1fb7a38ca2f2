//! Random worlds: hosts, cards, runtimes, models, loadouts and policies that make sense together.

use serde_json::{Value, json};

use super::chance::Chance;
use super::plot::{Host, Loadout, Model, Plot, Runtime};

/// What the runtimes on cards can do.
const TRADES: &[&[&str]] = &[
    &["text.generate", "text.summarize"],
    &["text.generate", "audio.transcribe"],
    &["text.embed", "audio.transcribe"],
    &["text.summarize", "text.generate", "text.embed"],
];

/// Durations between looks, in seconds. Longer ones make a simulation shorter.
const LOOKS_S: &[u64] = &[5, 10, 15];

/// A random world.
#[must_use]
pub fn world(chance: &mut Chance) -> Plot {
    let mut plot = Plot::default();
    plot.hosts.push(host(chance, "desk", false));
    if chance.percent(30) {
        plot.hosts.push(host(chance, "lab", true));
    }
    for at in 0..plot.hosts.len() {
        runtimes(chance, &mut plot, at);
    }
    models(chance, &mut plot);
    for host in plot.hosts.clone() {
        if chance.percent(80) {
            let loadout = loadout(chance, &plot, &host);
            plot.loadouts.insert(host.name, loadout);
        }
    }
    plot.policies.insert("all".into(), policy(chance, None));
    if chance.percent(30) {
        plot.policies.insert("desk".into(), policy(chance, Some("desk")));
    }
    plot
}

fn host(chance: &mut Chance, name: &str, has_card: bool) -> Host {
    let cards = match chance.between(0, 99) {
        0..=11 if !has_card => 0,
        0..=74 => 1,
        _ => 2,
    };
    let gpus = (0..cards).map(|_| chance.one_of(&[12.0, 16.0, 24.0])).collect();
    Host { name: name.into(), gpus, reserve_gb: chance.one_of(&[0.0, 0.5, 1.0]) }
}

fn runtimes(chance: &mut Chance, plot: &mut Plot, host: usize) {
    let host = plot.hosts[host].clone();
    let mut add = |chance: &mut Chance, name: String, gpu: Option<usize>, trade: &[&'static str]| {
        let loads = gpu.is_none() || chance.percent(85);
        plot.runtimes.push(Runtime {
            name,
            host: host.name.clone(),
            gpu,
            capabilities: trade.to_vec(),
            slots: chance.percent(40).then(|| chance.one_of(&[1, 2, 3])),
            observe_s: chance.one_of(LOOKS_S),
            loads,
            tells_vram: chance.percent(50),
            tells_in_flight: chance.percent(70),
            loads_by_itself: chance.percent(50),
        });
    };
    for gpu in 0..host.gpus.len() {
        for nth in 0..chance.between(1, 2) {
            let trade = chance.one_of(TRADES);
            add(chance, format!("swap-{}-{gpu}-{nth}", host.name), Some(gpu), trade);
        }
    }
    if host.gpus.is_empty() || chance.percent(50) {
        add(chance, format!("cpu-{}", host.name), None, &["text.summarize", "text.stats", "doc.extract"]);
    }
}

fn models(chance: &mut Chance, plot: &mut Plot) {
    for at in 0..plot.runtimes.len() {
        let runtime = plot.runtimes[at].clone();
        let room_gb = plot
            .hosts
            .iter()
            .find(|host| host.name == runtime.host)
            .map_or(0.0, |host| runtime.gpu.map_or(0.0, |gpu| host.gpus[gpu] - host.reserve_gb));
        let count = if runtime.gpu.is_none() { chance.between(0, 2) } else { chance.between(1, 3) };
        for _ in 0..count {
            let name = format!("m{}", plot.models.len());
            let model = model(chance, plot, name, &runtime, room_gb);
            plot.models.push(model);
        }
    }
}

fn model(chance: &mut Chance, plot: &Plot, name: String, runtime: &Runtime, room_gb: f64) -> Model {
    let on_card = runtime.gpu.is_some();
    // Now and then one that never fits.
    let most = if chance.percent(3) { f64::MAX } else { room_gb };
    let sizes: Vec<f64> = [2.0, 3.0, 4.0, 6.0, 8.0, 11.0, 14.0, 22.0].into_iter().filter(|gb| *gb <= most).collect();
    let gb = if on_card { chance.pick(&sizes).copied().unwrap_or(2.0) } else { 0.0 };
    // What never fits says so: nobody could know it otherwise.
    let declared_gb = (on_card && (chance.percent(85) || gb > room_gb)).then_some(gb);
    let served_as = if chance.percent(50) { name.clone() } else { format!("x-{name}") };
    let mut served = vec![(runtime.name.clone(), served_as.clone())];
    let others: Vec<&Runtime> = plot
        .runtimes
        .iter()
        .filter(|other| other.name != runtime.name && other.gpu.is_some() == on_card && other.loads == runtime.loads)
        .collect();
    if chance.percent(20)
        && let Some(other) = chance.pick(&others)
    {
        served.push((other.name.clone(), served_as));
    }
    let capabilities = if chance.percent(50) {
        Vec::new()
    } else {
        chance.pick(&runtime.capabilities).map(|one| vec![*one]).unwrap_or_default()
    };
    Model {
        name,
        served,
        // A model may take a little more than its manifest says.
        gb: if chance.percent(20) { gb * 1.125 } else { gb },
        declared_gb,
        context_gb: (on_card && declared_gb.is_some() && chance.percent(20)).then_some(0.5),
        context_tokens: chance.percent(40).then(|| chance.one_of(&[4_096, 32_768])),
        capabilities,
        load_ms: chance.one_of(&[400, 3_000, 8_000, 25_000]),
    }
}

/// What is to be loaded on a host. Mostly it fits; now and then it does not, and is refused.
pub fn loadout(chance: &mut Chance, plot: &Plot, host: &Host) -> Loadout {
    let careless = chance.percent(4);
    let mut room_gb: Vec<f64> = host.gpus.iter().map(|gb| gb - host.reserve_gb).collect();
    let mut loadout =
        Loadout { unlisted: chance.one_of(&["onDemand", "onDemand", "unloaded", "ignore"]), ..Loadout::default() };
    for model in &plot.models {
        let on_host =
            |(name, _): &&(String, String)| plot.runtimes.iter().any(|r| r.name == *name && r.host == host.name);
        let Some((runtime, _)) = model.served.iter().find(on_host) else { continue };
        let Some(runtime) = plot.runtimes.iter().find(|one| one.name == *runtime) else { continue };
        if !runtime.loads || chance.percent(20) {
            continue;
        }
        let need_gb = model.declared_gb.unwrap_or(model.gb) + model.context_gb.unwrap_or(0.0);
        let fits = runtime.gpu.is_none_or(|gpu| careless || need_gb <= room_gb[gpu]);
        let state = match chance.between(0, 99) {
            0..=39 if fits => "loaded",
            0..=84 => "onDemand",
            _ => "unloaded",
        };
        if state == "loaded" {
            if let Some(gpu) = runtime.gpu {
                room_gb[gpu] -= need_gb;
            }
            if loadout.copilot.is_none() && chance.percent(60) {
                loadout.copilot = Some(model.name.clone());
            }
        }
        loadout.models.push((model.name.clone(), state));
    }
    loadout
}

/// The rules of all hosts, or of one.
pub fn policy(chance: &mut Chance, host: Option<&str>) -> Value {
    let mut spec = json!({});
    if let Some(host) = host {
        spec["selector"] = json!({"hosts": [host]});
    }
    let mut say = |chance: &mut Chance, percent: u64, field: &str, values: &[Value]| {
        if chance.percent(percent)
            && let Some(value) = chance.pick(values)
        {
            spec[field] = value.clone();
        }
    };
    say(chance, 50, "copilotPersistent", &[json!(true), json!(true), json!(false)]);
    say(chance, 70, "gpuSharedSlots", &[json!(1), json!(2), json!(2), json!(4)]);
    // What is exclusive where a policy says nothing, these servers do not do.
    let exclusive =
        [json!(["text.embed"]), json!(["audio.transcribe"]), json!(["text.embed", "text.summarize"]), json!([])];
    say(chance, 80, "gpuExclusiveFor", &exclusive);
    say(chance, 70, "unloadIdleAfterMinutes", &[json!(0), json!(1), json!(3)]);
    say(chance, 50, "preemption", &[json!("never"), json!("afterBatch"), json!("requeue")]);
    say(chance, 40, "batching", &[json!({"maxTasks": 1, "maxWait": "5s"}), json!({"maxTasks": 4, "maxWait": "30s"})]);
    say(chance, 15, "drift", &[json!("report"), json!("correct")]);
    say(chance, 6, "paused", &[json!(true)]);
    say(chance, 6, "draining", &[json!(true)]);
    say(chance, 60, "pruneBudget", &[json!("100%"), json!(1)]);
    say(
        chance,
        60,
        "retries",
        &[
            json!({"max": 0}),
            json!({"max": 1, "backoff": "1s", "maxBackoff": "5s"}),
            json!({"max": 3, "backoff": "2s", "maxBackoff": "20s"}),
        ],
    );
    spec
}
