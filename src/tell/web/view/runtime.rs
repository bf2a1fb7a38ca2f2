//! A runtime: the tile on the front page, and the page of its own.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use serde::Serialize;

use crate::act::engine::picture::Link as Connection;
use crate::core::text::{age, count, shorten};
use crate::core::{Kind, ObjectKey, Reading, Timestamp};
use crate::decide::view::{ModelState, ModelView, RuntimeView, WorkView};
use crate::tell::web::api::runtime::{RuntimeFacts, without_credentials};
use crate::tell::web::facts::Facts;

use super::drift::ObjectLine;
use super::frame::Frame;
use super::part::{Empty, Link, Mark, Sighting, Stamp, Tone, gigabytes};

/// The most models that a tile names; the runtime's page names all.
const CHIPS_MAX: usize = 12;
/// The most models that are named with their requests in flight.
const BUSY_NAMED_MAX: usize = 3;
/// The longest name among them, in characters.
const BUSY_CHARS_MAX: usize = 40;
/// The most requests in flight that the runtime's page lists.
const WORKS_MAX: usize = 50;

/// A runtime at a glance.
#[derive(Clone, Debug, Serialize)]
pub struct Tile {
    pub name: String,
    pub href: String,
    pub adapter: Option<&'static str>,
    /// False for a program that this version does not talk to: nothing of it can be known.
    pub driven: bool,
    /// `desk · gpu0`, or `desk · CPU`.
    pub place: Option<String>,
    pub health: Mark,
    pub link: Mark,
    pub reason: String,
    pub seen: Sighting,
    pub version: Option<String>,
    pub chips: Vec<Chip>,
    /// What is known of models beyond the chips.
    pub more: Option<String>,
    /// What is worked on and what waits, in words.
    pub load: String,
    /// When the next look is due after too many failures.
    pub next_try: Option<Stamp>,
    /// Since when the one probe of a runtime that failed too often is on its way.
    pub probe_since: Option<Stamp>,
}

/// A model on a tile.
#[derive(Clone, Debug, Serialize)]
pub struct Chip {
    pub name: String,
    pub mark: Mark,
    /// The declared Model; none for one that nobody declared.
    pub href: Option<String>,
    pub title: String,
}

impl Tile {
    #[must_use]
    pub fn of(facts: &Facts, runtime: &RuntimeFacts<'_>) -> Self {
        let reading = runtime.reading();
        let seen = sighting(runtime, &reading);
        let view = runtime.last_view();
        let (chips, more) = chips(facts, runtime, view, &seen);
        Self {
            name: runtime.name.to_string(),
            href: format!("/runtimes/{}", runtime.name),
            adapter: runtime.spec.map(|spec| spec.adapter.as_str()),
            driven: runtime.spec.is_none_or(|spec| spec.adapter.is_driven()),
            place: runtime.spec.map(|spec| match &spec.gpu {
                Some(gpu) => format!("{} · {gpu}", spec.host),
                None => format!("{} · CPU", spec.host),
            }),
            health: Mark::of_health(runtime.health()),
            link: link_mark(runtime),
            reason: runtime.reason(),
            version: view.and_then(|view| view.version.clone()),
            load: load(view, &reading),
            next_try: Stamp::maybe(runtime.next_try_at(), facts.now),
            probe_since: Stamp::maybe(runtime.probe_since(), facts.now),
            seen,
            chips,
            more,
        }
    }
}

/// Where and when the runtime was last seen.
#[must_use]
pub fn sighting(runtime: &RuntimeFacts<'_>, reading: &Reading<'_, RuntimeView>) -> Sighting {
    let at = runtime.picture.and_then(|picture| picture.view.at());
    Sighting::of(reading, &runtime.source(), at, runtime.now)
}

fn link_mark(runtime: &RuntimeFacts<'_>) -> Mark {
    match runtime.picture.map(|picture| picture.link) {
        Some(Connection::Connected) => Mark::new(Tone::Good, "connected"),
        Some(Connection::Reconnecting) => Mark::new(Tone::Busy, "reconnecting"),
        Some(Connection::Down) => Mark::new(Tone::Bad, "down"),
        None if runtime.spec.is_some_and(|spec| !spec.adapter.is_driven()) => Mark::new(Tone::Quiet, "not driven"),
        None => Mark::new(Tone::Unknown, "not tried"),
    }
}

/// What is worked on and waits. Only a fresh look may speak in the present tense.
fn load(view: Option<&RuntimeView>, reading: &Reading<'_, RuntimeView>) -> String {
    let Some(view) = view else { return "queue unknown".into() };
    let working = match view.works.as_deref() {
        Some(works) if !works.is_empty() => Some(in_flight(works)),
        Some(_) | None => view.in_flight.map(|n| format!("{n} working")),
    };
    let waiting = view.queued.map(|n| format!("{n} waiting"));
    let said = [working, waiting].into_iter().flatten().collect::<Vec<_>>().join(", ");
    match (said.is_empty(), reading) {
        (true, _) => "its queue is not reported".into(),
        (false, Reading::Fresh { .. }) => said,
        (false, Reading::Stale { age_ms, .. }) => format!("{said} when last seen, {} ago", age(*age_ms)),
        (false, Reading::Unknown { .. }) => "queue unknown".into(),
    }
}

