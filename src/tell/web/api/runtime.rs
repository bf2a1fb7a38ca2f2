//! A runtime as it was last seen. Health is never better than the newest look allows: an old or failed one is `Unknown`.

use serde::Serialize;

use crate::act::controller::breaker::State;
use crate::act::engine::picture::{Link, RuntimePicture};
use crate::core::{Kind, Name, ObjectKey, Reading, Timestamp};
use crate::decide::reconcile::{Health, ObjectStatus};
use crate::decide::view::{ModelState, ModelView, RuntimeView, WorkView};
use crate::declare::manifest::kind::runtime::RuntimeSpec;
use crate::tell::web::facts::Facts;

/// A runtime in `/api/v1/status`.
#[derive(Clone, Debug, Serialize)]
pub struct RuntimeBrief {
    pub name: String,
    /// Null for one that is no longer declared.
    pub adapter: Option<&'static str>,
    pub health: &'static str,
    /// Null while nobody tried to reach it.
    pub link: Option<Link>,
    pub reason: String,
    pub observed_at: Option<Timestamp>,
    pub source: String,
    /// As last seen at `observed_at`; null when nothing was ever seen.
    pub models_loaded: Option<Vec<String>>,
}

/// An item of `/api/v1/runtimes`.
#[derive(Clone, Debug, Serialize)]
pub struct RuntimeRow {
    pub name: String,
    pub adapter: Option<&'static str>,
    pub health: &'static str,
    pub link: Option<Link>,
    pub reason: String,
    pub observed_at: Option<Timestamp>,
    pub source: String,
    /// `fresh`, `stale` or `unknown`: what may be said of everything below that was observed.
    pub reading: &'static str,
    pub problem: Option<String>,
    pub host: Option<String>,
    pub gpu: Option<String>,
    pub endpoint: Option<String>,
    pub capabilities: Vec<String>,
    pub version: Option<String>,
    pub in_flight: Option<u32>,
    pub queued: Option<u32>,
    /// The requests in flight, where the runtime tells them apart.
    pub works: Option<Vec<WorkView>>,
    pub models: Option<Vec<ModelView>>,
    pub last_seen: Option<Timestamp>,
    pub failures: u32,
    /// `closed`: it is called as usual; `open`: it failed too often and is left alone until `next_try_at`; `half-open`: one
    /// probe is on its way. Null while nobody tried to reach it.
    pub breaker: Option<&'static str>,
    /// Since when it is open, or the probe on its way; null while it is closed.
    pub breaker_since: Option<Timestamp>,
    /// When the next probe is due while it is open; null otherwise.
    pub next_try_at: Option<Timestamp>,
}

/// Everything known of one runtime: what is declared, what was seen, what follows.
#[derive(Clone, Copy, Debug)]
pub struct RuntimeFacts<'a> {
    pub name: &'a Name,
    pub spec: Option<&'a RuntimeSpec>,
    pub picture: Option<&'a RuntimePicture>,
    pub status: Option<&'a ObjectStatus>,
    pub now: Timestamp,
}

/// Every runtime that is declared or was seen, by name.
#[must_use]
pub fn all(facts: &Facts) -> Vec<RuntimeFacts<'_>> {
    let world = &facts.picture.world;
    let mut names: Vec<&Name> = world.of_kind(Kind::Runtime).map(|object| &object.document.key.name).collect();
    names.extend(facts.picture.runtimes.keys());
    names.sort();
    names.dedup();
    names.into_iter().map(|name| RuntimeFacts::of(facts, name)).collect()
}

impl<'a> RuntimeFacts<'a> {
    #[must_use]
    pub fn of(facts: &'a Facts, name: &'a Name) -> Self {
        Self {
            name,
            spec: facts.picture.world.runtime(name),
            picture: facts.picture.runtimes.get(name),
            status: facts.status(&ObjectKey::new(Kind::Runtime, name.clone())),
            now: facts.now,
        }
    }

