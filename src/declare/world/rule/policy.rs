//! A Policy selects somebody, and no two equally specific ones set the same field for the same host.

use std::collections::{BTreeMap, BTreeSet};

use crate::core::Kind;
use crate::declare::manifest::Spec;
use crate::declare::manifest::kind::policy::PolicySpec;

use super::super::candidate::{Candidate, Subject};
use super::super::code;
use super::super::policy::breadth;
use super::super::problem::Problem;
use super::Report;
use super::capability::listed;

/// Stands for every host in the table of who sets what.
const EVERY_HOST: &str = "*";

/// Remarks on a policy whose selector names no host at all.
pub fn selector(subject: Subject<'_>, _: &Candidate<'_>, report: &mut Report) {
    let Spec::Policy(spec) = &subject.document.spec else { return };
    if spec.selector.as_ref().is_some_and(|selector| selector.hosts.is_empty()) {
        let problem = Problem::at("spec.selector", "this policy selects no host, so nothing follows from it")
            .label("no hosts named")
            .help("name hosts, or remove `selector` to make it a policy for every host");
        report.warning(subject, &code::SELECTS_NOBODY, problem);
    }
}

/// Two policies that neither is more specific, with what they both set and for whom.
#[derive(Default)]
struct Tie<'a> {
    hosts: BTreeSet<&'a str>,
    fields: BTreeSet<String>,
}

/// Reports equally specific policies that set the same field for the same host.
pub fn ties(world: &Candidate<'_>, report: &mut Report) {
    let mut setters: BTreeMap<(usize, &str, String), Subject<'_>> = BTreeMap::new();
    let mut ties: BTreeMap<(usize, usize), Tie<'_>> = BTreeMap::new();
    let mut subjects = BTreeMap::new();
    for subject in world.of_kind(Kind::Policy) {
        let Spec::Policy(spec) = &subject.document.spec else { continue };
        subjects.insert(subject.slot, subject);
        for field in fields(spec) {
            for host in hosts(spec) {
                let first = setters.entry((breadth(spec), host, field.clone())).or_insert(subject);
                if first.slot != subject.slot {
                    let tie = ties.entry((first.slot, subject.slot)).or_default();
                    tie.hosts.insert(host);
                    tie.fields.insert(field.clone());
                }
            }
        }
    }
    for ((first, later), tie) in ties {
        let (told, other) = if world.is_good(later) { (later, first) } else { (first, later) };
        if world.is_good(told) {
            report.error_among(subjects[&told], &[other], &code::POLICY_TIE, problem(&tie, subjects[&other]));
        }
    }
}

fn problem(tie: &Tie<'_>, other: Subject<'_>) -> Problem {
    let fields: Vec<_> = tie.fields.iter().map(|field| format!("`{field}`")).collect();
    let for_whom = if tie.hosts.contains(EVERY_HOST) {
        "every host".to_owned()
    } else {
        format!("Host {}", listed(&tie.hosts.iter().copied().collect::<Vec<_>>()))
    };
    let (name, place) = (&other.document.key.name, &other.document.place);
    let path = tie.fields.first().map_or_else(|| "spec".to_owned(), |field| format!("spec.{field}"));
    Problem::at(
        path,
        format_args!("Policy `{name}` ({place}) is as specific and sets {} for {for_whom} too", fields.join(", ")),
    )
    .label("set by both")
    .help("let one of the two set it, or make one more specific by naming fewer hosts")
}

/// The hosts that a policy is for.
fn hosts(spec: &PolicySpec) -> Vec<&str> {
    match &spec.selector {
        None => vec![EVERY_HOST],
        Some(selector) => {
            selector.hosts.iter().map(|host| host.as_str()).collect::<BTreeSet<_>>().into_iter().collect()
        }
    }
}

/// The fields that a policy sets, as they are merged: those of `retention` one by one, the others whole.
fn fields(spec: &PolicySpec) -> Vec<String> {
    let Ok(serde_json::Value::Object(all)) = serde_json::to_value(spec) else { return Vec::new() };
    let mut fields = Vec::new();
    for (name, value) in all {
        match (name.as_str(), value) {
            ("selector", _) => {}
            ("retention", serde_json::Value::Object(parts)) => {
                fields.extend(parts.into_iter().map(|(part, _)| format!("retention.{part}")));
            }
            _ => fields.push(name),
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::super::super::fixture::{manifest, told};

    #[test]
    fn a_policy_that_selects_nobody_is_remarked() {
        insta::assert_snapshot!(told(&[manifest("Policy", "p", "selector: {hosts: []}, paused: true"),]), @r#"
warning ARC312 Policy/p at `selector`: this policy selects no host, so nothing follows from it
  ^ no hosts named
  = name hosts, or remove `selector` to make it a policy for every host
"#);
    }

    #[test]
    fn equally_specific_policies_that_set_the_same_field_are_told_once_a_pair() {
        insta::assert_snapshot!(told(&[
            manifest("Policy", "all-a", "paused: true, retention: {artifacts: 1d}"),
            manifest("Policy", "all-b", "paused: true, drift: report, retention: {artifacts: 2d, activity: 1d}"),
            manifest("Policy", "one-a", "selector: {hosts: [desk]}, gpuSharedSlots: 2"),
            manifest("Policy", "one-b", "selector: {hosts: [desk]}, gpuSharedSlots: 2"),
            manifest("Policy", "two-a", "selector: {hosts: [desk, attic]}, draining: true"),
            manifest("Policy", "two-b", "selector: {hosts: [attic, desk]}, draining: false"),
        ]), @r#"
error ARC311 Policy/all-b at `true`: Policy `all-a` (new/new.yaml:1) is as specific and sets `paused`, `retention.artifacts` for every host too
  ^ set by both
  = let one of the two set it, or make one more specific by naming fewer hosts
error ARC311 Policy/one-b at `2`: Policy `one-a` (new/new.yaml:19) is as specific and sets `gpuSharedSlots` for Host desk too
  ^ set by both
  = let one of the two set it, or make one more specific by naming fewer hosts
error ARC311 Policy/two-b at `false`: Policy `two-a` (new/new.yaml:35) is as specific and sets `draining` for Host attic, desk too
  ^ set by both
  = let one of the two set it, or make one more specific by naming fewer hosts
"#);
    }

    #[test]
    fn policies_that_differ_in_breadth_in_hosts_or_in_fields_do_not_tie() {
        let nothing = told(&[
            manifest("Policy", "a", "paused: true, retention: {artifacts: 1d}"),
            manifest("Policy", "b", "drift: report, retention: {activity: 1d}"),
            manifest("Policy", "c", "selector: {hosts: [desk]}, paused: false"),
            manifest("Policy", "d", "selector: {hosts: [attic]}, paused: false"),
            manifest("Policy", "e", "selector: {hosts: [desk, attic]}, paused: false"),
        ]);
        assert_eq!(nothing, "");
    }
}
