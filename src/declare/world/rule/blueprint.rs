//! A Blueprint's steps form a graph without cycles whose edges carry what the next step takes.

use crate::core::text::nearest;
use crate::declare::manifest::Spec;
use crate::declare::manifest::kind::blueprint::{BlueprintSpec, NodeSpec};
use crate::declare::manifest::kind::capability::{self, DataType};

use super::super::candidate::{Candidate, Subject};
use super::super::problem::{Problem, field};
use super::super::{code, graph};
use super::Report;

/// How `from` names an input of the blueprint.
const INPUT_PREFIX: &str = "inputs.";

/// What a `from` names, and whether it is a list.
#[derive(Clone, Copy)]
struct Source {
    /// None when the step's capability is not known.
    data: Option<DataType>,
    list: bool,
}

/// Reports sources and outputs that do not exist, and edges of the wrong type.
pub fn sources(subject: Subject<'_>, _: &Candidate<'_>, report: &mut Report) {
    let Spec::Blueprint(spec) = &subject.document.spec else { return };
    let steps_known = knows_steps(subject, spec);
    let all_known = steps_known && knows_inputs(subject, spec);
    for (i, node) in spec.nodes.iter().enumerate() {
        for (j, from) in node.from.iter().enumerate() {
            let path = format!("spec.nodes[{i}].from[{j}]");
            match source(spec, from) {
                None if !all_known => {}
                None => report.error(subject, &code::UNKNOWN_STEP, unknown(spec, &path, from)),
                Some(Source { data: Some(data), .. }) if knows_type_of(subject, from) => {
                    wrong_type(subject, &path, node, from, data, report);
                }
                Some(Source { .. }) => {}
            }
        }
    }
    for (name, step) in spec.outputs.iter().filter(|_| steps_known) {
        if node_of(spec, step).is_none() {
            let problem = unknown(spec, &field("spec.outputs", name), step);
            report.error(subject, &code::UNKNOWN_STEP, problem);
        }
    }
}

/// Whether every step of the blueprint is known by its id, so that there can be no other.
fn knows_steps(subject: Subject<'_>, spec: &BlueprintSpec) -> bool {
    subject.nothing_astray()
        && subject.reads("spec.nodes")
        && (0..spec.nodes.len()).all(|i| subject.reads(format_args!("spec.nodes[{i}].id")))
}

/// Whether every input is known. What is no input at all may be the field of one whose name was forgotten.
fn knows_inputs(subject: Subject<'_>, spec: &BlueprintSpec) -> bool {
    let known = |name: &String| subject.reads(field("spec.inputs", name));
    subject.salvaged.is_none() || (subject.reads("spec.inputs") && spec.inputs.keys().all(known))
}

/// Whether what a source gives could be read. What a step gives follows from its capability, and one that could not be
/// read is no capability.
fn knows_type_of(subject: Subject<'_>, from: &str) -> bool {
    let known = |name: &str| subject.reads_all_of(field("spec.inputs", name));
    subject.salvaged.is_none() || from.strip_prefix(INPUT_PREFIX).is_none_or(known)
}

/// Reports steps that say `each` and take no list.
pub fn lists(subject: Subject<'_>, _: &Candidate<'_>, report: &mut Report) {
    let Spec::Blueprint(spec) = &subject.document.spec else { return };
    for (i, node) in spec.nodes.iter().enumerate() {
        fan_out(subject, spec, i, node, report);
    }
}

fn node_of(spec: &BlueprintSpec, id: &str) -> Option<usize> {
    spec.nodes.iter().position(|node| node.id.as_str() == id)
}

fn source(spec: &BlueprintSpec, from: &str) -> Option<Source> {
    if let Some(input) = from.strip_prefix(INPUT_PREFIX).and_then(|name| spec.inputs.get(name)) {
        return Some(Source { data: Some(input.data_type), list: input.list });
    }
    let node = &spec.nodes[node_of(spec, from)?];
    Some(Source { data: capability::find(&node.capability).map(|known| known.gives), list: node.each })
}

fn unknown(spec: &BlueprintSpec, path: &str, from: &str) -> Problem {
    let inputs: Vec<_> = spec.inputs.keys().map(|name| format!("{INPUT_PREFIX}{name}")).collect();
    let ids = spec.nodes.iter().map(|node| node.id.as_str());
    let is_output = path.starts_with("spec.outputs");
    let known: Vec<&str> = ids.chain(inputs.iter().map(String::as_str).filter(|_| !is_output)).collect();
    let help = match known.iter().find(|name| name.strip_prefix(INPUT_PREFIX) == Some(from)) {
        Some(input) => format!("inputs are written `{input}`"),
        None => match nearest(from, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if is_output => "name a step by its id".to_owned(),
            None => "name another step by its id, or an input as `inputs.NAME`".to_owned(),
        },
    };
    let label = if known.is_empty() { "there is none".to_owned() } else { format!("there are: {}", known.join(", ")) };
    Problem::at(path, format_args!("no step or input `{from}`")).label(label).help(help)
}

