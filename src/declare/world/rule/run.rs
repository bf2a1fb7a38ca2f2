//! A Run gives its Blueprint's inputs: all of them, no others, each of the right sort.

use crate::core::text::nearest;
use crate::declare::manifest::Spec;
use crate::declare::manifest::kind::blueprint::InputSpec;
use crate::declare::manifest::kind::capability::DataType;
use crate::declare::manifest::kind::run::RunInput;

use super::super::candidate::{Candidate, Subject};
use super::super::code;
use super::super::problem::{Problem, field};
use super::Report;
use super::capability::listed;

/// Reports inputs that are missing, unknown or of the wrong sort.
pub fn check(subject: Subject<'_>, world: &Candidate<'_>, report: &mut Report) {
    let Spec::Run(spec) = &subject.document.spec else { return };
    let Some(blueprint) = world.blueprint(spec.blueprint.as_str()) else { return };
    if !subject.reads("spec.blueprint") {
        return;
    }
    let known: Vec<&str> = blueprint.inputs.keys().map(String::as_str).collect();
    for (name, given) in &spec.inputs {
        let path = field("spec.inputs", name);
        match blueprint.inputs.get(name) {
            Some(wanted) => wrong_sort(subject, &path, name, wanted, given, report),
            None => {
                let help = match nearest(name, known.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => "remove it".to_owned(),
                };
                let message = format!("Blueprint `{}` has no input `{name}`", spec.blueprint);
                let label = format!("its inputs: {}", listed(&known));
                report.error(subject, &code::RUN_INPUT, Problem::at(path, message).label(label).help(help));
            }
        }
    }
    let missing = |name: &String| subject.nothing_astray() && !spec.inputs.contains_key(name);
    for (name, wanted) in blueprint.inputs.iter().filter(|(name, _)| missing(name)) {
        let message = format!("input `{name}` of Blueprint `{}` is missing", spec.blueprint);
        let problem = Problem::at("spec.inputs", message)
            .label(format_args!("needs `{name}`: {}", sort(wanted)))
            .help(format_args!("add `{name}: {}`", example(wanted)));
        report.error(subject, &code::RUN_INPUT, problem);
    }
}

fn wrong_sort(subject: Subject<'_>, path: &str, name: &str, wanted: &InputSpec, given: &RunInput, report: &mut Report) {
    let fits = if wanted.list {
        given.files.is_some()
    } else {
        given.file.is_some() || given.text.is_some() && may_be_text(wanted.data_type)
    };
    // Not exactly one of the three is another rule's problem.
    let count = [given.file.is_some(), given.files.is_some(), given.text.is_some()].iter().filter(|set| **set).count();
    if fits || count != 1 {
        return;
    }
    let what = if given.files.is_some() {
        "a list of files"
    } else if given.file.is_some() {
        "one file"
    } else {
        "text"
    };
    let problem = Problem::at(path, format_args!("input `{name}` is {}, and is given {what}", sort(wanted)))
        .label(format_args!("needs {}", sort(wanted)))
        .help(format_args!("write `{name}: {}`", example(wanted)));
    report.error(subject, &code::RUN_INPUT, problem);
}

fn may_be_text(data: DataType) -> bool {
    match data {
        DataType::Text | DataType::Json => true,
        DataType::Pdf | DataType::Image | DataType::Audio | DataType::Video | DataType::Vector | DataType::File => {
            false
        }
    }
}

fn sort(wanted: &InputSpec) -> String {
    let data = wanted.data_type.as_str();
    if wanted.list { format!("a list of {data}") } else { data.to_owned() }
}

fn example(wanted: &InputSpec) -> &'static str {
    match (wanted.list, may_be_text(wanted.data_type)) {
        (true, _) => "{files: [PATH, PATH]}",
        (false, true) => "{file: PATH}` or `{text: …}",
        (false, false) => "{file: PATH}",
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::fixture::{manifest, told_with};

    fn with_blueprint(run: &str) -> String {
        let inputs = "doc: {type: pdf}, note: {type: text}, pages: {type: image, list: true}";
        let nodes = "{id: a, capability: doc.extract, from: [inputs.doc]}";
        let blueprint = manifest("Blueprint", "b", &format!("inputs: {{{inputs}}}, nodes: [{nodes}]"));
        told_with(&[blueprint, manifest("Run", "r", &format!("blueprint: b, inputs: {{{run}}}"))], &["a.pdf", "b.png"])
    }

    #[test]
    fn inputs_that_are_missing_unknown_or_of_the_wrong_sort_are_told() {
        insta::assert_snapshot!(with_blueprint("doc: {text: hello}, nope: {text: hello}, dok: {file: a.pdf}"), @r#"
error ARC320 Run/r at `inputs`: input `note` of Blueprint `b` is missing
  ^ needs `note`: text
  = add `note: {file: PATH}` or `{text: …}`
error ARC320 Run/r at `inputs`: input `pages` of Blueprint `b` is missing
  ^ needs `pages`: a list of image
  = add `pages: {files: [PATH, PATH]}`
error ARC320 Run/r at `doc`: input `doc` is pdf, and is given text
  ^ needs pdf
  = write `doc: {file: PATH}`
error ARC320 Run/r at `nope`: Blueprint `b` has no input `nope`
  ^ its inputs: doc, note, pages
  = did you mean `note`?
error ARC320 Run/r at `dok`: Blueprint `b` has no input `dok`
  ^ its inputs: doc, note, pages
  = did you mean `doc`?
"#);
        insta::assert_snapshot!(with_blueprint("doc: {files: [a.pdf]}, note: {files: [a.pdf]}, pages: {file: b.png}"), @r#"
error ARC320 Run/r at `doc`: input `doc` is pdf, and is given a list of files
  ^ needs pdf
  = write `doc: {file: PATH}`
error ARC320 Run/r at `note`: input `note` is text, and is given a list of files
  ^ needs text
  = write `note: {file: PATH}` or `{text: …}`
error ARC320 Run/r at `pages`: input `pages` is a list of image, and is given one file
  ^ needs a list of image
  = write `pages: {files: [PATH, PATH]}`
"#);
    }

    #[test]
    fn matching_inputs_are_fine() {
        assert_eq!(with_blueprint("doc: {file: a.pdf}, note: {text: hello}, pages: {files: [b.png]}"), "");
        assert_eq!(with_blueprint("doc: {file: a.pdf}, note: {file: a.pdf}, pages: {files: []}"), "");
    }
}
