//! The simulated machines: cards with memory, runtimes with models and requests. The truth that Arcology can only ask for.
//!
//! A call has three moments: it begins in the runtime, it ends there, and its answer is heard. What goes wrong is decided
//! when it is made ([`Machines::arm`] says what will), so that every moment is known then.

use std::collections::BTreeMap;

use crate::core::Name;
use crate::decide::view::{ModelState, ModelView, RuntimeView};

use super::script::{CallVerb, Mishap, RuntimeSite, Site};

/// A call, by the order in which they were made.
pub type CallId = u64;

/// What is asked of a runtime.
#[derive(Clone, Debug, PartialEq)]
pub enum Ask {
    Observe,
    Load(String),
    Unload(String),
    /// Work with a model, or with whatever the runtime takes.
    Run {
        model: Option<String>,
        work_ms: u64,
    },
}

impl Ask {
    #[must_use]
    pub fn verb(&self) -> CallVerb {
        match self {
            Self::Observe => CallVerb::Observe,
            Self::Load(_) => CallVerb::Load,
            Self::Unload(_) => CallVerb::Unload,
            Self::Run { .. } => CallVerb::Run,
        }
    }
}

/// What is heard of a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Seen(RuntimeView),
    Done,
    Failed(CallFault),
}

/// Why a call failed, as an adapter would tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallFault {
    Unreachable,
    Timeout,
    RuntimeError,
    BadInput,
    NotFound,
    OutOfMemory,
}

impl CallFault {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreachable => "connection refused",
            Self::Timeout => "no answer in time",
            Self::RuntimeError => "the runtime failed",
            Self::BadInput => "the input is bad",
            Self::NotFound => "there is no such model",
            Self::OutOfMemory => "out of memory",
        }
    }
}

/// A call under way.
#[derive(Clone, Debug)]
pub struct Call {
    pub runtime: Name,
    pub ask: Ask,
    mishap: Option<Mishap>,
    /// How often the runtime had been started when it began.
    life: u32,
    /// Set once it is known; heard only when the answer arrives.
    pub answer: Option<Answer>,
}

/// The moments of a call, in milliseconds from when it was made; none where it never comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moments {
    pub begins: u64,
    pub ends: Option<u64>,
    pub heard: u64,
}

/// A card.
#[derive(Clone, Debug)]
struct Card {
    total_gb: f64,
    foreign_gb: f64,
}

/// A runtime's program.
#[derive(Clone, Debug)]
struct Machine {
    site: RuntimeSite,
    life: u32,
    up: bool,
    models: BTreeMap<String, ModelState>,
    /// Requests of ours that it works on, with the model of each.
    runs: BTreeMap<CallId, Option<String>>,
    others: u32,
    armed: Vec<(CallVerb, Mishap)>,
}

/// All machines.
#[derive(Clone, Debug)]
pub struct Machines {
    cards: Vec<Card>,
    runtimes: BTreeMap<Name, Machine>,
    calls: BTreeMap<CallId, Call>,
    next_call: CallId,
}

impl Machines {
    #[must_use]
    pub fn new(site: &Site) -> Self {
        let machine = |site: &RuntimeSite| Machine {
            site: site.clone(),
            life: 0,
            up: true,
            models: site.models.keys().map(|model| (model.clone(), ModelState::Unloaded)).collect(),
            runs: BTreeMap::new(),
            others: 0,
            armed: Vec::new(),
        };
        Self {
            cards: site.gpus.iter().map(|gpu| Card { total_gb: gpu.total_gb, foreign_gb: 0.0 }).collect(),
            runtimes: site.runtimes.iter().map(|(name, site)| (name.clone(), machine(site))).collect(),
            calls: BTreeMap::new(),
            next_call: 1,
        }
    }

