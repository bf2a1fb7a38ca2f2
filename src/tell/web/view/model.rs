//! Models: which are declared, which are loaded where, what they cost.

use serde::Serialize;

use crate::core::text::count;
use crate::decide::view::ModelState;
use crate::tell::web::api::model::{self, ModelFacts};
use crate::tell::web::facts::Facts;

use super::frame::Frame;
use super::part::{Empty, Link, Mark, Sighting, gigabytes};
use super::runtime::sighting;

/// A model on a runtime.
#[derive(Clone, Debug, Serialize)]
pub struct ModelLine {
    pub name: String,
    /// The declared Model; none for one that nobody declared.
    pub href: Option<String>,
    pub runtime: Link,
    /// The runtime's own name, where it differs.
    pub served_as: Option<String>,
    pub state: Mark,
    /// Whether it takes memory for nothing.
    pub idle: bool,
    pub seen: Sighting,
    pub vram_declared: Option<String>,
    pub vram_seen: Option<String>,
    pub context: Option<u32>,
    pub capabilities: Vec<String>,
    pub details: Vec<String>,
}

/// The page of all models.
#[derive(Clone, Debug, Serialize)]
pub struct Page {
    pub frame: Frame,
    pub summary: String,
    pub rows: Vec<ModelLine>,
    pub empty: Option<Empty>,
}

/// The page of all models.
#[must_use]
pub fn page(facts: &Facts) -> Page {
    let models = model::all(facts);
    let loaded = models.iter().filter(|model| model.state() == ModelState::Loaded).count();
    let unknown = models.iter().filter(|model| model.state() == ModelState::Unknown).count();
    Page {
        frame: Frame::new(facts, "Models", "/models", "/models"),
        summary: summary(models.len(), loaded, unknown),
        rows: models.iter().map(ModelLine::of).collect(),
        empty: models
            .is_empty()
            .then(|| Empty::new("No model is declared, and no runtime reports one.", Some("arcology schema model"))),
    }
}

fn summary(total: usize, loaded: usize, unknown: usize) -> String {
    let known = format!("{}, {loaded} loaded", count(total, "model"));
    if unknown == 0 { known } else { format!("{known}, {unknown} not known") }
}

impl ModelLine {
    fn of(model: &ModelFacts<'_>) -> Self {
        let (row, spec) = (model.row(), model.declared.map(|(_, spec)| spec));
        let details = spec.map(|spec| {
            [&spec.parameters, &spec.quantization, &spec.architecture].into_iter().flatten().cloned().collect()
        });
        Self {
            href: model.declared.map(|(name, _)| format!("/objects/Model/{name}")),
            runtime: Link::new(model.runtime.name.as_str(), format!("/runtimes/{}", model.runtime.name)),
            served_as: (model.served_as != row.name).then(|| model.served_as.to_owned()),
            state: Mark::of_model(model.state()),
            idle: model.idle == Some(true),
            seen: sighting(&model.runtime, &model.runtime.reading()),
            vram_declared: spec.and_then(|spec| spec.vram_gb).map(gigabytes),
            vram_seen: model.seen.and_then(|seen| seen.vram_gb).map(gigabytes),
            context: row.context_tokens,
            capabilities: row.capabilities,
            details: details.unwrap_or_default(),
            name: row.name,
        }
    }
}
