//! Documents broken at every place in every way: what is told of them stays true when they are mended, and decides
//! nothing.

use std::collections::BTreeSet;

use arcology::core::Kind;
use arcology::declare::manifest::parse;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::salvage::{house, places, told};

/// Documents whose form is in order and whose references are not, each kind with as many sorts of problems as it has.
fn dangling() -> Vec<(Kind, Value)> {
    let all = json!({
        "Runtime": [
            {"host": "deks", "gpu": "gpu0", "adapter": "ray", "endpoint": "http://127.0.0.1:1", "capabilities": ["text.stats"]},
            {"host": "desk", "gpu": "gpu1", "adapter": "builtin", "observeEvery": "5s", "options": {}},
        ],
        "Model": [{"type": "llm", "servedBy": [{"runtime": "inside", "as": "x"}, {"runtime": "insode"}], "vramGb": 90,
            "capabilities": ["text.embed"]}],
        "Loadout": [
            {"host": "desk", "copilot": "textrank", "rollback": {"model": "upstairs", "until": "2026-11-21T15:00:00Z"},
                "models": [{"model": "upstairs", "state": "loaded"}, {"model": "textrnk", "state": "onDemand"}]},
            {"host": "desc", "copilot": "textrank", "models": [{"model": "textrank", "state": "unloaded"}]},
        ],
        "Policy": [{"selector": {"hosts": ["desk", "dask"]}, "paused": true, "batching": {"maxTasks": 1, "maxWait": "1s"}}],
        "Blueprint": [{
            "inputs": {"doc": {"type": "pdf", "list": false}, "note": {"type": "text"}},
            "nodes": [
                {"id": "a", "capability": "text.summarize", "from": ["inputs.doc", "inputs.dog"], "model": "upstairs"},
                {"id": "b", "capability": "audio.tts", "from": ["a", "aa"], "model": "textrnk", "each": true},
                {"id": "c", "capability": "text.stats", "from": ["inputs.note", "c"], "model": "auto"},
            ],
            "outputs": {"x": "bb", "y": "a"},
        }],
        "Task": [
            {"capability": ["text.stats", "ocr.pdf"], "inputs": {"text": "x", "files": ["gone.txt"]}, "priority": 1,
                "dependencies": ["first", "frst"], "target": {"runtime": "insode", "model": "textrnk"}},
            {"capability": "text.summarize", "target": {"runtime": "above", "model": "upstairs"}},
            {"capability": ["text.stats"], "target": {"runtime": "inside", "model": "upstairs"}},
        ],
        "Run": [
            {"blueprint": "breif", "inputs": {"a": {"file": "gone.txt"}}},
            {"blueprint": "brief", "inputs": {"nope": {"text": "x"}, "more": {"files": ["gone.txt"]}}, "priority": 3},
            {"blueprint": "brief", "inputs": {"note": {"files": ["gone.txt"]}}},
        ],
        "GoldenSet": [{"capability": "text.summarize", "cases": "gone.jsonl", "metrics": ["rougeL"]}],
        "Experiment": [{
            "goldenSet": "set", "candidates": [{"model": "upstairs"}, {"blueprint": "breif"}],
            "baseline": {"model": "upstairs"}, "repetitions": 2,
            "winner": {"by": "rouge1", "guard": [{"metric": "latency.p95", "max": "4s"}]},
            "promote": {"loadout": "deks", "as": "copilot"},
        }],
    });
    let Value::Object(kinds) = all else { panic!("a mapping of kinds") };
    let each = kinds.into_iter().flat_map(|(kind, specs)| {
        let kind = Kind::parse(&kind).unwrap();
        specs.as_array().unwrap().iter().map(|spec| (kind, spec.clone())).collect::<Vec<_>>()
    });
    each.collect()
}

/// A document with every value on a line of its own.
fn written(kind: Kind, spec: &Value) -> String {
    let whole =
        json!({"apiVersion": "arcology/v1alpha1", "kind": kind.as_str(), "metadata": {"name": "hurt"}, "spec": spec});
    serde_json::to_string_pretty(&whole).unwrap()
}