    /// Makes a call. `jitter` is any number; `limit_ms` is how long the caller waits. A runtime that does not stand there
    /// refuses.
    pub fn call(&mut self, runtime: &Name, ask: Ask, limit_ms: u64, jitter: u64) -> (CallId, Moments) {
        let verb = ask.verb();
        let machine = self.runtimes.get_mut(runtime);
        let mishap = machine.and_then(|machine| {
            let at = machine.armed.iter().position(|(armed, _)| *armed == verb)?;
            Some(machine.armed.remove(at).1)
        });
        let begins = 1 + jitter % 5;
        let takes = self.takes_ms(runtime, &ask) + (jitter >> 8) % 7;
        let slow = if let Some(Mishap::Slow { by_ms }) = mishap { by_ms } else { 0 };
        let ends = begins + takes + slow;
        let moments = match mishap {
            Some(Mishap::Hangs) => Moments { begins, ends: None, heard: limit_ms },
            Some(Mishap::HangsDone) => Moments { begins, ends: Some(ends), heard: limit_ms },
            _ => Moments { begins, ends: Some(ends), heard: (ends + 1).min(limit_ms) },
        };
        let id = self.next_call;
        self.next_call += 1;
        self.calls.insert(id, Call { runtime: runtime.clone(), ask, mishap, life: 0, answer: None });
        (id, moments)
    }

    fn takes_ms(&self, runtime: &Name, ask: &Ask) -> u64 {
        let Some(machine) = self.runtimes.get(runtime) else { return 1 };
        let load_ms = |model: &str| machine.site.models.get(model).map_or(1, |site| site.load_ms);
        match ask {
            Ask::Observe => 2,
            Ask::Load(model) => load_ms(model),
            Ask::Unload(_) => 300,
            Ask::Run { model, work_ms } => {
                let loads = model.as_ref().filter(|model| machine.site.loads_by_itself && !machine.is_loaded(model));
                work_ms + loads.map_or(0, |model| load_ms(model))
            }
        }
    }

    /// The call arrives at the runtime.
    pub fn begin(&mut self, id: CallId) {
        let Some(call) = self.calls.get(&id).cloned() else { return };
        let free_gb = self.free_gb(&call.runtime);
        let Some(machine) = self.runtimes.get_mut(&call.runtime).filter(|machine| machine.up) else {
            self.answer(id, Answer::Failed(CallFault::Unreachable));
            return;
        };
        let life = machine.life;
        let refused = match call.mishap {
            Some(Mishap::Error) => Some(CallFault::RuntimeError),
            Some(Mishap::BadInput) => Some(CallFault::BadInput),
            _ => None,
        };
        let answer = if let Some(fault) = refused {
            Some(Answer::Failed(fault))
        } else if matches!(call.mishap, Some(Mishap::Hangs | Mishap::Lies)) {
            None
        } else {
            machine.begin(id, &call.ask, free_gb)
        };
        if let Some(call) = self.calls.get_mut(&id) {
            call.life = life;
            call.answer = answer;
        }
    }

    /// The runtime is done with the call; whether that may have changed what it has loaded or works on.
    pub fn end(&mut self, id: CallId) -> bool {
        let Some(call) = self.calls.get(&id).filter(|call| call.answer.is_none()).cloned() else { return false };
        let changes = call.ask != Ask::Observe;
        let Some(machine) = self.runtimes.get_mut(&call.runtime).filter(|m| m.up && m.life == call.life) else {
            // It restarted meanwhile: what it worked on is lost.
            self.answer(id, Answer::Failed(CallFault::Unreachable));
            return false;
        };
        let lies = call.mishap == Some(Mishap::Lies);
        let answer = if lies && changes { Answer::Done } else { machine.end(id, &call.ask) };
        self.answer(id, answer);
        changes
    }

    /// Takes a call's answer for the one who waits for it: what came of it, or that nothing came in time. A call that the
    /// runtime still works on goes on there.
    pub fn hear(&mut self, id: CallId) -> Answer {
        let Some(call) = self.calls.get(&id) else { return Answer::Failed(CallFault::Unreachable) };
        match (&call.answer, call.mishap) {
            (Some(_), Some(Mishap::HangsDone)) | (None, _) => Answer::Failed(CallFault::Timeout),
            (Some(answer), _) => answer.clone(),
        }
    }

    /// Nothing of this call is to come any more.
    pub fn forget(&mut self, id: CallId) {
        self.calls.remove(&id);
    }

    /// The caller hangs up. A runtime that minds stops the work; one that does not goes on.
    pub fn hang_up(&mut self, id: CallId, minds: bool) {
        let Some(call) = self.calls.get(&id) else { return };
        if minds && let Some(machine) = self.runtimes.get_mut(&call.runtime) {
            machine.runs.remove(&id);
        }
    }

