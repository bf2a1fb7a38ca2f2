//! Broken documents are told what else is wrong with them, each problem at its place, and nothing that is not so.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use arcology::core::Kind;
use arcology::declare::manifest::{Diagnostic, ParsedFile, parse};
use arcology::declare::world::check;

use super::documents;

/// What the broken documents are beside: every kind once, nothing wrong with any.
pub(super) fn house() -> String {
    let one = |kind: &str, name: &str, spec: &str| super::manifest(kind, name, spec);
    documents(&[
        one("Host", "desk", "address: 127.0.0.1, gpus: [{id: gpu0, vramGb: 24}]"),
        one("Host", "attic", "address: 10.0.0.2"),
        one("Runtime", "inside", "host: desk, adapter: builtin"),
        one("Runtime", "above", "host: attic, adapter: builtin, capabilities: [text.stats]"),
        one("Model", "textrank", "type: other, servedBy: [{runtime: inside}], capabilities: [text.summarize]"),
        one("Model", "upstairs", "type: other, servedBy: [{runtime: above}], capabilities: [text.stats]"),
        one("Loadout", "attic", "host: attic"),
        one("Blueprint", "brief", "inputs: {note: {type: text}}, nodes: [{id: a, capability: text.stats}]"),
        one("Task", "first", "capability: text.stats"),
        one("GoldenSet", "set", "capability: text.summarize, cases: [{id: a, input: b}], metrics: [rougeL]"),
    ])
}

/// What is told about `text` beside the house.
pub(super) fn told(text: &str) -> Vec<Diagnostic> {
    static HOUSE: LazyLock<Arc<ParsedFile>> = LazyLock::new(|| Arc::new(parse::file("house.yaml", house().as_bytes())));
    let new = Arc::new(parse::file("new.yaml", text.as_bytes()));
    check(&[Arc::clone(&HOUSE), new].map(|file| (Arc::clone(&file.path), file)).into(), &|_| false)
}

/// `line:column CODE the text that the caret stands under`, in the order of the text.
pub(super) fn places(text: &str) -> Vec<String> {
    let under = |one: &Diagnostic| {
        let (before, width) = one.caret();
        one.source_line.chars().skip(before).take(width).collect::<String>()
    };
    let place = |one: &Diagnostic| format!("{}:{} {} {}", one.span.line, one.span.column, one.code, under(one));
    told(text).iter().map(place).collect()
}

/// A manifest whose spec is written out in lines; the first of them is line 5.
fn manifest(kind: &str, spec: &str) -> String {
    format!("apiVersion: arcology/v1alpha1\nkind: {kind}\nmetadata: {{name: hurt}}\nspec:\n{spec}")
}

