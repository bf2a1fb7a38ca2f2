//! Every name that an object mentions leads to an object.

use crate::core::Kind;
use crate::core::text::nearest;

use super::super::candidate::{Candidate, Found, Subject};
use super::super::problem::Problem;
use super::super::{code, reference};
use super::Report;

/// Names listed in a label before it only says how many there are.
const NAMES_LISTED_MAX: usize = 6;

/// Reports every reference that leads nowhere.
pub fn check(subject: Subject<'_>, world: &Candidate<'_>, report: &mut Report) {
    reference::each(subject.document, &mut |path, kind, name| match world.find(kind, name) {
        Found::Present(_) => {}
        // Of use for what would be in order otherwise. There is nothing to mend here because of it.
        Found::Broken(_) if subject.salvaged.is_some() => {}
        Found::Broken(place) => report.error(
            subject,
            &code::BROKEN_REFERENCE,
            Problem::at(path, format_args!("{kind} `{name}` is broken, and no earlier version of it is in force"))
                .label(format_args!("declared at {place}"))
                .help(format_args!("mend {kind}/{name} first; there may be nothing else wrong here")),
        ),
        Found::Unknown => report.error(
            subject,
            &code::UNKNOWN_REFERENCE,
            Problem::at(path, format_args!("unknown {kind} `{name}`"))
                .label(what_exists(&world.names_for_help(kind), kind))
                .help(what_to_do(world, kind, name)),
        ),
    });
}

fn what_exists(names: &[&str], kind: Kind) -> String {
    match names {
        [] => format!("no such {kind}"),
        some if some.len() <= NAMES_LISTED_MAX => format!("declared: {}", some.join(", ")),
        many => format!("none of the {} that are declared", many.len()),
    }
}

fn what_to_do(world: &Candidate<'_>, kind: Kind, name: &str) -> String {
    if let Some(near) = nearest(name, world.names_for_help(kind)) {
        return format!("did you mean `{near}`?");
    }
    if let Some(other) = Kind::ALL.into_iter().find(|other| world.get(*other, name).is_some()) {
        return format!("`{name}` is a {other}; a {kind} is needed here");
    }
    match world.unreadable_places().next() {
        Some(place) => format!("declare {kind}/{name}; or, if it is in {place}, mend that document first"),
        None => format!("declare {kind}/{name}, or remove what refers to it"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::fixture::{manifest, told};

    #[test]
    fn the_house_itself_is_in_order() {
        assert_eq!(told(&[]), "");
    }

    #[test]
    fn every_reference_that_leads_nowhere_is_told_with_what_might_be_meant() {
        insta::assert_snapshot!(told(&[
            manifest("Runtime", "r", "host: deks, adapter: builtin"),
            manifest("Model", "m", "type: llm, servedBy: [{runtime: swap}, {runtime: swop, as: x}]"),
            manifest(
                "Loadout",
                "l",
                "host: dusk, copilot: qwn, rollback: {model: gone, until: 2026-11-21T15:00:00Z}, models: [{model: swap, state: loaded}]"
            ),
            manifest("Policy", "p", "selector: {hosts: [desk, dask]}"),
            manifest("Blueprint", "b", "nodes: [{id: a, capability: text.summarize, model: large2}]"),
            manifest(
                "Task",
                "t",
                "capability: text.summarize, target: {runtime: insite, model: leed}, dependencies: [other]"
            ),
            manifest("Run", "run", "blueprint: bb"),
            manifest(
                "Experiment",
                "e",
                "goldenSet: g, candidates: [{model: x}, {blueprint: y}], baseline: {model: z}, promote: {loadout: w, as: copilot}"
            ),
        ]), @r#"
error ARC301 Runtime/r at `deks`: unknown Host `deks`
  ^ declared: attic, desk
  = did you mean `desk`?
error ARC301 Model/m at `swop`: unknown Runtime `swop`
  ^ declared: inside, swap
  = did you mean `swap`?
error ARC301 Loadout/l at `dusk`: unknown Host `dusk`
  ^ declared: attic, desk
  = did you mean `desk`?
error ARC301 Loadout/l at `qwn`: unknown Model `qwn`
  ^ declared: large, lead, qwen
  = did you mean `qwen`?
error ARC301 Loadout/l at `gone`: unknown Model `gone`
  ^ declared: large, lead, qwen
  = declare Model/gone, or remove what refers to it
error ARC301 Loadout/l at `swap`: unknown Model `swap`
  ^ declared: large, lead, qwen
  = `swap` is a Runtime; a Model is needed here
error ARC301 Policy/p at `dask`: unknown Host `dask`
  ^ declared: attic, desk
  = did you mean `desk`?
error ARC301 Blueprint/b at `large2`: unknown Model `large2`
  ^ declared: large, lead, qwen
  = did you mean `large`?
error ARC301 Task/t at `insite`: unknown Runtime `insite`
  ^ declared: inside, swap
  = did you mean `inside`?
error ARC301 Task/t at `leed`: unknown Model `leed`
  ^ declared: large, lead, qwen
  = did you mean `lead`?
error ARC301 Task/t at `other`: unknown Task `other`
  ^ declared: t
  = declare Task/other, or remove what refers to it
error ARC301 Run/run at `bb`: unknown Blueprint `bb`
  ^ no such Blueprint
  = declare Blueprint/bb, or remove what refers to it
error ARC301 Experiment/e at `g`: unknown GoldenSet `g`
  ^ no such GoldenSet
  = declare GoldenSet/g, or remove what refers to it
error ARC301 Experiment/e at `x`: unknown Model `x`
  ^ declared: large, lead, qwen
  = declare Model/x, or remove what refers to it
error ARC301 Experiment/e at `y`: unknown Blueprint `y`
  ^ no such Blueprint
  = declare Blueprint/y, or remove what refers to it
error ARC301 Experiment/e at `z`: unknown Model `z`
  ^ declared: large, lead, qwen
  = declare Model/z, or remove what refers to it
error ARC301 Experiment/e at `w`: unknown Loadout `w`
  ^ no such Loadout
  = declare Loadout/w, or remove what refers to it
"#);
    }

    #[test]
    fn what_refers_to_something_broken_is_told_the_cause_and_not_that_it_is_unknown() {
        insta::assert_snapshot!(told(&[
            manifest("Host", "cellar", "address: 10.0.0.9, gpus: 5"),
            manifest("Runtime", "r", "host: cellar, adapter: builtin"),
            manifest("Model", "m", "type: llm, servedBy: [{runtime: r}]"),
        ]), @r#"
error ARC302 Runtime/r at `cellar`: Host `cellar` is broken, and no earlier version of it is in force
  ^ declared at new/new.yaml:1
  = mend Host/cellar first; there may be nothing else wrong here
error ARC302 Model/m at `r`: Runtime `r` is broken, and no earlier version of it is in force
  ^ declared at new/new.yaml:9
  = mend Runtime/r first; there may be nothing else wrong here
"#);
    }

    #[test]
    fn a_document_that_nobody_can_name_is_offered_as_the_cause() {
        insta::assert_snapshot!(told(&[
            "kind: Host\n".into(),
            manifest("Runtime", "r", "host: cellar, adapter: builtin")
        ]), @r#"
error ARC301 Runtime/r at `cellar`: unknown Host `cellar`
  ^ declared: attic, desk
  = declare Host/cellar; or, if it is in new/new.yaml:1, mend that document first
"#);
    }
}