/// Every place in a value, as a JSON pointer, the whole first.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, one)| pointers(one, &format!("{at}/{key}"), found)),
        Value::Array(items) => items.iter().enumerate().for_each(|(i, one)| pointers(one, &format!("{at}/{i}"), found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A document in which a value is wrong: another one in its place, or a field too many in it.
fn wrong_values(spec: &Value, at: &str) -> Vec<Value> {
    let mut hurt = Vec::new();
    let mut change = |change: &dyn Fn(&mut Value)| {
        let mut copy = spec.clone();
        change(copy.pointer_mut(at).expect("the place is one of this value"));
        hurt.push(copy);
    };
    for other in [json!({"zz": 1}), json!([["zz"]]), json!("No such Word!"), json!(-7.5), json!(null)] {
        change(&|value| *value = other.clone());
    }
    change(&|value| {
        value.as_object_mut().map(|fields| fields.insert("zz".into(), json!(1)));
    });
    hurt
}

/// A document in which a field is wrong: misspelt a little or much, gone, or a level too far out.
fn wrong_fields(spec: &Value, at: &str) -> Vec<Value> {
    let Some((parent, key)) = at.rsplit_once('/') else { return Vec::new() };
    let without = || {
        let mut copy = spec.clone();
        let taken = copy.pointer_mut(parent)?.as_object_mut()?.remove(key)?;
        Some((copy, taken))
    };
    let Some((gone, value)) = without() else { return Vec::new() };
    let put = |into: &str, key: &str| {
        let mut copy = gone.clone();
        copy.pointer_mut(into)?.as_object_mut()?.entry(key).or_insert(value.clone());
        Some(copy)
    };
    let above = parent.rsplit_once('/').and_then(|(above, _)| put(above, key));
    [put(parent, &format!("{key}x")), put(parent, "qqqqqqqqqqqq"), above, Some(gone.clone())]
        .into_iter()
        .flatten()
        .collect()
}

/// The code, the words, the line as it stands there, and the column.
type Told = (String, String, String, u32);

/// What is told of what lies between objects.
fn between_objects(text: &str) -> BTreeSet<Told> {
    let all = told(text).into_iter().filter(|one| *one.code >= *"ARC300");
    all.map(|one| {
        let line = one.source_line.trim_end_matches(',').to_owned();
        (one.code.to_string(), one.message, line, one.span.column)
    })
    .collect()
}

fn is_broken(text: &str) -> bool {
    !parse::file("new.yaml", text.as_bytes()).broken.is_empty()
}

/// Ways to make a wrong document of a good one.
type Injuries = fn(&Value, &str) -> Vec<Value>;

/// Breaks every document at every place, and shows each outcome to `look` beside what is told about the document it was made of.
fn each_injury(injuries: &[Injuries], look: &mut dyn FnMut(&BTreeSet<Told>, &str)) {
    for (kind, spec) in dangling() {
        let sound = written(kind, &spec);
        assert!(!is_broken(&sound), "{:?}", places(&sound));
        let told = between_objects(&sound);
        let mut all = Vec::new();
        pointers(&spec, "", &mut all);
        for at in all {
            let hurt = injuries.iter().flat_map(|injure| injure(&spec, &at)).map(|hurt| written(kind, &hurt));
            hurt.filter(|hurt| is_broken(hurt)).for_each(|hurt| look(&told, &hurt));
        }
    }
}

#[test]
fn mending_a_document_takes_back_nothing_that_was_told_about_what_it_refers_to() {
    let mut seen = 0;
    each_injury(&[wrong_values, wrong_fields], &mut |sound, hurt| {
        let before = between_objects(hurt);
        let untrue: Vec<_> = before.difference(sound).collect();
        assert!(untrue.is_empty(), "{untrue:#?} is told about {hurt}");
        seen += before.len();
    });
    assert!(seen > 1_000, "only {seen} problems were told about broken documents");
}

#[test]
fn every_reference_whose_text_can_be_read_is_told_whatever_else_is_wrong() {
    let plain = ["ARC301", "ARC321"];
    each_injury(&[wrong_values], &mut |sound, hurt| {
        let told = between_objects(hurt);
        for one in sound.iter().filter(|one| plain.contains(&&*one.0)) {
            let still_there = hurt.lines().any(|line| line.trim_end_matches(',') == one.2);
            assert!(!still_there || told.contains(one), "{one:?} is not told about {hurt}");
        }
    });
}

#[test]
fn salvage_adds_diagnostics_and_changes_nothing_else() {
    let mut engine = super::Engine::default();
    let mut tree = super::Tree::new([("house.yaml", house())]);
    engine.apply(&tree);
    each_injury(&[wrong_values, wrong_fields], &mut |_, hurt| {
        tree.write("new.yaml", hurt);
        let bare = tree.without_salvage();
        let in_force = engine.in_force.clone();
        let with = engine.apply(&tree);
        engine.in_force = in_force.clone();
        let without = engine.apply(&bare);
        engine.in_force = in_force;
        assert_eq!(with.changes, without.changes, "{hurt}");
        assert_eq!(with.world.objects, without.world.objects, "{hurt}");
        assert_eq!(with.world.broken, without.world.broken, "{hurt}");
        let told: BTreeSet<_> = with.world.diagnostics.iter().collect();
        assert_eq!(told.len(), with.world.diagnostics.len(), "nothing is told twice: {hurt}");
        assert!(without.world.diagnostics.iter().all(|one| told.contains(one)), "nothing is kept back: {hurt}");
    });
}

proptest! {
    #[test]
    fn whatever_a_document_became_every_problem_points_into_it(
        index in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        cut in 0_usize..30,
        put in prop::sample::select(&["", "{", "}", "[", "]", ":", ",", "\"", "zz", "5", "&a ", "*a", "!t ", "\n", "- ", "null"][..]),
    ) {
        let all = dangling();
        let (kind, spec) = &all[index.index(all.len())];
        let mut text = written(*kind, spec);
        let at = at.index(text.len());
        text.replace_range(at..(at + cut).min(text.len()), put);
        let lines: Vec<&str> = text.split('\n').collect();
        for one in told(&text) {
            let line = lines.get(one.span.line as usize - 1);
            prop_assert!(line.is_some_and(|line| one.span.column as usize <= line.chars().count() + 1), "{one:?}");
        }
    }
}
