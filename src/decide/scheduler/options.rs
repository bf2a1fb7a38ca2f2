//! Where a task could ever run: every place, the preferred one first, and what ruled the others out.
//!
//! Only what does not change from moment to moment is looked at here: what runtimes offer, what models hold, how large a
//! GPU is. Locks, slots and free memory are `start`'s.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::core::Name;
use crate::core::text::nearest;

use super::config::{ModelConfig, Pin};
use super::event::Request;
use super::lane::Place;
use super::line::Choice;
use super::state::State;
use super::table::{GpuIx, ModelIx, RuntimeIx};

/// Why a place is not one, as far as it can be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum RuledOut {
    /// The runtime does not offer the capability.
    Capability,
    /// The task asks for another runtime.
    Runtime,
    /// It does not serve the model that was asked for.
    Model,
    /// A loadout keeps the model unloaded.
    KeptUnloaded,
    /// The input is longer than the model's context.
    Context,
    /// The model is larger than the GPU.
    Memory,
}

impl RuledOut {
    /// The words for `count` places that were ruled out for this.
    pub(super) fn words(self, count: usize, capability: &str) -> String {
        let (runtimes, models) = (plural(count, "runtime"), plural(count, "place"));
        match self {
            Self::Capability => format!("{runtimes} without {capability}"),
            Self::Runtime => format!("{runtimes} other than the one asked for"),
            Self::Model => format!("{runtimes} without the model asked for"),
            Self::KeptUnloaded => format!("{models} where a loadout keeps the model unloaded"),
            Self::Context => format!("{models} with too short a context"),
            Self::Memory => format!("{models} on too small a GPU"),
        }
    }
}

fn plural(count: usize, thing: &str) -> String {
    if count == 1 { format!("1 {thing}") } else { format!("{count} {thing}s") }
}

/// Every place of a task.
#[derive(Clone, Debug, Default)]
pub(super) struct Options {
    pub choices: Vec<Choice>,
    pub ruled_out: BTreeMap<RuledOut, usize>,
    /// The sums of what can never fit.
    pub sums: Vec<String>,
}

/// What a line knows of its places.
#[derive(Clone, Debug, Default)]
pub(super) struct Plan {
    /// The preferred one first.
    pub choices: Vec<Choice>,
    /// The distinct GPUs of the choices.
    pub gpus: Vec<GpuIx>,
    /// What its tasks take turns on, ascending.
    pub places: Arc<[Place]>,
    /// The only GPU that any choice uses, when all of them share it.
    pub shares_only: Option<GpuIx>,
    /// Why there are no choices, where a word helps.
    pub hint: Option<Arc<str>>,
    /// Whether it can never be done: every place that would do it is too small.
    pub is_hopeless: bool,
}

impl State {
    /// The plan of everything that asks for the same as `request`.
    pub(super) fn plan(&self, request: &Request) -> Plan {
        let options = self.options(request);
        let is_hopeless = options.choices.is_empty() && !options.sums.is_empty();
        let hint = (options.choices.is_empty() && !is_hopeless).then(|| self.hint(request, &options)).flatten();
        let gpu_of = |choice: &Choice| self.table.runtimes[choice.runtime].gpu;
        let mut gpus: Vec<GpuIx> = options.choices.iter().filter_map(gpu_of).collect();
        gpus.sort_unstable();
        gpus.dedup();
        let is_shared = options.choices.iter().all(|choice| !choice.exclusive && gpu_of(choice).is_some());
        let shares_only = gpus.first().copied().filter(|_| is_shared && gpus.len() == 1);
        let place_of = |choice: &Choice| gpu_of(choice).map_or(Place::Runtime(choice.runtime), Place::Gpu);
        let places: BTreeSet<Place> = options.choices.iter().map(place_of).collect();
        let places = places.into_iter().collect();
        Plan { choices: options.choices, gpus, places, shares_only, hint: hint.map(Into::into), is_hopeless }
    }

    /// The sums of what can never be done.
    pub(super) fn hopeless(&self, request: &Request) -> String {
        self.options(request).sums.join("; ")
    }

    /// Looks at every runtime.
    pub(super) fn options(&self, request: &Request) -> Options {
        let mut options = Options::default();
        for at in self.table.runtimes_by_name() {
            let runtime = &self.table.runtimes[at];
            let Some(config) = &runtime.config else { continue };
            let offers = |wanted: &String| config.capabilities.iter().any(|offered| offered == wanted);
            if !request.capability.iter().all(offers) {
                *options.ruled_out.entry(RuledOut::Capability).or_default() += 1;
            } else if request.runtime.as_ref().is_some_and(|target| *target != runtime.name) {
                *options.ruled_out.entry(RuledOut::Runtime).or_default() += 1;
            } else {
                self.options_at(at, request, &mut options);
            }
        }
        options.choices.sort_by_key(|choice| self.preference(*choice));
        options
    }

    /// How far behind the preferred place of its model a choice stands.
    fn preference(&self, choice: Choice) -> usize {
        let model = choice.model.map(|ix| &self.table.models[ix]);
        let served = model.and_then(|model| self.config.models.get(model.declared.as_ref()?));
        let place = |served: &ModelConfig| served.served.iter().position(|at| model.is_some_and(|it| it.at == *at));
        served.and_then(place).unwrap_or(0)
    }