#[test]
fn a_broken_document_of_each_kind_is_told_all_that_is_wrong_with_it() {
    let cases: &[(&str, &str, &[&str])] = &[
        ("Runtime", "  host: deks\n  gpu: gpu0\n  adapter: bultin\n", &["5:9 ARC301 deks", "7:12 ARC204 bultin"]),
        (
            "Runtime",
            "  host: desk\n  gpu: gpu1\n  adapter: builtin\n  observeEvery: 5\n",
            &["6:8 ARC304 gpu1", "8:17 ARC207 5"],
        ),
        (
            "Runtime",
            "  host: desk\n  adapter: exec\n  observeEvery: soon\n  endpoint: http://127.0.0.1:1\n",
            &["7:17 ARC207 soon", "8:3 ARC220 endpoint"],
        ),
        (
            "Runtime",
            "  host: desk\n  adapter: ray\n  observeEvery: soon\n  endpoint: http://127.0.0.1:1\n",
            &["6:12 ARC323 ray", "7:17 ARC207 soon"],
        ),
        (
            "Model",
            "  type: lmm\n  servedBy:\n    - {runtime: inside, as: [x]}\n    - 5\n    - {runtime: insode}\n",
            &["5:9 ARC204 lmm", "7:25 ARC203 as", "8:7 ARC203 5", "9:17 ARC301 insode"],
        ),
        (
            "Loadout",
            "  host: desk\n  models:\n    - {model: textrnk, state: loadd}\n    - {model: upstairs, state: loaded}\n",
            &["7:15 ARC301 textrnk", "7:31 ARC204 loadd", "8:15 ARC305 upstairs"],
        ),
        (
            "Loadout",
            "  host: desc\n  copilot: textrnk\n  rollback: {model: gone, until: later}\n  models:\n    - {modle: x, state: loaded}\n",
            &["5:9 ARC301 desc", "6:12 ARC301 textrnk", "7:21 ARC301 gone", "7:34 ARC208 later", "9:8 ARC201 modle"],
        ),
        (
            "Loadout",
            "  host: desk\n  copilot: textrank\n  unlisted: never\n  models: [{model: textrank, state: unloaded}]\n",
            &["7:13 ARC204 never", "8:37 ARC306 unloaded"],
        ),
        (
            "Policy",
            "  selector:\n    hosts: [desk, dask]\n  drift: ignore\n  gpuExclusiveFor: [video.gn]\n",
            &["6:19 ARC301 dask", "7:10 ARC204 ignore", "8:21 ARC221 video.gn"],
        ),
        (
            "Blueprint",
            "  inputs: {doc: {type: pdf}}\n  nodes:\n    - {id: a, capability: text.summarize, from: [inputs.doc], each: maybe}\n    - {id: b, capability: audio.tts, model: textrnk, from: [aa]}\n    - {id: c, capability: text.sumarize, model: large}\n  outputs: {x: bb}\n",
            &[
                "7:50 ARC315 inputs.doc",
                "7:69 ARC203 maybe",
                "8:27 ARC317 audio.tts",
                "8:45 ARC301 textrnk",
                "8:61 ARC313 aa",
                "9:27 ARC221 text.sumarize",
                "9:49 ARC301 large",
                "10:16 ARC313 bb",
            ],
        ),
        (
            "Task",
            "  capability: [text.summarize, ocr.pdf]\n  priority: 5000\n  inputs: {files: [gone.txt, ../up.txt]}\n  dependencies: [first, frst]\n  target: {runtime: insode, model: textrnk}\n",
            &[
                "5:32 ARC315 ocr.pdf",
                "5:32 ARC317 ocr.pdf",
                "6:13 ARC205 5000",
                "7:20 ARC321 gone.txt",
                "7:30 ARC229 ../up.txt",
                "8:25 ARC301 frst",
                "9:21 ARC301 insode",
                "9:36 ARC301 textrnk",
            ],
        ),
        (
            "Task",
            "  capability: text.summarize\n  target: {runtime: above, model: upstairs, zone: x}\n",
            &["6:21 ARC318 above", "6:35 ARC318 upstairs", "6:45 ARC201 zone"],
        ),
        (
            "Run",
            "  blueprint: brief\n  priority: high\n  inputs:\n    note: {files: [gone.txt]}\n    more: {text: x}\n",
            &["6:13 ARC203 high", "8:5 ARC320 note", "8:20 ARC321 gone.txt", "9:5 ARC320 more"],
        ),
        ("Run", "  blueprint: breif\n  priority: high\n", &["5:14 ARC301 breif", "6:13 ARC203 high"]),
        ("Run", "  blueprint: brief\n  priority: high\n", &["4:1 ARC320 spec", "6:13 ARC203 high"]),
        (
            "GoldenSet",
            "  capability: text.summarize\n  cases: gone.jsonl\n  metrics: [rougel]\n",
            &["6:10 ARC321 gone.jsonl", "7:13 ARC222 rougel"],
        ),
        (
            "Experiment",
            "  goldenSet: set\n  candidates: [{model: upstairs}, {model: textrnk}, {model: [x]}]\n  repetitions: 0\n  winner: {by: rouge1}\n  promote: {loadout: deks, as: king}\n",
            &[
                "6:24 ARC318 upstairs",
                "6:43 ARC301 textrnk",
                "6:54 ARC203 model",
                "7:16 ARC205 0",
                "8:16 ARC322 rouge1",
                "9:22 ARC301 deks",
                "9:32 ARC204 king",
            ],
        ),
    ];
    let told: BTreeSet<&str> = cases.iter().map(|(kind, ..)| *kind).collect();
    let kinds: BTreeSet<&str> = Kind::ALL.into_iter().filter(|kind| *kind != Kind::Host).map(Kind::as_str).collect();
    assert_eq!(told, kinds, "a Host refers to nothing; every other kind has a case");
    for (kind, spec, expected) in cases {
        assert_eq!(places(&manifest(kind, spec)), *expected, "{kind}\n{spec}");
    }
}

