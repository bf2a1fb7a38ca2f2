//! docs/examples/documents.yaml on the real binary with the real programs, where they are installed: a scanned page becomes
//! text, the text a summary, the summary speech, each made from the one before; and a clip has the GPU for itself.

use std::path::Path;

use serde_json::{Value, json};

use super::harness::{Daemon, Place, eventually};
use crate::runtime::exec::has_sandbox;
use crate::runtime::real;

const EXAMPLE: &str = "docs/examples/documents.yaml";
/// One page as a picture, with no text in it: `Report of the harbour office`, eleven lines, a little askew and stained.
const SCAN: &[u8] = include_bytes!("../fixtures/scan.pdf");
/// Of full scale: speech is about 0.1, silence 0.
const LOUD: f64 = 0.01;

/// The example as it stands, without a sandbox where there can be none.
fn place() -> Place {
    let place = Place::empty();
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(EXAMPLE)).unwrap();
    let sandboxed = tokio::runtime::Runtime::new().unwrap().block_on(has_sandbox());
    let text = if sandboxed { text } else { text.replace("sandbox: required", "sandbox: off") };
    place.write("manifests/documents.yaml", &text);
    std::fs::create_dir(place.repo().join("samples")).unwrap();
    std::fs::write(place.repo().join("samples/scan.pdf"), SCAN).unwrap();
    place.commit("Read the scan aloud");
    place
}

/// The committed task of this name, done.
fn done(daemon: &Daemon, name: &str) -> Value {
    let object = format!("Task/{name}");
    let id = eventually(&format!("{name} is accepted"), || {
        let audit = daemon.audit();
        let row = audit.iter().find(|row| row["verb"] == "enqueue" && row["object"] == object.as_str());
        row.and_then(|row| row["after"].as_str().map(str::to_owned)).ok_or_else(|| format!("{audit:#?}"))
    });
    ended(daemon, &id, "done")
}

/// The task with this id, which ends in `state` and in no other.
fn ended(daemon: &Daemon, id: &str, state: &str) -> Value {
    let over = |task: &Value| ["done", "error", "cancelled"].iter().any(|end| task["state"] == *end);
    let task = daemon.until_task(id, "is over", over);
    assert_eq!(task["state"], state, "{task:#}\n{}", daemon.log());
    task
}

/// The bytes of a task's only artifact, and its lineage.
fn artifact(place: &Place, task: &Value) -> (Vec<u8>, Value) {
    let [artifact] = task["artifacts"].as_array().unwrap().as_slice() else { panic!("{task:#}") };
    let path = place.state().join("vault").join(artifact["path"].as_str().unwrap());
    let lineage = std::fs::read(format!("{}.lineage.json", path.display())).unwrap();
    (std::fs::read(&path).unwrap(), serde_json::from_slice(&lineage).unwrap())
}

fn digest(bytes: &[u8]) -> String {
    arcology::core::Digest::of(bytes).to_string()
}

#[test]
fn the_example_is_valid_as_it_stands_and_the_guide_shows_nothing_else() {
    let place = place();
    assert!(place.says(&["validate"]).contains("no problems"));
    let read = |path: &str| std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
    let (example, guide, page) = (read(EXAMPLE), read("docs/guides/documents.md"), read("docs/adapters/exec.md"));
    let blocks = |text: &str| -> Vec<String> {
        let starts = text.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap().to_owned());
        starts.filter(|block| block.contains("apiVersion:")).collect()
    };
    assert!(blocks(&guide).len() == 1 && blocks(&page).len() == 3);
    for block in blocks(&guide) {
        assert!(example.contains(block.trim()), "not in {EXAMPLE}:\n{block}");
    }
    for block in blocks(&page) {
        // The example has a GPU for its clips.
        assert!(example.replace("  gpu: gpu0\n", "").contains(block.trim()), "not in {EXAMPLE}:\n{block}");
    }
}