fn wrong_type(subject: Subject<'_>, path: &str, node: &NodeSpec, from: &str, data: DataType, report: &mut Report) {
    let Some(known) = capability::find(&node.capability).filter(|known| !known.takes(data)) else { return };
    let takes = words(known.accepts);
    let message = format!("`{}` takes {takes}, but `{from}` gives {}", known.name, data.as_str());
    let problem = Problem::at(path, message).label(format_args!("this is {}", data.as_str())).help(bridge(data, known));
    report.error(subject, &code::WRONG_DATA, problem);
}

/// The types a capability takes: `text or image`.
pub(super) fn words(types: &[DataType]) -> String {
    types.iter().map(|data| data.as_str()).collect::<Vec<_>>().join(" or ")
}

/// What could stand between data and a capability that does not take it.
pub(super) fn bridge(data: DataType, to: &capability::Capability) -> String {
    // Only what is made for this data: taking any file is no advice.
    let between = capability::ALL.iter().filter(|step| step.accepts.contains(&data) && to.takes(step.gives));
    let names: Vec<_> = between.map(|step| format!("`{}`", step.name)).collect();
    if names.is_empty() {
        return format!("no known capability turns {} into {}", data.as_str(), words(to.accepts));
    }
    format!("put a step between that turns {} into {}: {}", data.as_str(), words(to.accepts), names.join(", "))
}

fn fan_out(subject: Subject<'_>, spec: &BlueprintSpec, i: usize, node: &NodeSpec, report: &mut Report) {
    let sources: Vec<_> = node.from.iter().map(|from| source(spec, from)).collect();
    // A source that does not exist was told already, and may have been the list.
    let unsettled = sources.iter().any(Option::is_none);
    if node.each && !unsettled && !sources.iter().flatten().any(|source| source.list) {
        let problem = Problem::at(
            format_args!("spec.nodes[{i}].each"),
            format_args!("step `{}` says `each`, but nothing it takes is a list", node.id),
        )
        .label("no list to go through")
        .help("remove `each`, or say `list: true` at the input");
        report.error(subject, &code::NO_LIST, problem);
    }
}