/// `3 requests in flight (qwen 2, phi 1)`: those of the most wanted models first. Some of them may wait, where the runtime
/// does not tell the two apart.
fn in_flight(works: &[WorkView]) -> String {
    let mut of_model: BTreeMap<&str, usize> = BTreeMap::new();
    for work in works {
        *of_model.entry(&work.model).or_default() += 1;
    }
    let mut most: Vec<(&str, usize)> = of_model.into_iter().collect();
    most.sort_by_key(|(_, n)| Reverse(*n));
    let named = most.iter().take(BUSY_NAMED_MAX).map(|(model, n)| format!("{} {n}", shorten(model, BUSY_CHARS_MAX)));
    let mut named: Vec<String> = named.collect();
    let rest: usize = most.iter().skip(BUSY_NAMED_MAX).map(|(_, n)| n).sum();
    if rest > 0 {
        named.push(format!("others {rest}"));
    }
    format!("{} in flight ({})", count(works.len(), "request"), named.join(", "))
}

/// The models that take memory, by name; the rest as a number.
fn chips(
    facts: &Facts,
    runtime: &RuntimeFacts<'_>,
    view: Option<&RuntimeView>,
    seen: &Sighting,
) -> (Vec<Chip>, Option<String>) {
    let Some(view) = view else { return (Vec::new(), None) };
    let in_memory = |model: &&ModelView| model.state != ModelState::Unloaded;
    let chips: Vec<_> =
        view.models.iter().filter(in_memory).take(CHIPS_MAX).map(|model| chip(facts, runtime, model, seen)).collect();
    let rest = view.models.len() - chips.len();
    let noun = if chips.is_empty() { "model" } else { "more model" };
    let more = (rest > 0).then(|| format!("{}, not loaded", count(rest, noun)));
    let hidden = view.models.iter().filter(in_memory).count() - chips.len();
    (chips, if hidden > 0 { Some(count(rest, "more model")) } else { more })
}

fn chip(facts: &Facts, runtime: &RuntimeFacts<'_>, model: &ModelView, seen: &Sighting) -> Chip {
    let declared = declared_name(facts, runtime, &model.name);
    let vram = model.vram_gb.map(|gb| format!(" · {} GB", gigabytes(gb))).unwrap_or_default();
    Chip {
        name: model.name.clone(),
        mark: seen_mark(model.state, seen),
        href: declared.map(|name| format!("/objects/Model/{name}")),
        title: format!("{}{vram} · {}", model.state.as_str(), seen.title),
    }
}

/// The state as seen, marked as stale when the look is old.
fn seen_mark(state: ModelState, seen: &Sighting) -> Mark {
    match seen.reading {
        "fresh" => Mark::of_model(state),
        _ => Mark::new(Tone::Stale, format!("{}, stale", state.as_str())),
    }
}

/// The declared Model that this runtime serves under this name.
fn declared_name(facts: &Facts, runtime: &RuntimeFacts<'_>, served_as: &str) -> Option<String> {
    let real = |name: &str| match runtime.last_view() {
        Some(view) => view.real_name(name) == served_as,
        None => name == served_as,
    };
    facts.picture.world.models().find_map(|(object, spec)| {
        let name = &object.document.key.name;
        let served = spec.served_by.iter().any(|served| {
            served.runtime == *runtime.name && real(served.served_as.as_deref().unwrap_or(name.as_str()))
        });
        served.then(|| name.to_string())
    })
}

/// The page of a runtime.
#[derive(Clone, Debug, Serialize)]
pub struct Page {
    pub frame: Frame,
    pub tile: Tile,
    pub object: Option<ObjectLine>,
    pub endpoint: Option<String>,
    pub capabilities: Vec<String>,
    pub looks_every: Option<String>,
    pub last_seen: Option<Stamp>,
    pub failures: u32,
    pub models: Vec<ModelLine>,
    pub no_models: Empty,
    /// The requests in flight, the oldest first, where the runtime tells them apart.
    pub works: Vec<WorkLine>,
    /// How many more there are than are listed.
    pub more_works: Option<String>,
    pub loadouts: Vec<Link>,
}

/// A model in the runtime's list.
#[derive(Clone, Debug, Serialize)]
pub struct ModelLine {
    pub name: String,
    pub href: Option<String>,
    pub mark: Mark,
    pub vram: Option<String>,
    pub context: Option<u32>,
    pub expires: Option<Stamp>,
}

/// A request in flight. What was asked and by whom is not kept.
#[derive(Clone, Debug, Serialize)]
pub struct WorkLine {
    pub id: String,
    pub model: String,
    /// The declared Model; none for one that nobody declared.
    pub href: Option<String>,
    pub path: String,
    /// When it came, by the runtime's clock.
    pub since: Option<Stamp>,
}

