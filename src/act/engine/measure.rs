//! Measuring this machine every few seconds, and keeping what was seen. Three loops that never wait for each other: the
//! machine, its graphics cards, and GPUs that are only simulated.
//!
//! 1. Look now, again every few seconds, and at once when the world changed. Nothing that no host declares is looked at.
//! 2. What could not be seen keeps its last value, which is stale from then on.
//! 3. A trouble is logged when it begins and when it ends, never with each look.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::act::telemetry::Options;
use crate::act::telemetry::keep::{self, Afar, Moment, NOT_LOCAL, SIMULATED, Told};
use crate::act::telemetry::machine::Machine;
use crate::act::telemetry::nvml::Driver;
use crate::act::telemetry::probe::Probe;
use crate::core::{Kind, Name, ObjectKey, Observed};
use crate::decide::dispatch::Input;
use crate::decide::growth::{Growth, Look};
use crate::decide::host_view::{GpuView, HostView};
use crate::decide::reconcile::gpu_use;
use crate::decide::reconcile::inputs::Inputs;
use crate::decide::scheduler::{Event, GpuId};
use crate::decide::view::RuntimeView;
use crate::declare::world::World;

use super::memory::{Memory, fresh_for};
use super::picture::Picture;
use super::shared::Shared;

/// Measures until shutdown.
pub async fn run(shared: Arc<Shared>, options: Options) {
    tokio::join!(
        machine(&shared, &options),
        cards(&shared, &options),
        simulated(&shared, &options),
        afar(&shared, &options)
    );
}

async fn machine(shared: &Shared, options: &Options) {
    let state_dir = shared.places.state_dir.clone();
    let mut probe = Probe::new("machine", options.deadline, move || {
        let mut machine = Machine::new(state_dir.clone());
        move || machine.look()
    });
    let mut pace = Pace::new(shared, options.every);
    loop {
        let world = pace.world();
        let moment = pace.moment(shared);
        let seen = if world.hosts().any(|(_, spec)| spec.local) {
            tokio::select! {
                seen = probe.look() => seen.unwrap_or_else(|late| Err(format!("the operating system: {late}"))),
                () = shared.shutdown.cancelled() => break,
            }
        } else {
            Err(NOT_LOCAL.to_owned())
        };
        let afar = Arc::clone(&shared.memory().afar);
        let before = Arc::clone(&shared.memory().hosts);
        let hosts = keep::hosts(&world, &before, &seen, &afar, moment);
        for (name, seen) in &hosts {
            tell_trouble(name.as_str(), before.get(name), seen);
        }
        if !(hosts.is_empty() && before.is_empty()) {
            let measured = hosts.values().any(|seen| seen.at().is_some());
            let changed = shared.memory().keep_hosts(hosts);
            note(shared, changed, measured);
            for event in free_disk(shared) {
                shared.inbox.input(Input::Event(event));
            }
        }
        if !pace.next(shared, false).await {
            break;
        }
    }
    probe.end().await;
}

async fn cards(shared: &Shared, options: &Options) {
    let library = options.nvml_library.clone();
    let mut probe = Probe::new("nvml", options.deadline, move || {
        let mut driver = Driver::new(library.clone());
        move || driver.look()
    });
    let mut pace = Pace::new(shared, options.every);
    let mut growth = Growth::default();
    loop {
        let world = pace.world();
        let moment = pace.moment(shared);
        let seen = if keep::asks_driver(&world) {
            tokio::select! {
                seen = probe.look() => match seen {
                    Ok(cards) => cards.map_err(|fault| fault.why),
                    Err(late) => Err(format!("NVIDIA's driver: {late}")),
                },
                () = shared.shutdown.cancelled() => break,
            }
        } else {
            Ok(Vec::new())
        };
        let afar = Arc::clone(&shared.memory().afar);
        let before = Arc::clone(&shared.memory().gpus);
        keep_gpus(shared, keep::hardware(&world, &before, &seen, &afar, moment));
        learn_growth(shared, &mut growth);
        if !pace.next(shared, false).await {
            break;
        }
    }
    probe.end().await;
}

async fn simulated(shared: &Shared, options: &Options) {
    let mut pace = Pace::new(shared, options.every);
    loop {
        let moment = pace.moment(shared);
        let seen = keep::simulated(&shared.memory().inputs(moment.at), moment);
        if !seen.is_empty() {
            keep_gpus(shared, seen);
        }
        if !pace.next(shared, true).await {
            break;
        }
    }
}

