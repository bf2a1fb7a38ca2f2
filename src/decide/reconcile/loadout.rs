//! Loadouts: which models should be loaded where, against what the runtimes report.
//!
//! 1. Turn the manifest into wishes: one a model, the copilot first.
//! 2. Compare each wish with a fresh observation; without one nothing is claimed and nothing is done.
//! 3. Turn differences into intents, unloads before loads, unless something holds them back.

use crate::core::Name;
use crate::core::text::nearest;
use crate::decide::view::{ModelState, RuntimeView};
use crate::declare::manifest::kind::loadout::{DesiredState, LoadoutSpec, Unlisted};
use crate::declare::manifest::kind::model::ModelSpec;
use crate::declare::manifest::kind::policy::DriftMode;
use crate::declare::world::Object;

use super::cost;
use super::drift_loop;
use super::inputs::Inputs;
use super::lock;
use super::memory;
use super::plan::{Bookkeeping, Intent, ObjectPlan, Target, Verb};
use super::planner::{blank_status, holds_on_everything};
use super::status::{Drift, FieldDifference, Health, Hold, HoldReason, ObjectStatus, Sync};

/// What a loadout wants of one model on one runtime.
struct Wish<'a> {
    model: Name,
    spec: Option<&'a ModelSpec>,
    runtime: Name,
    served_as: String,
    state: DesiredState,
    copilot: bool,
}

/// What came of comparing one wish.
enum Finding {
    Satisfied {
        loaded: bool,
    },
    /// The runtime is on its way there.
    Underway,
    Differs(FieldDifference, Verb),
    /// No fresh observation.
    Unseen,
}

/// The plan of one loadout.
#[must_use]
pub fn plan(inputs: &Inputs<'_>, object: &Object, spec: &LoadoutSpec) -> ObjectPlan {
    let mut status = blank_status(object);
    let wishes = wishes(inputs, spec);
    let mut tally = Tally::default();
    let mut wanted = Vec::new();
    for wish in &wishes {
        cost::note_source(&mut status, inputs, &wish.runtime);
        let finding = compare(inputs, wish);
        tally.note(wish, &finding);
        if let Finding::Differs(difference, verb) = finding {
            wanted.push((target_of(wish), verb, difference, wish.spec, wish.copilot));
        }
    }
    for (target, difference) in unlisted_differences(inputs, spec, &wishes) {
        wanted.push((target, Verb::Unload, difference, None, false));
    }
    let (bookkeeping, leftovers) = reckon_holdings(inputs, object, &wishes, spec, &mut tally);
    wanted.extend(leftovers);

    tally.describe(&mut status, spec, &wanted.iter().map(|want| want.2.clone()).collect::<Vec<_>>());
    let mut intents = intents(inputs, object, spec, &mut status, wanted);
    // Unloads first: they free the memory that loads need. The sort is stable, so the copilot and Loadout order stay.
    intents.sort_by_key(|intent| intent.verb);
    ObjectPlan { status, intents, bookkeeping }
}

/// What the manifest asks for, the copilot first. Models on other hosts' runtimes are validation's business.
fn wishes<'a>(inputs: &Inputs<'a>, spec: &LoadoutSpec) -> Vec<Wish<'a>> {
    let mut wishes: Vec<Wish<'a>> = Vec::new();
    let listed = spec.models.iter().map(|entry| (&entry.model, entry.state));
    // The copilot is long-lived by definition: named as copilot, it is to be loaded, whether or not it is listed.
    let copilot = spec.copilot.iter().map(|model| (model, DesiredState::Loaded));
    for (name, state) in copilot.chain(listed) {
        if wishes.iter().any(|wish| wish.model == *name) {
            continue;
        }
        let model = inputs.world.model(name);
        let served = model.and_then(|model| {
            model
                .served_by
                .iter()
                .find(|served| inputs.world.runtime(&served.runtime).is_some_and(|runtime| runtime.host == spec.host))
        });
        let Some(served) = served else { continue };
        wishes.push(Wish {
            model: name.clone(),
            spec: model,
            runtime: served.runtime.clone(),
            served_as: served.served_as.clone().unwrap_or_else(|| name.to_string()),
            state,
            copilot: spec.copilot.as_ref() == Some(name),
        });
    }
    wishes
}

