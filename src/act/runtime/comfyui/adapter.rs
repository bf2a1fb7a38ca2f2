//! The adapter: its settings, one look, and who does what.

use futures::FutureExt as _;
use serde::de::DeserializeOwned;

use crate::act::http::{Answer, Client};
use crate::act::runtime::adapter::{
    Abilities, Adapter, Call, Events, Fault, Invocation, Outcome, Progress, RuntimeError,
};
use crate::act::runtime::connect::Places;
use crate::act::runtime::reach;
use crate::core::Name;
use crate::decide::view::RuntimeView;
use crate::declare::manifest::kind::options::comfyui::{ComfyuiOptions, WorkflowOption};
use crate::declare::manifest::kind::runtime::{AdapterKind, RuntimeSpec, TimeoutsSpec};

use super::paths::Look;
use super::seen::{self, Answers};
use super::wire::{Queue, SystemStats};
use super::{events, run};

/// The largest answer that is read whole when it is no output: queues hold the graphs of all that wait.
const BODY_BYTES_MAX: usize = 32 << 20;
/// Bytes in the megabyte of the options.
const MEGABYTE: usize = 1 << 20;

/// A ComfyUI.
#[derive(Debug)]
pub struct Comfyui {
    pub(super) client: Client,
    pub(super) timeouts: TimeoutsSpec,
    options: ComfyuiOptions,
}

impl Comfyui {
    /// The ComfyUI that `spec` declares as the runtime `name`.
    ///
    /// # Errors
    /// Bad input when the endpoint or the options cannot be used, or say nothing of a capability that it is to have.
    pub fn new(name: &Name, spec: &RuntimeSpec, places: &Places) -> Result<Self, RuntimeError> {
        let options: ComfyuiOptions = reach::options(name, spec)?;
        if let Some(missing) = spec.capabilities.iter().find(|wanted| !options.workflows.contains_key(*wanted)) {
            let message = format!("runtime `{name}` offers `{missing}`, and `options.workflows` does not say how");
            return Err(RuntimeError::new(Fault::BadInput, message));
        }
        Ok(Self {
            client: reach::client(name, spec, places, BODY_BYTES_MAX)?,
            timeouts: spec.timeouts.clone(),
            options,
        })
    }

    /// The most bytes that all outputs of one task have together: they are held in memory until they are kept.
    pub(super) fn outputs_bytes_max(&self) -> usize {
        usize::try_from(self.options.outputs_mb).unwrap_or(usize::MAX).saturating_mul(MEGABYTE)
    }

    pub(super) fn frees_after(&self) -> bool {
        self.options.free_after
    }

    /// How `capability` is done.
    pub(super) fn workflow(&self, capability: &str) -> Result<&WorkflowOption, RuntimeError> {
        self.options.workflows.get(capability).ok_or_else(|| {
            let all = self.options.workflows.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            let instead = if all.is_empty() { String::new() } else { format!(", but for {all}") };
            let message = format!("no workflow is declared for `{capability}`{instead}");
            RuntimeError::new(Fault::BadInput, message)
        })
    }

    /// Looks, with the time limit of looks. There is no other way in here to ask without changing anything.
    async fn look(&self, look: Look) -> Result<Answer, RuntimeError> {
        reach::look(&self.client, &look.path()).await
    }

    pub(super) async fn look_at<T: DeserializeOwned>(&self, look: Look) -> Result<T, RuntimeError> {
        Ok(self.look(look).await?.json()?)
    }

    /// The models in all folders, by the names that they have here. A folder that this version does not have is empty.
    pub(super) async fn list(&self) -> Result<Vec<String>, RuntimeError> {
        let mut models = Vec::new();
        for folder in &self.options.model_folders {
            match self.look_at::<Vec<String>>(Look::Models { folder: folder.clone() }).await {
                Ok(files) => models.extend(seen::names(folder, files)),
                Err(error) if error.fault == Fault::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(seen::tidy(models))
    }

    async fn see(&self) -> Result<RuntimeView, RuntimeError> {
        let (queue, stats, models) = tokio::join!(
            self.look_at::<Queue>(Look::Queue),
            self.look_at::<SystemStats>(Look::SystemStats),
            self.list()
        );
        let stats = stats.map_err(|error| error.to_string());
        Ok(seen::seen(Answers { queue: queue?, stats, models: models? }))
    }
}

impl Adapter for Comfyui {
    fn kind(&self) -> AdapterKind {
        AdapterKind::Comfyui
    }

    fn abilities(&self) -> Abilities {
        Abilities { loads: false, events: true, cancels: true }
    }

    fn reads(&self, capability: &str) -> Option<&str> {
        self.options.workflows.get(capability)?.file.as_deref()
    }

    fn observe(&self) -> Call<'_, RuntimeView> {
        self.see().boxed()
    }

    fn events(&self) -> Call<'_, Events> {
        events::open(self).boxed()
    }

    fn run<'a>(&'a self, invocation: Invocation, progress: Progress) -> Call<'a, Outcome> {
        async move { run::run(self, invocation, &progress).await }.boxed()
    }
}