    /// What may be said of the newest look.
    #[must_use]
    pub fn reading(&self) -> Reading<'a, RuntimeView> {
        match self.picture {
            Some(picture) => picture.view.read(self.now),
            None => Reading::Unknown { why: "never looked at" },
        }
    }

    /// What was last seen, however old.
    #[must_use]
    pub fn last_view(&self) -> Option<&'a RuntimeView> {
        match self.reading() {
            Reading::Fresh { value, .. } | Reading::Stale { value, .. } => Some(value),
            Reading::Unknown { .. } => None,
        }
    }

    /// The planner's health where it has one and the newest look is fresh; `Unknown` without a fresh look.
    #[must_use]
    pub fn health(&self) -> Health {
        let Reading::Fresh { value, .. } = self.reading() else { return Health::Unknown };
        match (self.status.map(|status| status.health), &value.degraded) {
            (Some(Health::Healthy) | None, Some(_)) => Health::Degraded,
            (Some(health), _) => health,
            (None, None) => Health::Healthy,
        }
    }

    /// Why it is so, one sentence; empty when there is nothing to say.
    #[must_use]
    pub fn reason(&self) -> String {
        if let Some(spec) = self.spec.filter(|spec| !spec.adapter.is_driven()) {
            return format!(
                "this version does not drive `{}` yet; the manifest is checked, nothing is asked",
                spec.adapter.as_str()
            );
        }
        match self.reading() {
            Reading::Fresh { value, .. } => match &value.degraded {
                Some(note) => note.clone(),
                None => self.status.map(|status| status.reason.clone()).unwrap_or_default(),
            },
            Reading::Stale { problem, .. } => problem.unwrap_or("no look for too long").to_owned(),
            Reading::Unknown { why } => why.to_owned(),
        }
    }

    #[must_use]
    pub fn source(&self) -> String {
        self.picture.map(|picture| picture.view.source().to_owned()).unwrap_or_default()
    }

    /// Where its breaker stands.
    #[must_use]
    pub fn breaker(&self) -> Option<State> {
        self.picture.map(|picture| picture.breaker)
    }

    /// When the next probe is due, while the breaker is open.
    #[must_use]
    pub fn next_try_at(&self) -> Option<Timestamp> {
        match self.breaker()? {
            State::Open { until, .. } => Some(until),
            State::Closed { .. } | State::HalfOpen { .. } => None,
        }
    }

    /// Since when the one probe of a half-open breaker is on its way.
    #[must_use]
    pub fn probe_since(&self) -> Option<Timestamp> {
        match self.breaker()? {
            State::HalfOpen { since } => Some(since),
            State::Closed { .. } | State::Open { .. } => None,
        }
    }

    #[must_use]
    pub fn brief(&self) -> RuntimeBrief {
        RuntimeBrief {
            name: self.name.to_string(),
            adapter: self.spec.map(|spec| spec.adapter.as_str()),
            health: self.health().as_str(),
            link: self.picture.map(|picture| picture.link),
            reason: self.reason(),
            observed_at: self.picture.and_then(|picture| picture.view.at()),
            source: self.source(),
            models_loaded: self.last_view().map(loaded),
        }
    }

    #[must_use]
    pub fn row(&self) -> RuntimeRow {
        let (brief, view) = (self.brief(), self.last_view());
        RuntimeRow {
            name: brief.name,
            adapter: brief.adapter,
            health: brief.health,
            link: brief.link,
            reason: brief.reason,
            observed_at: brief.observed_at,
            source: brief.source,
            reading: self.reading().word(),
            problem: self.picture.and_then(|picture| picture.view.problem()).map(str::to_owned),
            host: self.spec.map(|spec| spec.host.to_string()),
            gpu: self.spec.and_then(|spec| spec.gpu.as_ref()).map(ToString::to_string),
            endpoint: self.spec.and_then(|spec| spec.endpoint.as_deref()).map(without_credentials),
            capabilities: self.spec.map(|spec| spec.capabilities.clone()).unwrap_or_default(),
            version: view.and_then(|view| view.version.clone()),
            in_flight: view.and_then(|view| view.in_flight),
            queued: view.and_then(|view| view.queued),
            works: view.and_then(|view| view.works.clone()),
            models: view.map(|view| view.models.clone()),
            last_seen: self.picture.and_then(|picture| picture.last_seen),
            failures: self.picture.map_or(0, |picture| picture.failures),
            breaker: self.breaker().map(breaker_word),
            breaker_since: self.breaker().and_then(|state| match state {
                State::Closed { .. } => None,
                State::Open { since, .. } | State::HalfOpen { since } => Some(since),
            }),
            next_try_at: self.next_try_at(),
        }
    }
}

fn breaker_word(state: State) -> &'static str {
    match state {
        State::Closed { .. } => "closed",
        State::Open { .. } => "open",
        State::HalfOpen { .. } => "half-open",
    }
}

/// The models that a view calls loaded, by the runtime's own names.
#[must_use]
pub fn loaded(view: &RuntimeView) -> Vec<String> {
    let is_loaded = |model: &&ModelView| model.state == ModelState::Loaded;
    view.models.iter().filter(is_loaded).map(|model| model.name.clone()).collect()
}

/// A URL without what stands before `@` in its authority.
#[must_use]
pub fn without_credentials(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => format!("{scheme}://{}", &rest[at + 1..]),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_in_an_address_are_never_shown() {
        for (url, shown) in [
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("http://ada:secret@desk:8080/v1?a=@", "http://desk:8080/v1?a=@"),
            ("http://ada:p@ss@desk", "http://desk"),
            ("not a url", "not a url"),
        ] {
            assert_eq!(without_credentials(url), shown);
        }
    }
}