    fn options_at(&self, at: RuntimeIx, request: &Request, options: &mut Options) {
        let exclusive = self.is_exclusive(at, request);
        let candidates = self.candidates(at, request);
        let Some(candidates) = candidates else {
            *options.ruled_out.entry(RuledOut::Model).or_default() += 1;
            return;
        };
        if candidates.is_empty() {
            options.choices.push(Choice { runtime: at, model: None, exclusive });
        }
        for model in candidates {
            match self.never(model, request) {
                None => options.choices.push(Choice { runtime: at, model: Some(model), exclusive }),
                Some((cause, sums)) => {
                    *options.ruled_out.entry(cause).or_default() += 1;
                    options.sums.extend(sums);
                }
            }
        }
    }

    fn is_exclusive(&self, at: RuntimeIx, request: &Request) -> bool {
        let runtime = &self.table.runtimes[at];
        let by_policy = || request.capability.iter().any(|it| runtime.policy.gpu_exclusive_for.contains(it));
        runtime.gpu.is_some() && request.exclusive.unwrap_or_else(by_policy)
    }

    /// The models that could do it on a runtime; empty: the runtime chooses. None when it does not serve the one asked for.
    fn candidates(&self, at: RuntimeIx, request: &Request) -> Option<Vec<ModelIx>> {
        let name = &self.table.runtimes[at].name;
        let served = |model: &Name| {
            let places = &self.config.models.get(model)?.served;
            self.table.model(places.iter().find(|place| place.runtime == *name)?)
        };
        if let Some(wanted) = &request.model {
            return served(wanted).map(|ix| vec![ix]);
        }
        let does = |model: &ModelConfig| request.capability.iter().all(|wanted| model.capabilities.contains(wanted));
        let serving = |fits: &dyn Fn(&ModelConfig) -> bool| -> Vec<ModelIx> {
            let models = self.config.models.iter().filter(|(_, model)| fits(model));
            models.filter_map(|(model, _)| served(model)).collect()
        };
        let named = serving(&does);
        // A model that says nothing of what it can be used for does what its runtimes do.
        Some(if named.is_empty() { serving(&|model| model.capabilities.is_empty()) } else { named })
    }

    /// Why a model can never do it, with the sums where there are any.
    fn never(&self, ix: ModelIx, request: &Request) -> Option<(RuledOut, Option<String>)> {
        let model = &self.table.models[ix];
        let runtime = &self.table.runtimes[model.runtime];
        if model.pin == Some(Pin::Unloaded) && runtime.config.as_ref().is_some_and(|config| config.loads) {
            return Some((RuledOut::KeptUnloaded, None));
        }
        if let (Some(tokens), Some(limit)) = (request.input_tokens, model.context_tokens)
            && tokens > limit
        {
            let sums = format!("the input has about {tokens} tokens, {} takes {limit}", model.at);
            return Some((RuledOut::Context, Some(sums)));
        }
        let gpu = &self.table.gpus[runtime.gpu?];
        let (config, need_gb) = (gpu.config.as_ref()?, model.certain_gb()?);
        if !self.can_ever_fit(ix) {
            let context = if model.context_gb > 0.0 {
                format!(", {:.1} GB of it for the context,", model.context_gb)
            } else {
                String::new()
            };
            let sums = format!(
                "{} needs {need_gb:.1} GB{context} + {:.1} GB reserve, {} has {:.1} GB",
                model.at, config.reserve_gb, gpu.id, config.total_gb
            );
            return Some((RuledOut::Memory, Some(sums)));
        }
        None
    }

    /// Whether a model fits on its GPU when nothing else is there. Where nobody knows, it does.
    pub(super) fn can_ever_fit(&self, ix: ModelIx) -> bool {
        let gpu = self.table.gpu_of_model(ix).and_then(|gpu| self.table.gpus[gpu].config.as_ref());
        match (gpu, self.table.models[ix].certain_gb()) {
            (Some(gpu), Some(need_gb)) => need_gb + gpu.reserve_gb <= gpu.total_gb + super::memory::SLACK_GB,
            _ => true,
        }
    }

    /// A word of help where nothing offers what was asked for.
    fn hint(&self, request: &Request, options: &Options) -> Option<String> {
        if options.ruled_out.contains_key(&RuledOut::KeptUnloaded) {
            return Some("a loadout keeps its model unloaded".to_owned());
        }
        if let Some(model) = request.model.as_ref().filter(|_| options.ruled_out.contains_key(&RuledOut::Model)) {
            return Some(format!("none that offers it serves {model}"));
        }
        if let Some(runtime) = request.runtime.as_ref().filter(|_| options.ruled_out.contains_key(&RuledOut::Runtime)) {
            return Some(format!("{runtime} does not, others do"));
        }
        let wanted = request.capability.first()?;
        let all = self.table.runtimes.iter().filter_map(|it| it.config.as_ref());
        let offered: Vec<&str> = all.flat_map(|config| config.capabilities.iter().map(String::as_str)).collect();
        nearest(wanted, offered)
            .filter(|near| near != wanted)
            .map(|near| format!("the nearest that is offered is {near}"))
    }
}

/// The key of durations: the chain as it is written everywhere.
pub(super) fn chain(capability: &[String]) -> Arc<str> {
    capability.join(" > ").into()
}