/// Reports steps that wait for each other.
pub fn cycles(subject: Subject<'_>, _: &Candidate<'_>, report: &mut Report) {
    let Spec::Blueprint(spec) = &subject.document.spec else { return };
    let edges: Vec<Vec<usize>> =
        spec.nodes.iter().map(|node| node.from.iter().filter_map(|from| node_of(spec, from)).collect()).collect();
    for knot in graph::knots(&edges, |_| true) {
        let first = knot.cycle[0];
        let next = spec.nodes[knot.cycle[1 % knot.cycle.len()]].id.as_str();
        let at = spec.nodes[first].from.iter().position(|from| from == next).unwrap_or_default();
        let cycle = graph::written(&knot.cycle, |node| spec.nodes[node].id.as_str());
        let problem = Problem::at(
            format_args!("spec.nodes[{first}].from[{at}]"),
            format_args!("these steps wait for each other: {cycle}"),
        )
        .label("closes the circle")
        .help("take one of these sources out");
        report.error(subject, &code::CYCLE, problem);
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::fixture::{manifest, told};

    #[test]
    fn sources_and_outputs_that_do_not_exist_are_told() {
        insta::assert_snapshot!(told(&[manifest(
            "Blueprint",
            "b",
            "inputs: {doc: {type: text}}, nodes: [{id: a, capability: text.summarize, from: [inputs.dog]}, {id: b, capability: text.summarize, from: [doc, aa]}], outputs: {x: bb, y: inputs.doc}"
        ),]), @r#"
error ARC313 Blueprint/b at `inputs.dog`: no step or input `inputs.dog`
  ^ there are: a, b, inputs.doc
  = did you mean `inputs.doc`?
error ARC313 Blueprint/b at `doc`: no step or input `doc`
  ^ there are: a, b, inputs.doc
  = inputs are written `inputs.doc`
error ARC313 Blueprint/b at `aa`: no step or input `aa`
  ^ there are: a, b, inputs.doc
  = did you mean `a`?
error ARC313 Blueprint/b at `bb`: no step or input `bb`
  ^ there are: a, b
  = did you mean `b`?
error ARC313 Blueprint/b at `inputs.doc`: no step or input `inputs.doc`
  ^ there are: a, b
  = name a step by its id
"#);
    }

    #[test]
    fn edges_of_the_wrong_type_are_told_with_what_could_stand_between() {
        insta::assert_snapshot!(told(&[
            manifest("Runtime", "tools", "host: desk, adapter: exec, capabilities: [audio.tts, ocr.pdf], options: {programs: {audio.tts: {steps: [{run: [aud]}], outputs: [{file: out}]}, ocr.pdf: {steps: [{run: [ocr]}], outputs: [{file: out}]}}}"),
            manifest(
                "Blueprint",
                "b",
                "inputs: {packet: {type: pdf}}, nodes: [{id: voice, capability: audio.tts, from: [inputs.packet]}, {id: ocr, capability: ocr.pdf, from: [voice]}, {id: vector, capability: text.embed, from: [ocr]}, {id: talk, capability: audio.tts, from: [vector]}]"
            ),
        ]), @r#"
error ARC315 Blueprint/b at `inputs.packet`: `audio.tts` takes text, but `inputs.packet` gives pdf
  ^ this is pdf
  = put a step between that turns pdf into text: `doc.extract`, `ocr.pdf`
error ARC315 Blueprint/b at `voice`: `ocr.pdf` takes pdf, but `voice` gives audio
  ^ this is audio
  = no known capability turns audio into pdf
error ARC315 Blueprint/b at `vector`: `audio.tts` takes text, but `vector` gives vector
  ^ this is vector
  = no known capability turns vector into text
"#);
    }

    #[test]
    fn steps_that_wait_for_each_other_are_told_by_the_shortest_circle() {
        insta::assert_snapshot!(told(&[manifest(
            "Blueprint",
            "b",
            "nodes: [{id: a, capability: text.summarize, from: [c]}, {id: b, capability: text.summarize, from: [a]}, {id: c, capability: text.summarize, from: [b, a]}, {id: d, capability: text.summarize, from: [d]}]"
        ),]), @r#"
error ARC314 Blueprint/b at `c`: these steps wait for each other: a -> c -> a
  ^ closes the circle
  = take one of these sources out
error ARC314 Blueprint/b at `d`: these steps wait for each other: d -> d
  ^ closes the circle
  = take one of these sources out
"#);
    }

    #[test]
    fn each_without_a_list_is_told() {
        insta::assert_snapshot!(told(&[manifest(
            "Blueprint",
            "b",
            "inputs: {one: {type: text}, many: {type: text, list: true}}, nodes: [{id: a, capability: text.summarize, from: [inputs.one], each: true}, {id: b, capability: text.summarize, from: [inputs.many], each: true}, {id: c, capability: text.summarize, from: [b], each: true}, {id: d, capability: text.summarize, from: [c]}, {id: e, capability: text.summarize, from: [d], each: true}]"
        ),]), @r#"
error ARC316 Blueprint/b at `true`: step `a` says `each`, but nothing it takes is a list
  ^ no list to go through
  = remove `each`, or say `list: true` at the input
error ARC316 Blueprint/b at `true`: step `e` says `each`, but nothing it takes is a list
  ^ no list to go through
  = remove `each`, or say `list: true` at the input
"#);
    }

    #[test]
    fn a_graph_of_matching_steps_is_fine() {
        let nothing = told(&[manifest(
            "Blueprint",
            "b",
            "inputs: {packet: {type: pdf}, notes: {type: text}}, nodes: [{id: pull, capability: doc.extract, from: [inputs.packet]}, {id: brief, capability: text.summarize, from: [pull, inputs.notes]}, {id: count, capability: text.stats, from: [brief]}, {id: say, capability: text.generate, from: [count]}], outputs: {text: brief, numbers: count}",
        )]);
        assert_eq!(nothing, "");
    }

    #[test]
    fn every_output_name_can_be_pointed_at() {
        let outputs = r#"nodes: [{id: a, capability: text.stats}], outputs: {"the.result": b, 'a "b"': c}"#;
        insta::assert_snapshot!(told(&[manifest("Blueprint", "b", outputs)]), @r#"
error ARC313 Blueprint/b at `b`: no step or input `b`
  ^ there are: a
  = did you mean `a`?
error ARC313 Blueprint/b at `c`: no step or input `c`
  ^ there are: a
  = did you mean `a`?
"#);
    }
}