    /// What becomes of a model some time after the call on it was answered.
    #[must_use]
    pub fn aftermath(&self, id: CallId) -> Option<(u64, Name, String)> {
        let call = self.calls.get(&id)?;
        match (call.mishap, &call.ask, &call.answer) {
            (Some(Mishap::DoneThenGone { after_ms }), Ask::Load(model), Some(Answer::Done)) => {
                Some((after_ms, call.runtime.clone(), model.clone()))
            }
            _ => None,
        }
    }

    /// The next call of this kind goes wrong.
    pub fn arm(&mut self, runtime: &Name, verb: CallVerb, how: Mishap) {
        if let Some(machine) = self.runtimes.get_mut(runtime) {
            machine.armed.push((verb, how));
        }
    }

    /// Nothing goes wrong any more: every runtime is up, nobody else uses anything.
    pub fn heal(&mut self) {
        for card in &mut self.cards {
            card.foreign_gb = 0.0;
        }
        for machine in self.runtimes.values_mut() {
            machine.armed.clear();
            machine.others = 0;
            machine.up = true;
        }
    }

    pub fn restart(&mut self, runtime: &Name) {
        if let Some(machine) = self.runtimes.get_mut(runtime) {
            machine.life += 1;
            machine.runs.clear();
            machine.models.values_mut().for_each(|state| *state = ModelState::Unloaded);
        }
    }

    /// Takes a runtime down or up. One that goes down forgets everything.
    pub fn set_up(&mut self, runtime: &Name, up: bool) {
        if !up {
            self.restart(runtime);
        }
        if let Some(machine) = self.runtimes.get_mut(runtime) {
            machine.up = up;
        }
    }

    pub fn set_others(&mut self, runtime: &Name, requests: u32) {
        if let Some(machine) = self.runtimes.get_mut(runtime) {
            machine.others = requests;
        }
    }

    pub fn set_foreign(&mut self, gpu: usize, gb: f64) {
        if let Some(card) = self.cards.get_mut(gpu) {
            card.foreign_gb = gb;
        }
    }

    /// Something else loads or unloads a model. Loads only what fits the card.
    pub fn meddle(&mut self, runtime: &Name, model: &str, loaded: bool) {
        let free_gb = self.free_gb(runtime);
        let Some(machine) = self.runtimes.get_mut(runtime).filter(|machine| machine.up) else { return };
        let fits = machine.site.models.get(model).is_some_and(|site| free_gb.is_none_or(|free| site.gb <= free));
        match machine.models.get_mut(model) {
            Some(state) if loaded && fits && *state == ModelState::Unloaded => *state = ModelState::Loaded,
            Some(state) if !loaded && *state == ModelState::Loaded => {
                *state = ModelState::Unloaded;
                machine.runs.retain(|_, of| of.as_deref() != Some(model));
            }
            _ => {}
        }
    }

    /// GPU memory that programs take which are no runtime of ours, in GB.
    #[must_use]
    pub fn foreign_gb(&self, gpu: usize) -> f64 {
        self.cards.get(gpu).map_or(0.0, |card| card.foreign_gb)
    }

    /// Whether a model is really loaded.
    #[must_use]
    pub fn is_loaded(&self, runtime: &Name, model: &str) -> bool {
        self.runtimes.get(runtime).is_some_and(|machine| machine.is_loaded(model))
    }

    /// Requests of ours that a runtime really works on.
    #[must_use]
    pub fn runs(&self, runtime: &Name) -> usize {
        self.runtimes.get(runtime).map_or(0, |machine| machine.runs.len())
    }

    fn answer(&mut self, id: CallId, answer: Answer) {
        if let Some(call) = self.calls.get_mut(&id) {
            call.answer = Some(answer);
        }
    }

    /// What is really free on the card of a runtime; none on CPU.
    fn free_gb(&self, runtime: &Name) -> Option<f64> {
        let at = self.runtimes.get(runtime)?.site.gpu?;
        let card = self.cards.get(at)?;
        let used: f64 =
            self.runtimes.values().filter(|machine| machine.site.gpu == Some(at)).map(Machine::used_gb).sum();
        Some(card.total_gb - card.foreign_gb - used)
    }
}