fn compare(inputs: &Inputs<'_>, wish: &Wish<'_>) -> Finding {
    let Some(view) = inputs.fresh_view(&wish.runtime) else {
        return if wish.state == DesiredState::OnDemand {
            Finding::Satisfied { loaded: false }
        } else {
            Finding::Unseen
        };
    };
    let seen = view.model(&wish.served_as).map_or(ModelState::Unloaded, |model| model.state);
    let differs = |drift, verb, observed: String| {
        let desired = if wish.state == DesiredState::Loaded { "loaded" } else { "unloaded" };
        let field = format!("models[{}].state", wish.model);
        Finding::Differs(FieldDifference { field, desired: desired.to_owned(), observed, drift }, verb)
    };
    match (wish.state, seen) {
        (DesiredState::Loaded, ModelState::Loaded) => Finding::Satisfied { loaded: true },
        (DesiredState::OnDemand, state) => Finding::Satisfied { loaded: state == ModelState::Loaded },
        (DesiredState::Unloaded, ModelState::Unloaded) => Finding::Satisfied { loaded: false },
        (DesiredState::Loaded, ModelState::Loading) | (DesiredState::Unloaded, ModelState::Unloading) => {
            Finding::Underway
        }
        (_, ModelState::Unknown) => Finding::Unseen,
        (DesiredState::Loaded, ModelState::Unloaded | ModelState::Unloading) => {
            differs(Drift::Missing, Verb::Load, describe_absence(view, wish))
        }
        (DesiredState::Unloaded, ModelState::Loaded | ModelState::Loading) => {
            differs(Drift::Unexpected, Verb::Unload, seen.as_str().to_owned())
        }
    }
}

/// `unloaded`, or that the runtime does not list such a model, with the nearest it does.
fn describe_absence(view: &RuntimeView, wish: &Wish<'_>) -> String {
    if let Some(model) = view.model(&wish.served_as) {
        return model.state.as_str().to_owned();
    }
    let known = view.models.iter().map(|model| model.name.as_str());
    let hint = nearest(&wish.served_as, known).map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
    format!("not listed by {} as `{}`{hint}", wish.runtime, wish.served_as)
}

fn target_of(wish: &Wish<'_>) -> Target {
    Target::Model { runtime: wish.runtime.clone(), model: Some(wish.model.clone()), served_as: wish.served_as.clone() }
}

