//! Files that manifests name are in the repository.

use crate::declare::manifest::Spec;
use crate::declare::manifest::kind::golden_set::Cases;
use crate::declare::manifest::kind::runtime::AdapterKind;

use super::super::candidate::{Candidate, Subject};
use super::super::code;
use super::super::problem::{Problem, field};
use super::Report;

/// Reports files of Tasks, Runs, GoldenSets and workflows that the revision does not have.
pub fn check(subject: Subject<'_>, world: &Candidate<'_>, report: &mut Report) {
    let mut see = |path: String, file: &str, base: &str| {
        let resolved = resolve(base, file);
        if resolved.as_deref().is_some_and(|resolved| world.file_exists(resolved)) {
            return;
        }
        let label = match &resolved {
            Some(resolved) => format!("looked for {resolved}"),
            None => "outside the repository".to_owned(),
        };
        let problem = Problem::at(path, format_args!("there is no file `{file}` in this revision"))
            .label(label)
            .help("commit the file, or correct the path; only committed content counts");
        report.error(subject, &code::NO_FILE, problem);
    };
    match &subject.document.spec {
        Spec::Task(spec) => {
            for (i, file) in spec.inputs.files.iter().enumerate() {
                see(format!("spec.inputs.files[{i}]"), file, "");
            }
        }
        Spec::Run(spec) => {
            for (name, input) in &spec.inputs {
                let path = field("spec.inputs", name);
                if let Some(file) = &input.file {
                    see(format!("{path}.file"), file, "");
                }
                for (i, file) in input.files.iter().flatten().enumerate() {
                    see(format!("{path}.files[{i}]"), file, "");
                }
            }
        }
        Spec::GoldenSet(spec) => {
            if let Cases::File(file) = &spec.cases {
                see("spec.cases".to_owned(), file, folder_of(&subject.document.place.path));
            }
        }
        Spec::Runtime(spec) if spec.adapter == AdapterKind::Comfyui => {
            let workflows = spec.options.get("workflows").and_then(serde_json::Value::as_object);
            for (capability, workflow) in workflows.into_iter().flatten() {
                if let Some(file) = workflow.get("file").and_then(serde_json::Value::as_str) {
                    see(format!("{}.file", field("spec.options.workflows", capability)), file, "");
                }
            }
        }
        Spec::Host(_)
        | Spec::Runtime(_)
        | Spec::Model(_)
        | Spec::Loadout(_)
        | Spec::Policy(_)
        | Spec::Blueprint(_)
        | Spec::Experiment(_) => {}
    }
}

/// The folder that a file stands in; empty at the top.
#[must_use]
pub fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// The path from the repository's top of `file` as seen from the folder `base`; none when it is outside.
#[must_use]
pub fn resolve(base: &str, file: &str) -> Option<String> {
    if file.starts_with('/') {
        return None;
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in base.split('/').chain(file.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::super::super::fixture::{manifest, told_with};
    use super::*;

    #[test]
    fn paths_are_resolved_within_the_repository_and_never_beyond() {
        for (base, file, resolved) in [
            ("goldensets", "cases.jsonl", Some("goldensets/cases.jsonl")),
            ("goldensets/de", "../cases.jsonl", Some("goldensets/cases.jsonl")),
            ("", "./samples//a.pdf", Some("samples/a.pdf")),
            ("a", "../../b", None),
            ("a", "/etc/passwd", None),
        ] {
            assert_eq!(resolve(base, file).as_deref(), resolved, "{base} {file}");
        }
        assert_eq!(folder_of("a/b/c.yaml"), "a/b");
        assert_eq!(folder_of("c.yaml"), "");
    }

    #[test]
    fn files_that_the_revision_does_not_have_are_told() {
        let manifests = [
            manifest("Task", "a", "capability: text.stats, inputs: {files: [here.txt, ./there.txt]}"),
            manifest(
                "Blueprint",
                "b",
                "inputs: {x: {type: text}, y: {type: text, list: true}}, nodes: [{id: a, capability: text.stats}]",
            ),
            manifest("Run", "r", "blueprint: b, inputs: {x: {file: gone.txt}, y: {files: [here.txt, gone/too.txt]}}"),
            manifest(
                "Runtime",
                "p",
                "host: desk, adapter: comfyui, endpoint: 'http://127.0.0.1:8188', \
                 options: {workflows: {image.gen: {file: flux.json}, video.gen: {file: here.txt}}}",
            ),
            manifest("GoldenSet", "g", "capability: text.summarize, cases: cases.jsonl, metrics: [length]"),
            manifest("GoldenSet", "h", "capability: text.summarize, cases: more.jsonl, metrics: [length]"),
        ];
        insta::assert_snapshot!(told_with(&manifests, &["here.txt", "new/cases.jsonl", "more.jsonl"]), @r#"
error ARC321 Task/a at `./there.txt`: there is no file `./there.txt` in this revision
  ^ looked for there.txt
  = commit the file, or correct the path; only committed content counts
error ARC321 Run/r at `gone.txt`: there is no file `gone.txt` in this revision
  ^ looked for gone.txt
  = commit the file, or correct the path; only committed content counts
error ARC321 Run/r at `gone/too.txt`: there is no file `gone/too.txt` in this revision
  ^ looked for gone/too.txt
  = commit the file, or correct the path; only committed content counts
error ARC321 Runtime/p at `flux.json`: there is no file `flux.json` in this revision
  ^ looked for flux.json
  = commit the file, or correct the path; only committed content counts
error ARC321 GoldenSet/h at `more.jsonl`: there is no file `more.jsonl` in this revision
  ^ looked for new/more.jsonl
  = commit the file, or correct the path; only committed content counts
"#);
    }
}