impl Machine {
    fn is_loaded(&self, model: &str) -> bool {
        self.models.get(model) == Some(&ModelState::Loaded)
    }

    fn used_gb(&self) -> f64 {
        let takes = |state: &ModelState| !matches!(state, ModelState::Unloaded | ModelState::Unknown);
        self.models
            .iter()
            .filter(|(_, state)| takes(state))
            .filter_map(|(m, _)| Some(self.site.models.get(m)?.gb))
            .sum()
    }

    /// Begins a call; an answer that is known at once.
    fn begin(&mut self, id: CallId, ask: &Ask, free_gb: Option<f64>) -> Option<Answer> {
        match ask {
            Ask::Observe => Some(Answer::Seen(self.view())),
            Ask::Load(model) => self.begin_load(model, free_gb),
            Ask::Unload(model) => match self.models.get_mut(model) {
                None => Some(Answer::Failed(CallFault::NotFound)),
                Some(ModelState::Unloaded) => Some(Answer::Done),
                Some(state) => {
                    *state = ModelState::Unloading;
                    // As llama-swap does: the program of the model is ended, and what it worked on is lost.
                    self.runs.retain(|_, of| of.as_deref() != Some(model));
                    None
                }
            },
            Ask::Run { model, .. } => {
                if let Some(model) = model.as_ref().filter(|model| self.site.loads && !self.is_loaded(model)) {
                    if !self.site.loads_by_itself {
                        return Some(Answer::Failed(CallFault::NotFound));
                    }
                    if let Some(Answer::Failed(fault)) = self.begin_load(model, free_gb) {
                        return Some(Answer::Failed(fault));
                    }
                }
                self.runs.insert(id, model.clone());
                None
            }
        }
    }

    fn begin_load(&mut self, model: &str, free_gb: Option<f64>) -> Option<Answer> {
        let gb = self.site.models.get(model).map_or(0.0, |site| site.gb);
        match self.models.get_mut(model) {
            None => Some(Answer::Failed(CallFault::NotFound)),
            Some(ModelState::Loaded) => Some(Answer::Done),
            Some(ModelState::Loading) => None,
            Some(_) if free_gb.is_some_and(|free| gb > free) => Some(Answer::Failed(CallFault::OutOfMemory)),
            Some(state) => {
                *state = ModelState::Loading;
                None
            }
        }
    }

    /// Ends a call that was begun in this life of the runtime.
    fn end(&mut self, id: CallId, ask: &Ask) -> Answer {
        match ask {
            Ask::Observe => Answer::Seen(self.view()),
            Ask::Load(model) => match self.models.get_mut(model) {
                Some(state @ (ModelState::Loading | ModelState::Loaded)) => {
                    *state = ModelState::Loaded;
                    Answer::Done
                }
                _ => Answer::Failed(CallFault::RuntimeError),
            },
            Ask::Unload(model) => {
                if let Some(state) = self.models.get_mut(model) {
                    *state = ModelState::Unloaded;
                }
                Answer::Done
            }
            Ask::Run { model, .. } => {
                // What it began to load gets there also when nobody waits for the work any more.
                if let Some(state) = model.as_ref().and_then(|model| self.models.get_mut(model))
                    && *state == ModelState::Loading
                {
                    *state = ModelState::Loaded;
                }
                match self.runs.remove(&id) {
                    Some(_) => Answer::Done,
                    None => Answer::Failed(CallFault::RuntimeError),
                }
            }
        }
    }

    fn view(&self) -> RuntimeView {
        let takes = |state: ModelState| matches!(state, ModelState::Loaded | ModelState::Loading);
        let models = self.models.iter().map(|(name, state)| ModelView {
            name: name.clone(),
            state: *state,
            vram_gb: self.site.models.get(name).map(|m| m.gb).filter(|_| self.site.tells_vram && takes(*state)),
            context_tokens: None,
            expires_at: None,
        });
        let working = u32::try_from(self.runs.len()).unwrap_or(u32::MAX).saturating_add(self.others);
        RuntimeView {
            models: models.collect(),
            in_flight: self.site.tells_in_flight.then_some(working),
            ..RuntimeView::default()
        }
    }
}