#[test]
fn nothing_is_told_that_only_follows_from_what_could_not_be_read() {
    let cases: &[(&str, &str, &[&str])] = &[
        // The copilot may be the model that could not be read, or stand where it was put by mistake.
        (
            "Loadout",
            "  host: desk\n  copilot: textrank\n  models: [{model: [x], state: loaded}]\n",
            &["7:13 ARC203 model"],
        ),
        ("Loadout", "  host: desk\n  copilot: textrank\n  model: [{model: textrank}]\n", &["7:3 ARC201 model"]),
        (
            "Loadout",
            "  host: desk\n  copilot: textrank\nmodels: [{model: textrank, state: loaded}]\n",
            &["7:1 ARC201 models"],
        ),
        // Whether an endpoint and options belong here is the adapter's business.
        (
            "Runtime",
            "  host: desk\n  adapter: bultin\n  endpoint: http://127.0.0.1:1\n  options: {checkPath: 5}\n",
            &["6:12 ARC204 bultin"],
        ),
        // Which host it is for is not known, so neither is what is served there.
        ("Loadout", "  host: [desk]\n  models: [{model: upstairs, state: loaded}]\n", &["5:3 ARC203 host"]),
        ("Runtime", "  host: {desk: }\n  gpu: gpu7\n  adapter: builtin\n", &["5:3 ARC203 host"]),
        // A selector that could not be read selects somebody.
        ("Policy", "  selector: {hosts: desk}\n", &["5:21 ARC203 desk"]),
        ("Policy", "  selector: {host: [desk]}\n", &["5:14 ARC201 host"]),
        // The source may be the step or the input that could not be read.
        (
            "Blueprint",
            "  nodes:\n    - {id: A, capability: text.stats}\n    - {id: b, capability: text.stats, from: [a]}\n  outputs: {x: a}\n",
            &["6:12 ARC206 A"],
        ),
        (
            "Blueprint",
            "  input: {doc: {type: text}}\n  nodes: [{id: b, capability: text.stats, from: [inputs.doc]}]\n",
            &["5:3 ARC201 input"],
        ),
        (
            "Blueprint",
            "  inputs: {doc: {type: paper}}\n  nodes: [{id: b, capability: ocr.pdf, from: [inputs.doc]}]\n",
            &["5:24 ARC204 paper", "6:31 ARC317 ocr.pdf"],
        ),
        // What the runtime is named for may be the link that could not be read.
        (
            "Task",
            "  capability: [text.stats, {text.summarize: 1}]\n  target: {model: textrank}\n",
            &["5:29 ARC203 text.summarize"],
        ),
        ("Task", "  capability: text.sumarize\n  target: {runtime: above}\n", &["5:15 ARC221 text.sumarize"]),
        // The input may be the one that stands a level too far out.
        ("Run", "  blueprint: brief\n  note: {text: x}\n", &["6:3 ARC201 note"]),
        ("Run", "  blueprint: brief\n  inputs: [note]\n", &["6:3 ARC203 inputs"]),
        // Neither of the two counts before one is taken out.
        ("Experiment", "  goldenSet: set\n  candidates: [{model: x, blueprint: y}]\n", &["6:17 ARC223 model"]),
        ("Run", "  blueprint: breif\n  blueprint: brif\n", &["6:3 ARC109 blueprint"]),
        (
            "Model",
            "  type: llm\n  servedBy: [{runtime: &a insode}, {runtime: inzide}]\n",
            &["6:27 ARC108 insode", "6:46 ARC301 inzide"],
        ),
        // Nobody needs a file whose name leads out of the repository.
        (
            "GoldenSet",
            "  capability: text.stats\n  cases: /etc/cases\n  metrics: [rougeL]\n",
            &["6:10 ARC229 /etc/cases"],
        ),
    ];
    for (kind, spec, expected) in cases {
        assert_eq!(places(&manifest(kind, spec)), *expected, "{kind}\n{spec}");
    }
}

