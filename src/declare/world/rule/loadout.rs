//! A Loadout's models are served on its host, its copilot is one of them, and no two loadouts want different things.

use std::collections::BTreeMap;

use crate::core::text::nearest;
use crate::core::{Kind, Name};
use crate::declare::manifest::Spec;
use crate::declare::manifest::kind::loadout::{DesiredState, LoadoutSpec};
use crate::declare::manifest::kind::model::ModelSpec;

use super::super::candidate::{Candidate, Subject};
use super::super::code;
use super::super::problem::Problem;
use super::Report;
use super::capability::listed;

/// A model of a loadout with where it would be loaded: by its first runtime on the loadout's host.
#[derive(Clone, Copy)]
pub(super) struct Wish<'a> {
    /// Where it stands in `spec.models`; none for a copilot that is not listed.
    pub at: Option<usize>,
    pub model: &'a Name,
    pub spec: &'a ModelSpec,
    pub runtime: &'a Name,
    pub served_as: &'a str,
    pub state: DesiredState,
}

impl Wish<'_> {
    pub fn is_loaded(&self) -> bool {
        self.state == DesiredState::Loaded
    }
}

/// What a loadout wants, in its order. The copilot is to be loaded whatever its entry says; what is not known or not
/// served on the host is left out.
pub(super) fn wishes<'a>(world: &Candidate<'a>, spec: &'a LoadoutSpec) -> Vec<Wish<'a>> {
    let is_copilot = |model: &Name| spec.copilot.as_ref() == Some(model);
    let listed = spec.models.iter().enumerate().map(|(at, entry)| (Some(at), &entry.model, entry.state));
    let unlisted = spec.copilot.iter().filter(|copilot| spec.models.iter().all(|entry| entry.model != **copilot));
    let all = listed.chain(unlisted.map(|copilot| (None, copilot, DesiredState::Loaded)));
    all.filter_map(|(at, model, state)| {
        let declared = world.model(model.as_str())?;
        let served = declared.served_by.iter().find(|served| is_on(world, &served.runtime, &spec.host))?;
        let served_as = served.served_as.as_deref().unwrap_or(model.as_str());
        let state = if is_copilot(model) { DesiredState::Loaded } else { state };
        Some(Wish { at, model, spec: declared, runtime: &served.runtime, served_as, state })
    })
    .collect()
}

fn is_on(world: &Candidate<'_>, runtime: &Name, host: &Name) -> bool {
    world.runtime(runtime.as_str()).is_some_and(|runtime| runtime.host == *host)
}

/// Reports models that no runtime of the host serves, and a copilot that is not among the models.
pub fn check(subject: Subject<'_>, world: &Candidate<'_>, report: &mut Report) {
    let Spec::Loadout(spec) = &subject.document.spec else { return };
    for (i, entry) in spec.models.iter().enumerate() {
        served_here(subject, world, spec, &format!("spec.models[{i}].model"), &entry.model, report);
    }
    // Whether something is not among the models can only be said when all of them are known.
    let all_known = subject.nothing_astray()
        && subject.reads("spec.models")
        && (0..spec.models.len()).all(|i| subject.reads(format_args!("spec.models[{i}].model")));
    if let Some(rollback) = spec.rollback.as_ref().filter(|one| all_known && !is_listed(spec, &one.model)) {
        served_here(subject, world, spec, "spec.rollback.model", &rollback.model, report);
    }
    let Some(copilot) = spec.copilot.as_ref().filter(|copilot| world.model(copilot.as_str()).is_some()) else { return };
    let entry = spec.models.iter().position(|entry| entry.model == *copilot);
    let problem = match entry.map(|at| (at, spec.models[at].state)) {
        Some((_, DesiredState::Loaded | DesiredState::OnDemand)) => return,
        Some((at, DesiredState::Unloaded)) => Problem::at(
            format_args!("spec.models[{at}].state"),
            format_args!("`{copilot}` is the copilot, and is to be unloaded"),
        )
        .label("the copilot is always loaded")
        .help("write `loaded`, or name another copilot"),
        None if !all_known || spec.models.iter().any(|entry| is_misspelt(world, &entry.model, copilot)) => return,
        None => Problem::at("spec.copilot", format_args!("the copilot `{copilot}` is not among the models"))
            .label("not listed in spec.models")
            .help(format_args!("add `- {{model: {copilot}, state: loaded}}` to spec.models")),
    };
    report.error(subject, &code::COPILOT, problem);
}

/// Whether a name that leads nowhere, and was told so, is probably meant to be this model's.
fn is_misspelt(world: &Candidate<'_>, name: &Name, model: &Name) -> bool {
    world.model(name.as_str()).is_none() && nearest(name.as_str(), [model.as_str()]).is_some()
}