/// Machines that are not this one, as runtimes on them measure them. What is told goes into the next looks above.
async fn afar(shared: &Shared, options: &Options) {
    let mut pace = Pace::new(shared, options.every);
    loop {
        let world = pace.world();
        let told = tokio::select! {
            told = ask_afar(shared, &world) => told,
            () = shared.shutdown.cancelled() => break,
        };
        shared.memory().afar = Arc::new(told);
        if !pace.next(shared, false).await {
            break;
        }
    }
}

/// Asks the runtimes of each host that is not local; the first by name that measures anything counts.
async fn ask_afar(shared: &Shared, world: &World) -> Afar {
    let is_far = |host: &Name| world.host(host).is_some_and(|spec| !spec.local);
    let far = world.runtimes().filter(|(_, spec)| is_far(&spec.host));
    let asked = far.filter_map(|(object, spec)| {
        let runtime = &object.document.key.name;
        Some((&spec.host, runtime, shared.slot(runtime)?.adapter))
    });
    let answers = asked.map(|(host, runtime, adapter)| async move {
        let sample = adapter.machine().await.map_err(|error| error.to_string()).transpose()?;
        Some((host.clone(), Told { by: format!("{runtime}'s own samples"), sample }))
    });
    let mut told = Afar::new();
    for (host, one) in futures::future::join_all(answers).await.into_iter().flatten() {
        match told.get(&host) {
            Some(Told { sample: Ok(_), .. }) => {}
            Some(_) if one.sample.is_err() => {}
            _ => drop(told.insert(host, one)),
        }
    }
    told
}

/// When to look: the pictures that say what changed, and the time between looks.
struct Pace {
    pictures: watch::Receiver<Arc<Picture>>,
    known: Arc<Picture>,
    every: Duration,
}

impl Pace {
    fn new(shared: &Shared, every: Duration) -> Self {
        let pictures = shared.pictures();
        let known = Arc::clone(&pictures.borrow());
        Self { pictures, known, every }
    }

    fn world(&self) -> Arc<World> {
        Arc::clone(&self.known.world)
    }

    fn moment(&self, shared: &Shared) -> Moment {
        Moment { at: shared.now(), fresh_for: fresh_for(self.every) }
    }

    /// Waits for the next look: until the time is up, or the world changed, or, `with_views`, what runtimes report. False
    /// when everything ends.
    async fn next(&mut self, shared: &Shared, with_views: bool) -> bool {
        type Views = Arc<BTreeMap<Name, Observed<RuntimeView>>>;
        let same_views = |a: &Views, b: &Views| !with_views || Arc::ptr_eq(a, b);
        let known = Arc::clone(&self.known);
        let other =
            |new: &Arc<Picture>| !Arc::ptr_eq(&new.world, &known.world) || !same_views(&new.views, &known.views);
        tokio::select! {
            () = tokio::time::sleep(self.every) => {}
            changed = self.pictures.wait_for(other) => if changed.is_err() { return false },
            () = shared.shutdown.cancelled() => return false,
        }
        self.known = Arc::clone(&self.pictures.borrow_and_update());
        true
    }
}

fn keep_gpus(shared: &Shared, seen: Vec<keep::GpuSeen>) {
    if seen.is_empty() && shared.memory().gpus.is_empty() {
        return;
    }
    let before = Arc::clone(&shared.memory().gpus);
    for (key, seen) in &seen {
        let name = format!("{}/{}", key.0, key.1);
        tell_trouble(&name, before.get(key), seen);
        tell_note(shared, &name, before.get(key), seen);
    }
    let measured = seen.iter().any(|(_, seen)| seen.at().is_some());
    let changed = shared.memory().keep_gpus(seen);
    note(shared, changed, measured);
    for event in foreign_use(shared) {
        shared.inbox.input(Input::Event(event));
    }
}