#[test]
fn a_host_that_has_the_name_of_a_stand_in_is_not_taken_for_what_could_not_be_read() {
    let namesake = super::host("not-readable-in-this-manifest");
    for hurt in [
        manifest("Loadout", "  host: [desk]\n  models: [{model: upstairs, state: loaded}]\n"),
        manifest("Runtime", "  host: [desk]\n  gpu: gpu7\n  adapter: builtin\n"),
    ] {
        assert_eq!(places(&documents(&[hurt, namesake.clone()])), ["5:3 ARC203 host"]);
    }
}

#[test]
fn a_document_without_a_readable_name_is_told_too_and_is_nobodys() {
    let text = manifest("Run", "  blueprint: breif\n").replace("hurt", "No_Name");
    assert_eq!(places(&text), ["3:18 ARC206 No_Name", "5:14 ARC301 breif"]);
    assert!(told(&text).iter().all(|one| one.object.is_none()));
    let named = told(&manifest("Run", "  blueprint: breif\n  priority: high\n"));
    assert!(named.iter().all(|one| one.object.as_ref().is_some_and(|key| key.to_string() == "Run/hurt")));
}

#[test]
fn what_cannot_be_read_at_all_is_told_no_more_than_that() {
    assert_eq!(places(&manifest("Run", "  blueprint: breif\n  inputs: [\n")).len(), 1, "no YAML");
    assert_eq!(places(&manifest("Rum", "  blueprint: breif\n")), ["2:7 ARC211 Rum"]);
    assert_eq!(places(&manifest("Run", "  [blueprint, breif]\n")), ["4:1 ARC203 spec"]);
    assert_eq!(places(&manifest("Run", "  <<: {blueprint: breif}\n  blueprint: breif\n")), ["5:3 ARC108 <<"]);
}

#[test]
fn what_refers_to_a_broken_document_is_told_that_it_is_broken_wherever_its_name_can_be_read() {
    let run = super::manifest("Run", "r", "blueprint: next");
    let next = "inputs: {}, nodes: [{id: a, capability: text.stats}]";
    let told_with = |broken: String| {
        let all = told(&documents(&[run.clone(), broken]));
        all.into_iter().filter(|one| one.span.line < 5).map(|one| one.code.to_string()).collect::<Vec<_>>()
    };
    assert!(told_with(super::manifest("Blueprint", "next", next)).is_empty());
    for broken in [
        super::manifest("Blueprint", "next", "nods: 5"),
        super::manifest("Blueprint", "next", "nodes: ["),
        super::manifest("BluePrint", "next", next),
        super::manifest("Bluprint", "next", next),
        super::manifest("Blueprint", "next", next).replace("v1alpha1", "v9"),
    ] {
        assert_eq!(told_with(broken.clone()), ["ARC302"], "{broken}");
    }
    assert_eq!(told_with(super::manifest("Deployment", "next", next)), ["ARC301"], "of another program");
    assert_eq!(told_with(super::manifest("Hots", "next", next)), ["ARC301"], "of another kind");
    // A document that is broken itself is told what to mend in it, not what to mend elsewhere.
    let hurt = super::manifest("Run", "r", "blueprint: next, priority: high");
    let both = told(&documents(&[hurt, super::manifest("Blueprint", "next", "nods: 5")]));
    let codes: Vec<&str> = both.iter().map(|one| &*one.code).collect();
    assert_eq!(codes, ["ARC203", "ARC201"]);
}

#[test]
fn sound_documents_are_never_salvaged() {
    let parsed = parse::file("house.yaml", house().as_bytes());
    assert!(parsed.broken.is_empty() && parsed.salvaged.is_empty());
    let warned = manifest("Policy", "  selector: {hosts: []}\n");
    assert!(parse::file("p.yaml", warned.as_bytes()).salvaged.is_empty());
}