/// With `unlisted: unloaded`, every loaded model of the host that no loadout of that host names.
fn unlisted_differences(
    inputs: &Inputs<'_>,
    spec: &LoadoutSpec,
    wishes: &[Wish<'_>],
) -> Vec<(Target, FieldDifference)> {
    if spec.unlisted != Unlisted::Unloaded {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (object, runtime) in inputs.world.runtimes().filter(|(_, runtime)| runtime.host == spec.host) {
        let name = &object.document.key.name;
        let Some(view) = inputs.fresh_view(name) else { continue };
        if !runtime.adapter.is_driven() {
            continue;
        }
        for model in view.models.iter().filter(|model| model.state == ModelState::Loaded) {
            // A manifest may name a model by an alias; the runtime lists it by its real name.
            let is_it = |wish: &Wish<'_>| wish.runtime == *name && view.real_name(&wish.served_as) == model.name;
            let named = wishes.iter().any(is_it);
            if named || named_elsewhere(inputs, spec, name, &model.name) {
                continue;
            }
            let target = Target::Model { runtime: name.clone(), model: None, served_as: model.name.clone() };
            let difference = FieldDifference {
                field: format!("unlisted[{}/{}].state", name, model.name),
                desired: "unloaded".to_owned(),
                observed: "loaded".to_owned(),
                drift: Drift::Unexpected,
            };
            found.push((target, difference));
        }
    }
    found
}

/// Whether another loadout of the same host names the model.
fn named_elsewhere(inputs: &Inputs<'_>, spec: &LoadoutSpec, runtime: &Name, served_as: &str) -> bool {
    inputs.world.loadouts().filter(|(_, other)| *other != spec && other.host == spec.host).any(|(_, other)| {
        let real = |name: &str| {
            inputs.fresh_view(runtime).map_or_else(|| name.to_owned(), |view| view.real_name(name).to_owned())
        };
        wishes(inputs, other).iter().any(|wish| wish.runtime == *runtime && real(&wish.served_as) == real(served_as))
    })
}

type Wanted<'a> = (Target, Verb, FieldDifference, Option<&'a ModelSpec>, bool);

/// Settles what the object holds: adopts what is there as asked, releases what is no longer asked for and gone, and
/// wants unloaded what is no longer asked for but still there.
fn reckon_holdings<'a>(
    inputs: &Inputs<'a>,
    object: &Object,
    wishes: &[Wish<'a>],
    spec: &LoadoutSpec,
    tally: &mut Tally,
) -> (Vec<Bookkeeping>, Vec<Wanted<'a>>) {
    let (mut bookkeeping, mut leftovers) = (Vec::new(), Vec::new());
    let holdings = inputs.holdings(&object.document.key);
    for wish in wishes.iter().filter(|wish| wish.state == DesiredState::Loaded) {
        let target = target_of(wish);
        let held = holdings.iter().any(|holding| holding.target == target);
        if !held && matches!(compare(inputs, wish), Finding::Satisfied { loaded: true }) {
            bookkeeping.push(Bookkeeping::Adopt(target));
        }
    }
    for holding in holdings {
        let Target::Model { runtime, model, served_as } = &holding.target else { continue };
        let wish = wishes.iter().find(|wish| wish.runtime == *runtime && wish.served_as == *served_as);
        match wish.map(|wish| wish.state) {
            // Still asked for; or its unload is wanted by its own wish above.
            Some(DesiredState::Loaded | DesiredState::Unloaded) => continue,
            Some(DesiredState::OnDemand) => {
                bookkeeping.push(Bookkeeping::Release(holding.target.clone()));
                continue;
            }
            None => {}
        }
        let name = model.as_ref().map_or_else(|| served_as.clone(), ToString::to_string);
        let Some(view) = inputs.view_since(runtime, holding.since) else {
            if inputs.is_given_up(runtime) {
                bookkeeping.push(Bookkeeping::Release(holding.target.clone()));
            } else {
                tally.unseen.push(name);
            }
            continue;
        };
        let state = view.model(served_as).map_or(ModelState::Unloaded, |model| model.state);
        if matches!(state, ModelState::Loading | ModelState::Unloading | ModelState::Unknown) {
            // Neither there nor gone: the next observation tells.
            tally.underway.push(name);
            continue;
        }
        if state == ModelState::Unloaded || named_elsewhere(inputs, spec, runtime, served_as) {
            bookkeeping.push(Bookkeeping::Release(holding.target.clone()));
        } else if spec.unlisted != Unlisted::Unloaded || inputs.world.runtime(runtime).is_none() {
            // With `unlisted: unloaded` the difference is already listed as such, where the runtime is still declared.
            let difference = FieldDifference {
                field: format!("models[{name}]"),
                desired: "no longer asked for".to_owned(),
                observed: "loaded".to_owned(),
                drift: Drift::Unexpected,
            };
            let spec = model.as_ref().and_then(|model| inputs.world.model(model));
            leftovers.push((holding.target.clone(), Verb::Unload, difference, spec, false));
        }
    }
    (bookkeeping, leftovers)
}

/// Turns what is wanted into intents, or into a hold that says why not.
fn intents(
    inputs: &Inputs<'_>,
    object: &Object,
    spec: &LoadoutSpec,
    status: &mut ObjectStatus,
    wanted: Vec<Wanted<'_>>,
) -> Vec<Intent> {
    let policy = inputs.world.policy_for(&spec.host);
    status.hold = holds_on_everything(inputs, object, &policy);
    if wanted.is_empty() {
        // Nothing is being held back when nothing is wanted, but a suspension is worth knowing all the same.
        status.hold = status.hold.take().filter(|hold| hold.reason != HoldReason::Backoff);
        return Vec::new();
    }
    if status.hold.as_ref().is_some_and(|hold| hold.reason != HoldReason::Backoff) {
        return Vec::new();
    }
    if let Some(refusal) = inputs.refusals.get(&object.document.key) {
        status.hold = Some(refusal.clone());
        return Vec::new();
    }
    let history = inputs.histories.get(&object.document.key);
    let settled = history.is_some_and(|history| history.settled_generation == Some(object.generation));
    let mut intents = Vec::new();
    for (target, verb, difference, model, copilot) in wanted {
        if let Target::Model { runtime, served_as, .. } = &target
            && let Some(hold) = lock::hold(inputs, runtime, served_as, verb)
        {
            // Before anything is counted against a drift loop: what the scheduler moves is not somebody's interference.
            status.hold = Some(hold);
            continue;
        }
        let saw = format!("{}: {}", difference.field, difference.observed);
        if settled && policy.drift == DriftMode::Report {
            let who = policy.sources.first().map(ToString::to_string);
            let message = "the policy says `drift: report`, so this is shown and not corrected".to_owned();
            status.hold = Some(Hold { reason: HoldReason::Paused, message, who, until: None });
            continue;
        }
        if settled
            && let Some(stopped) =
                history.and_then(|history| drift_loop::detect(history, &saw, object.generation, inputs.now))
        {
            status.hold = Some(drift_loop::hold(&stopped));
            continue;
        }
        let Target::Model { runtime, served_as, .. } = &target else { continue };
        let mut cost = cost::of_model(inputs, runtime, served_as, model, if verb == Verb::Load { 1.0 } else { -1.0 });
        if verb == Verb::Load {
            match memory::make_room(inputs, object, runtime, served_as, &intents) {
                memory::Room::Enough => {}
                memory::Room::After(unloads) => {
                    cost.evicts = unloads.iter().map(|intent| intent.target.to_string()).collect();
                    intents.extend(unloads);
                }
                memory::Room::Full(hold) => {
                    status.hold = Some(hold);
                    continue;
                }
            }
        }
        let reason = sentence(object, &difference, verb, settled, copilot);
        intents.push(Intent {
            object: object.document.key.clone(),
            verb,
            target,
            reason,
            place: Some(object.document.place.clone()),
            commit: object.asked_by.clone(),
            cost,
            corrects: settled.then_some(saw),
        });
    }
    intents
}

fn sentence(object: &Object, difference: &FieldDifference, verb: Verb, settled: bool, copilot: bool) -> String {
    let key = &object.document.key;
    let role = if copilot { " as copilot" } else { "" };
    let occasion = if settled { "drift: it was in sync before" } else { "the manifest asks for it" };
    match verb {
        Verb::Load => format!("{key} wants it loaded{role} and it is {}; {occasion}", difference.observed),
        Verb::Unload if difference.field.starts_with("unlisted") => {
            format!("{key} says `unlisted: unloaded` and does not name it; {occasion}")
        }
        Verb::Unload if difference.desired.starts_with("no longer") => {
            format!("{key} loaded it and no longer asks for it")
        }
        Verb::Unload | Verb::Enqueue | Verb::Cancel => {
            format!("{key} wants it unloaded and it is {}; {occasion}", difference.observed)
        }
    }
}

/// Counts findings while they are made, to say them in one sentence.
#[derive(Default)]
struct Tally {
    loaded: Vec<String>,
    wanted_loaded: Vec<String>,
    underway: Vec<String>,
    unseen: Vec<String>,
}

impl Tally {
    fn note(&mut self, wish: &Wish<'_>, finding: &Finding) {
        let name = wish.model.to_string();
        if wish.state == DesiredState::Loaded {
            self.wanted_loaded.push(name.clone());
        }
        match finding {
            Finding::Satisfied { loaded: true } => self.loaded.push(name),
            Finding::Satisfied { loaded: false } | Finding::Differs(..) => {}
            Finding::Underway => self.underway.push(name),
            Finding::Unseen => self.unseen.push(name),
        }
    }

    fn describe(self, status: &mut ObjectStatus, spec: &LoadoutSpec, differences: &[FieldDifference]) {
        status.desired = if self.wanted_loaded.is_empty() {
            "nothing loaded".to_owned()
        } else {
            format!("loaded: {}", self.wanted_loaded.join(", "))
        };
        status.observed = match (self.loaded.is_empty(), self.unseen.is_empty()) {
            (false, _) => format!("loaded: {}", self.loaded.join(", ")),
            (true, true) => "none of them loaded".to_owned(),
            (true, false) => "not observed".to_owned(),
        };
        status.fields = differences.to_vec();
        // Missing outweighs unexpected: what people asked for and do not have comes first.
        let worst = differences.iter().map(|difference| difference.drift).min_by_key(|drift| match drift {
            Drift::Missing => 0,
            Drift::Different => 1,
            Drift::Unexpected => 2,
        });
        (status.sync, status.health, status.reason) = match worst {
            Some(drift) => {
                let health = if drift == Drift::Missing { Health::Missing } else { Health::Degraded };
                let listed: Vec<String> = differences
                    .iter()
                    .map(|d| format!("{} should be {} and is {}", d.field, d.desired, d.observed))
                    .collect();
                (Sync::Drifted(drift), health, listed.join("; "))
            }
            None if !self.unseen.is_empty() => {
                let reason = format!("no fresh observation of {} on {}", self.unseen.join(", "), spec.host);
                (Sync::Unknown, Health::Unknown, reason)
            }
            None if !self.underway.is_empty() => {
                let reason = format!("under way: {}", self.underway.join(", "));
                (Sync::Drifted(Drift::Different), Health::Progressing, reason)
            }
            None => (Sync::InSync, Health::Healthy, "every model is as asked".to_owned()),
        };
        if worst.is_none() && !self.underway.is_empty() && self.unseen.is_empty() {
            status.fields = self
                .underway
                .iter()
                .map(|name| FieldDifference {
                    field: format!("models[{name}].state"),
                    desired: "as asked".to_owned(),
                    observed: "changing".to_owned(),
                    drift: Drift::Different,
                })
                .collect();
        }
    }
}