#[test]
fn a_scanned_page_becomes_a_spoken_summary_and_each_artifact_names_what_it_was_made_from() {
    let programs = [("pdftoppm", "-v"), ("tesseract", "--version"), ("espeak-ng", "--version")];
    if !real::installed(&programs) {
        return;
    }
    let place = place();
    let daemon = place.up();
    let (text, of_text) = artifact(&place, &done(&daemon, "read-scan"));
    let (summary, of_summary) = artifact(&place, &done(&daemon, "summarize-scan"));
    let (speech, of_speech) = artifact(&place, &done(&daemon, "speak-summary"));

    let words = String::from_utf8(text.clone()).unwrap();
    for line in ["The storm damaged the", "northern harbour and two of its cranes", "office every morning"] {
        assert!(words.contains(line), "{words}");
    }
    // An extractive summary says nothing that is not on the page.
    let flat = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let short = String::from_utf8(summary.clone()).unwrap();
    assert!((5..=40).contains(&short.split_whitespace().count()), "{short}");
    let sentences = flat(&short).replace("Report of the harbour office ", "");
    assert!(sentences.split_inclusive(". ").all(|one| flat(&words).contains(one.trim())), "{short}\n---\n{words}");
    let (loud, seconds) = real::loudness(&speech);
    assert!(loud > LOUD && seconds > 2.0, "{loud} of full scale, {seconds} s");

    for (lineage, task, made_of) in [
        (&of_text, "Task/read-scan", digest(SCAN)),
        (&of_summary, "Task/summarize-scan", digest(&text)),
        (&of_speech, "Task/speak-summary", digest(&summary)),
    ] {
        assert_eq!((&lineage["object"], &lineage["inputs"][0]["sha256"]), (&json!(task), &json!(made_of)));
        assert_eq!(lineage["inputs"].as_array().unwrap().len(), 1, "{lineage:#}");
    }
    // The page follows the link the other way: what was made from the text is the summary.
    let shown = daemon.json(&format!("/api/v1/artifacts/{}", digest(&text)));
    assert!(shown.to_string().contains(&digest(&summary)), "{shown:#}");
    daemon.stop();
}

#[test]
fn a_clip_is_made_with_the_gpu_to_itself() {
    if !real::installed(&[("ffmpeg", "-version")]) {
        return;
    }
    let place = place();
    let daemon = place.up();
    let task = done(&daemon, "clip");
    let (clip, lineage) = artifact(&place, &task);
    assert_eq!((&clip[4..8], &lineage["inputs"][0]["name"]), (&b"ftyp"[..], &json!("text")));
    assert!(clip.len() > 5_000, "{} bytes", clip.len());
    let id = task["id"].as_str().unwrap();
    let locks = daemon.json("/api/v1/locks?gpu=gpu0&type=exclusive");
    assert!(locks["items"].as_array().unwrap().iter().any(|lock| lock["owner_task_id"] == id), "{locks:#}");
    daemon.stop();
}

#[test]
fn a_submitted_task_without_inputs_works_on_what_those_before_it_made_and_never_on_nothing() {
    let place = Place::of_this_project();
    let daemon = place.up();
    let submit = |task: Value| daemon.submit(&task).remove(0);
    let summary =
        |text: &str| json!({"capability": "text.summarize", "inputs": {"text": text}, "params": {"max_words": 9}});
    let (storm, ferry) = (submit(summary("The storm passed.")), submit(summary("The ferry sails.")));
    let both = submit(json!({"capability": "text.stats", "dependencies": [ferry, storm]}));
    let (counted, lineage) = artifact(&place, &ended(&daemon, &both, "done"));
    let counted: Value = serde_json::from_slice(&counted).unwrap();
    assert_eq!(counted["words"], 6, "{counted:#}");
    let made_by = [&ferry, &storm].map(|id| digest(&artifact(&place, &ended(&daemon, id, "done")).0));
    assert_eq!([0, 1].map(|n| lineage["inputs"][n]["sha256"].as_str().unwrap().to_owned()), made_by);

    // What it says itself is what it works on.
    let own = submit(json!({"capability": "text.stats", "inputs": {"text": "One."}, "dependencies": [storm]}));
    let counted: Value = serde_json::from_slice(&artifact(&place, &ended(&daemon, &own, "done")).0).unwrap();
    assert_eq!(counted["words"], 1, "{counted:#}");

    let fails = submit(json!({"capability": "doc.extract"}));
    let after = submit(json!({"capability": "text.stats", "dependencies": [fails], "onFailure": "run"}));
    let error = ended(&daemon, &after, "error")["error"].clone();
    assert!(error["message"].as_str().unwrap().contains(&format!("nothing that was made by {fails}")), "{error:#}");
}