fn is_listed(spec: &LoadoutSpec, model: &Name) -> bool {
    spec.models.iter().any(|entry| entry.model == *model)
}

fn served_here(
    subject: Subject<'_>,
    world: &Candidate<'_>,
    spec: &LoadoutSpec,
    path: &str,
    name: &Name,
    report: &mut Report,
) {
    let Some(model) = world.model(name.as_str()) else { return };
    if world.host(spec.host.as_str()).is_none() || !subject.reads("spec.host") {
        return;
    }
    if model.served_by.iter().any(|served| is_on(world, &served.runtime, &spec.host)) {
        return;
    }
    let elsewhere: Vec<_> = model.served_by.iter().map(|served| served.runtime.as_str()).collect();
    let mut here = world.names_for_help(Kind::Runtime);
    here.retain(|runtime| world.runtime(runtime).is_some_and(|runtime| runtime.host == spec.host));
    let problem = Problem::at(path, format_args!("no runtime of Host `{}` serves Model `{name}`", spec.host))
        .label(format_args!("served by {}", listed(&elsewhere)))
        .help(format_args!("runtimes of Host `{}`: {}; add one to servedBy of Model/{name}", spec.host, listed(&here)));
    report.error(subject, &code::NOT_ON_HOST, problem);
}

/// Reports loadouts that name the same model of the same host, or want different states of the same thing.
pub fn conflicts(world: &Candidate<'_>, report: &mut Report) {
    let mut models: BTreeMap<(&Name, &Name), Subject<'_>> = BTreeMap::new();
    let mut things: BTreeMap<(&Name, &str), (Subject<'_>, Wish<'_>)> = BTreeMap::new();
    for subject in world.of_kind(Kind::Loadout) {
        let Spec::Loadout(spec) = &subject.document.spec else { continue };
        for wish in wishes(world, spec) {
            let first = models.entry((&spec.host, wish.model)).or_insert(subject);
            if first.slot != subject.slot {
                let (told, other) = told_at(world, subject, *first);
                report.error_among(told, &[other.slot], &code::SAME_MODEL, same_model(told, other, wish.model));
                continue;
            }
            let (holder, thing) = *things.entry((wish.runtime, wish.served_as)).or_insert((subject, wish));
            if thing.state != wish.state && thing.model != wish.model {
                let (told, other) = told_at(world, subject, holder);
                let (mine, theirs) = if told.slot == subject.slot { (&wish, &thing) } else { (&thing, &wish) };
                report.error_among(told, &[other.slot], &code::CONTRADICTION, contradiction(mine, theirs, told, other));
            }
        }
    }
}

/// The subject at which a conflict of two is told: the later one, unless only the first can still be refused.
fn told_at<'a>(world: &Candidate<'_>, later: Subject<'a>, first: Subject<'a>) -> (Subject<'a>, Subject<'a>) {
    if world.is_good(later.slot) || !world.is_good(first.slot) { (later, first) } else { (first, later) }
}

fn same_model(told: Subject<'_>, other: Subject<'_>, model: &Name) -> Problem {
    let at = match &told.document.spec {
        Spec::Loadout(spec) => spec.models.iter().position(|entry| entry.model == *model),
        _ => None,
    };
    let path = at.map_or_else(|| "spec.copilot".to_owned(), |at| format!("spec.models[{at}].model"));
    let (other_name, place) = (&other.document.key.name, &other.document.place);
    Problem::at(path, format_args!("Loadout `{other_name}` ({place}) names Model `{model}` for the same host"))
        .label("named by both")
        .help("let one of the two have it")
}

fn contradiction(mine: &Wish<'_>, theirs: &Wish<'_>, told: Subject<'_>, other: Subject<'_>) -> Problem {
    let path = mine.at.map_or_else(|| "spec.copilot".to_owned(), |at| format!("spec.models[{at}].state"));
    let thing = format!("`{}` of Runtime `{}`", mine.served_as, mine.runtime);
    let whose = if told.slot == other.slot {
        "this loadout".to_owned()
    } else {
        format!("Loadout `{}` ({})", other.document.key.name, other.document.place)
    };
    let (mine_is, theirs_is) = (mine.model, theirs.model);
    let wanted = word(theirs.state);
    let message = format!("`{mine_is}` and `{theirs_is}` are both {thing}, and {whose} wants `{theirs_is}` {wanted}");
    Problem::at(path, message).label(format!("{} here", word(mine.state))).help("let both say the same, or remove one")
}