/// The page of the runtime `name`; none when there is none.
#[must_use]
pub fn page(facts: &Facts, runtime: &RuntimeFacts<'_>) -> Option<Page> {
    if runtime.spec.is_none() && runtime.picture.is_none() && runtime.status.is_none() {
        return None;
    }
    let tile = Tile::of(facts, runtime);
    let models = runtime.last_view().map(|view| model_lines(facts, runtime, view, &tile.seen)).unwrap_or_default();
    let works = runtime.last_view().and_then(|view| view.works.as_deref()).unwrap_or_default();
    let key = ObjectKey::new(Kind::Runtime, runtime.name.clone());
    Some(Page {
        frame: Frame::new(facts, format!("Runtime {}", runtime.name), "/", format!("/runtimes/{}", runtime.name)),
        object: facts.status(&key).map(|status| ObjectLine::of(facts, status)),
        endpoint: runtime.spec.and_then(|spec| spec.endpoint.as_deref()).map(without_credentials),
        capabilities: runtime.spec.map(|spec| spec.capabilities.clone()).unwrap_or_default(),
        looks_every: runtime.spec.map(|spec| spec.observe_every.to_string()),
        last_seen: Stamp::maybe(runtime.picture.and_then(|picture| picture.last_seen), facts.now),
        failures: runtime.picture.map_or(0, |picture| picture.failures),
        no_models: no_models(runtime),
        loadouts: loadouts(facts, runtime),
        works: works.iter().take(WORKS_MAX).map(|work| work_line(facts, runtime, work)).collect(),
        more_works: works.len().checked_sub(WORKS_MAX + 1).map(|more| count(more + 1, "more request")),
        models,
        tile,
    })
}

fn no_models(runtime: &RuntimeFacts<'_>) -> Empty {
    match runtime.last_view() {
        Some(_) => Empty::new("The runtime says that it has no models.", None),
        None => Empty::new("Nothing is known of its models: it was never seen.", Some("arcology get runtimes")),
    }
}

fn model_lines(facts: &Facts, runtime: &RuntimeFacts<'_>, view: &RuntimeView, seen: &Sighting) -> Vec<ModelLine> {
    view.models.iter().map(|model| model_line(facts, runtime, model, seen, facts.now)).collect()
}

fn model_line(
    facts: &Facts,
    runtime: &RuntimeFacts<'_>,
    model: &ModelView,
    seen: &Sighting,
    now: Timestamp,
) -> ModelLine {
    ModelLine {
        name: model.name.clone(),
        href: declared_name(facts, runtime, &model.name).map(|name| format!("/objects/Model/{name}")),
        mark: seen_mark(model.state, seen),
        vram: model.vram_gb.map(gigabytes),
        context: model.context_tokens,
        expires: Stamp::maybe(model.expires_at, now),
    }
}

fn work_line(facts: &Facts, runtime: &RuntimeFacts<'_>, work: &WorkView) -> WorkLine {
    WorkLine {
        id: work.id.clone(),
        model: work.model.clone(),
        href: declared_name(facts, runtime, &work.model).map(|name| format!("/objects/Model/{name}")),
        path: work.path.clone(),
        since: Stamp::maybe(work.since, facts.now),
    }
}

/// The loadouts of the runtime's host: what asks for its models.
fn loadouts(facts: &Facts, runtime: &RuntimeFacts<'_>) -> Vec<Link> {
    let Some(spec) = runtime.spec else { return Vec::new() };
    let of_host = facts.picture.world.loadouts().filter(|(_, loadout)| loadout.host == spec.host);
    of_host
        .map(|(object, _)| {
            let name = &object.document.key.name;
            Link::new(format!("Loadout/{name}"), format!("/objects/Loadout/{name}"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(models: &[&str]) -> RuntimeView {
        let work = |(i, model): (usize, &&str)| WorkView {
            id: i.to_string(),
            model: (*model).to_owned(),
            since: None,
            path: "/v1/chat/completions".to_owned(),
        };
        let in_flight = u32::try_from(models.len()).ok();
        RuntimeView { in_flight, works: Some(models.iter().enumerate().map(work).collect()), ..RuntimeView::default() }
    }

    #[test]
    fn requests_in_flight_are_told_with_the_models_that_they_are_for() {
        let at = Timestamp::UNIX_EPOCH;
        for (models, said) in [
            (&["qwen", "qwen"][..], "2 requests in flight (qwen 2)"),
            (&["phi"][..], "1 request in flight (phi 1)"),
            (&["a", "qwen", "qwen", "b", "c", "c"][..], "6 requests in flight (c 2, qwen 2, a 1, others 1)"),
            (&[][..], "0 working"),
        ] {
            let view = asks(models);
            let observed = crate::core::Observed::seen(view.clone(), "swap", at, std::time::Duration::from_secs(15));
            assert_eq!(load(Some(&view), &observed.read(at)), said);
        }
        let only_counted = RuntimeView { in_flight: Some(2), queued: Some(1), ..RuntimeView::default() };
        let observed = crate::core::Observed::seen(only_counted.clone(), "x", at, std::time::Duration::from_secs(15));
        assert_eq!(load(Some(&only_counted), &observed.read(at)), "2 working, 1 waiting");
    }
}