/// What the scheduler is to know of memory that others take. While a model comes or goes on a GPU, what is measured there
/// belongs to nobody yet, and nothing is said.
fn foreign_use(shared: &Shared) -> Vec<Event> {
    let now = shared.now();
    let memory = shared.memory();
    let inputs = memory.inputs(now);
    let still = inputs.gpus.keys().filter(|(host, gpu)| !moves_on(&memory, &inputs, host, gpu));
    still
        .map(|(host, gpu)| {
            // A sample of another machine may be of before the last load or unload: no use of it is foreign for certain.
            let is_here = inputs.world.host(host).is_some_and(|spec| spec.local);
            let gb = gpu_use::foreign_on(&inputs, host, gpu).filter(|_| is_here);
            Event::ForeignUse { gpu: GpuId { host: host.clone(), gpu: gpu.clone() }, gb }
        })
        .collect()
}

/// Learns what the newest loads took of GPUs that are really measured. While a model comes or goes there, nothing is looked at.
fn learn_growth(shared: &Shared, growth: &mut Growth) {
    let now = shared.now();
    let mut memory = shared.memory();
    let mut learned = Vec::new();
    {
        let inputs = memory.inputs(now);
        for ((host, gpu), seen) in inputs.gpus.iter().filter(|(at, _)| !moves_on(&memory, &inputs, &at.0, &at.1)) {
            let is_here = inputs.world.host(host).is_some_and(|spec| spec.local);
            let view = seen.fresh(now).filter(|view| is_here && !view.simulated);
            let loaded = gpu_use::models_on(&inputs, host, gpu);
            let look = view.zip(loaded).map(|(view, loaded)| Look { used_gb: view.used_gb, loaded });
            learned.extend(growth.look(&GpuId { host: host.clone(), gpu: gpu.clone() }, look));
        }
    }
    for (at, gb) in learned {
        tracing::debug!("{at} was measured to take {gb:.1} GB");
        memory.note_load_took(&at.runtime, &at.served_as, gb);
        shared.inbox.input(Input::Event(Event::Measured { at, gb }));
    }
}

/// Whether a model comes or goes on a GPU.
fn moves_on(memory: &Memory, inputs: &Inputs<'_>, host: &Name, gpu: &Name) -> bool {
    memory.scheduler.moving.keys().any(|at| {
        let spec = inputs.world.runtime(&at.runtime);
        spec.is_some_and(|spec| spec.host == *host && spec.gpu.as_ref() == Some(gpu))
    })
}

/// What the scheduler is to know of free disk space.
fn free_disk(shared: &Shared) -> Vec<Event> {
    let now = shared.now();
    let hosts = Arc::clone(&shared.memory().hosts);
    let free = |(host, seen): (&Name, &Observed<HostView>)| Event::Disk {
        host: host.clone(),
        free_gb: seen.fresh(now).and_then(|view| view.disk_free_gb),
    };
    hosts.iter().map(free).collect()
}

/// Notes the new answers of hosts whose health may have changed, and lets surfaces see what there is to see: a machine
/// of which nothing is known makes no new picture every few seconds.
fn note(shared: &Shared, hosts: Vec<Name>, measured: bool) {
    if hosts.is_empty() && !measured {
        return;
    }
    let now = shared.now();
    shared.memory().note_all(hosts.into_iter().map(|name| ObjectKey::new(Kind::Host, name)), now);
    shared.touch();
}

/// Logs a trouble that begins or ends. To have no driver is no trouble: it is said once, quietly. What a simulated GPU lacks
/// is a runtime's trouble, and told as such.
fn tell_trouble<T>(what: &str, before: Option<&Observed<T>>, seen: &Observed<T>) {
    if seen.source() == SIMULATED {
        return;
    }
    let was = before.and_then(Observed::problem);
    match seen.problem() {
        Some(NOT_LOCAL) => {}
        Some(why) if was == Some(why) => {}
        Some(why) if seen.at().is_some() => tracing::warn!("{what} cannot be measured any more: {why}"),
        Some(why) => tracing::info!("{what} is not measured: {why}"),
        None if was.is_some() => tracing::info!("{what} is measured again"),
        None => {}
    }
}

fn tell_note(shared: &Shared, what: &str, before: Option<&Observed<GpuView>>, seen: &Observed<GpuView>) {
    let now = shared.now();
    let noted = |seen: &Observed<GpuView>| seen.fresh(now).and_then(|view| view.note.clone());
    if let Some(note) = noted(seen).filter(|note| before.and_then(noted).as_ref() != Some(note)) {
        tracing::warn!("{what}: {note}");
    }
}