fn word(state: DesiredState) -> &'static str {
    match state {
        DesiredState::Loaded => "loaded",
        DesiredState::OnDemand => "onDemand",
        DesiredState::Unloaded => "unloaded",
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::fixture::{manifest, told};

    #[test]
    fn models_that_are_not_served_on_the_host_and_a_copilot_that_is_not_listed_are_told() {
        insta::assert_snapshot!(told(&[
            manifest("Runtime", "up", "host: attic, adapter: builtin"),
            manifest("Model", "there", "type: llm, servedBy: [{runtime: up}]"),
            manifest(
                "Loadout",
                "l",
                "host: desk, copilot: qwen, rollback: {model: there, until: 2026-11-21T15:00:00Z}, models: [{model: there, state: loaded}, {model: lead, state: loaded}]"
            ),
            manifest(
                "Loadout",
                "m",
                "host: attic, copilot: there, rollback: {model: qwen, until: 2026-11-21T15:00:00Z}, models: [{model: there, state: unloaded}]"
            ),
        ]), @r#"
error ARC306 Loadout/l at `qwen`: the copilot `qwen` is not among the models
  ^ not listed in spec.models
  = add `- {model: qwen, state: loaded}` to spec.models
error ARC305 Loadout/l at `there`: no runtime of Host `desk` serves Model `there`
  ^ served by up
  = runtimes of Host `desk`: inside, swap; add one to servedBy of Model/there
error ARC305 Loadout/m at `qwen`: no runtime of Host `attic` serves Model `qwen`
  ^ served by swap
  = runtimes of Host `attic`: up; add one to servedBy of Model/qwen
error ARC306 Loadout/m at `unloaded`: `there` is the copilot, and is to be unloaded
  ^ the copilot is always loaded
  = write `loaded`, or name another copilot
"#);
    }

    #[test]
    fn a_copilot_misspelt_in_the_list_is_told_once() {
        insta::assert_snapshot!(told(&[manifest(
            "Loadout",
            "l",
            "host: desk, copilot: qwen, models: [{model: qwem, state: loaded}]"
        )]), @r#"
error ARC301 Loadout/l at `qwem`: unknown Model `qwem`
  ^ declared: large, lead, qwen
  = did you mean `qwen`?
"#);
    }

    #[test]
    fn two_loadouts_with_the_same_model_for_a_host_are_told_once_whatever_they_want() {
        insta::assert_snapshot!(told(&[
            manifest("Loadout", "a", "host: desk, models: [{model: lead, state: loaded}]"),
            manifest(
                "Loadout",
                "b",
                "host: desk, models: [{model: qwen, state: onDemand}, {model: lead, state: unloaded}]"
            ),
        ]), @r#"
error ARC307 Loadout/b at `lead`: Loadout `a` (new/new.yaml:1) names Model `lead` for the same host
  ^ named by both
  = let one of the two have it
"#);
    }

    #[test]
    fn two_names_of_the_same_thing_in_contradictory_states_are_told() {
        insta::assert_snapshot!(told(&[
            manifest("Model", "q2", "type: llm, servedBy: [{runtime: swap, as: qwen}]"),
            manifest("Loadout", "a", "host: desk, models: [{model: qwen, state: loaded}]"),
            manifest("Loadout", "b", "host: desk, models: [{model: q2, state: unloaded}]"),
            manifest("Model", "l2", "type: llm, servedBy: [{runtime: inside, as: lead}]"),
            manifest(
                "Loadout",
                "c",
                "host: desk, models: [{model: lead, state: loaded}, {model: l2, state: onDemand}]"
            ),
        ]), @r#"
error ARC308 Loadout/b at `unloaded`: `q2` and `qwen` are both `qwen` of Runtime `swap`, and Loadout `a` (new/new.yaml:9) wants `qwen` loaded
  ^ unloaded here
  = let both say the same, or remove one
error ARC308 Loadout/c at `onDemand`: `l2` and `lead` are both `lead` of Runtime `inside`, and this loadout wants `lead` loaded
  ^ onDemand here
  = let both say the same, or remove one
"#);
    }

    #[test]
    fn the_same_model_on_two_hosts_is_fine() {
        let nothing = told(&[
            manifest("Runtime", "up", "host: attic, adapter: builtin"),
            manifest("Model", "both", "type: llm, servedBy: [{runtime: up}, {runtime: inside}]"),
            manifest("Loadout", "a", "host: desk, copilot: both, models: [{model: both, state: loaded}]"),
            manifest("Loadout", "b", "host: attic, models: [{model: both, state: unloaded}]"),
        ]);
        assert_eq!(nothing, "");
    }
}
