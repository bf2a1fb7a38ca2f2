//! What was found becomes manifests that are valid, whatever servers call their models.

use std::collections::BTreeMap;

use super::*;
use crate::act::discover::{Programs, Recognized};
use crate::act::telemetry::card::Figures;
use crate::decide::view::{ModelState, RuntimeView};
use crate::declare::manifest::parse;
use crate::declare::world;

fn place(host: &str, port: u16) -> Place {
    Place { host: host.to_owned(), port, is_tls: false, is_exact: true }
}

fn found(adapter: AdapterKind, models: &[(&str, Option<f64>)]) -> Found {
    let model = |(name, vram_gb): &(&str, Option<f64>)| ModelView {
        name: (*name).to_owned(),
        state: ModelState::Loaded,
        vram_gb: *vram_gb,
        context_tokens: Some(4096),
        expires_at: None,
    };
    let view = RuntimeView {
        version: Some("v1\nx".into()),
        models: models.iter().map(model).collect(),
        ..RuntimeView::default()
    };
    let recognized = Recognized { adapter, server: None, because: "a sign".into(), needs_key: false, version: None };
    Found { recognized, key_file: None, view: Ok(view) }
}

fn looked(place: Place, found: Found) -> Looked {
    Looked { place, seen: Seen::Runtime(Box::new(found)) }
}

fn finds(looked: Vec<Looked>) -> Finds {
    Finds { looked, programs: Programs::default(), cards: Some(Ok(Vec::new())), declared_host: None }
}

fn card() -> Card {
    let figures = Figures { total_bytes: 24 << 30, ..Figures::default() };
    Card { index: 0, uuid: None, name: Some("A \"card\"".into()), figures: Ok(figures) }
}

/// The problems that `arcology validate` would tell.
fn problems(text: &str) -> Vec<String> {
    let path: std::sync::Arc<str> = "manifests/found.yaml".into();
    let file = std::sync::Arc::new(parse::file(&path, text.as_bytes()));
    world::check(&BTreeMap::from([(path, file)]), &|_| false).iter().map(|found| format!("{found:?}")).collect()
}

#[test]
fn manifests_are_valid_and_say_what_could_not_be_told() {
    let mut all = finds(vec![
        looked(
            place("127.0.0.1", 11434),
            found(AdapterKind::Ollama, &[("qwen:7b", Some(5.25)), ("nomic-embed-text:latest", None)]),
        ),
        looked(place("attic", 8080), found(AdapterKind::LlamaSwap, &[("qwen:7b", None)])),
    ]);
    all.cards = Some(Ok(vec![card()]));
    let text = render(&all);
    assert_eq!(problems(&text), [""; 0], "{text}");
    insta::assert_snapshot!(text, @r#"
    apiVersion: arcology/v1alpha1
    kind: Host
    metadata:
      name: this-machine
    spec:
      address: 127.0.0.1
      local: true
      gpus:
        - {id: gpu0, index: 0, vramGb: 24.0, label: "A \"card\""}
      reserve: {vramGb: 1, diskGb: 5} # what always stays free
    ---
    apiVersion: arcology/v1alpha1
    kind: Host
    metadata:
      name: attic
    spec:
      address: "attic"
      # its memory, disk and cards are not looked at from here; declare its cards by hand:
      # gpus: [{id: gpu0, index: 0, vramGb: 24}]
    ---
    apiVersion: arcology/v1alpha1
    kind: Runtime
    metadata:
      name: ollama
    spec:
      # recognized: a sign
      # version: v1 x
      host: this-machine
      gpu: gpu0 # the only card, and a model was seen in its memory
      adapter: ollama
      endpoint: http://127.0.0.1:11434
      capabilities: [text.embed, text.generate, text.summarize]
    ---
    apiVersion: arcology/v1alpha1
    kind: Model
    metadata:
      name: qwen-7b
    spec:
      type: llm # a guess from its name
      servedBy:
        - {runtime: ollama, as: "qwen:7b"}
      capabilities: [text.generate, text.summarize]
      contextTokens: 4096
      vramGb: 5.2 # as the runtime told while it was loaded
    ---
    apiVersion: arcology/v1alpha1
    kind: Model
    metadata:
      name: nomic-embed-text
    spec:
      type: embedding # a guess from its name
      servedBy:
        - {runtime: ollama, as: "nomic-embed-text:latest"}
      capabilities: [text.embed]
      contextTokens: 4096
      # vramGb: the runtime does not tell it now; it is measured once it is loaded
    ---
    apiVersion: arcology/v1alpha1
    kind: Runtime
    metadata:
      name: swap
    spec:
      # recognized: a sign
      # version: v1 x
      host: attic
      # gpu: gpu0 # which card it uses could not be told; without it, it takes no lock
      adapter: llama-swap
      endpoint: http://attic:8080
      capabilities: [text.generate, text.summarize]
    ---
    apiVersion: arcology/v1alpha1
    kind: Model
    metadata:
      name: qwen-7b-swap
    spec:
      type: llm # a guess from its name
      servedBy:
        - {runtime: swap, as: "qwen:7b"}
      capabilities: [text.generate, text.summarize]
      contextTokens: 4096
      # vramGb: the runtime does not tell it now; it is measured once it is loaded
    "#);
}

#[test]
fn whatever_a_server_calls_its_models_the_manifests_stay_valid() {
    let names = [
        "a\"b",
        "a: b",
        "- x",
        "#",
        "{{x}}",
        "null",
        "1e3",
        "\u{202e}evil",
        "\u{fffe}",
        "org/a",
        "x/a",
        "模型",
        "a\\",
        "'",
        "}, as: y",
        "\u{2028}kind: Host",
        "~",
        "true",
    ];
    let models: Vec<(&str, Option<f64>)> = names.iter().map(|name| (*name, Some(f64::NAN))).collect();
    let mut hostile = found(AdapterKind::LlamaSwap, &models);
    hostile.recognized.because = "x\n---\nkind: Host".into();
    let text =
        render(&finds(vec![looked(place("10", 1), hostile), looked(place("::1", 2), found(AdapterKind::Openai, &[]))]));
    assert_eq!(problems(&text), [""; 0], "{text}");
    assert_eq!(text.matches("kind: Model").count(), names.len());
}

#[test]
fn a_host_that_is_declared_already_is_only_referred_to() {
    let mut declared = finds(vec![looked(place("localhost", 1), found(AdapterKind::Vllm, &[("a", None)]))]);
    declared.declared_host = Some(crate::core::Name::new("desk").unwrap());
    let text = render(&declared);
    assert!(!text.contains("kind: Host") && text.contains("  host: desk\n"), "{text}");
}

#[test]
fn a_key_that_is_wanted_is_asked_for_by_the_name_of_a_file() {
    let mut guarded = found(AdapterKind::LlamaSwap, &[]);
    guarded.recognized.needs_key = true;
    guarded.view = Err("it tells its models only to who has a key".into());
    let text = render(&finds(vec![looked(place("127.0.0.1", 8080), guarded)]));
    assert_eq!(problems(&text), [""; 0], "{text}");
    assert!(text.contains("# auth: {tokenFrom: {file: swap}}"), "{text}");
}

#[test]
fn programs_become_valid_runtimes_and_are_named_by_path_where_they_are_not_found_by_name() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    for name in ["espeak-ng", "pdftoppm", "tesseract", "piper"] {
        std::fs::write(folder.path().join(name), "").unwrap();
        std::fs::set_permissions(folder.path().join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let all = Finds { programs: Programs::on(folder.path().as_os_str()), ..finds(Vec::new()) };
    let text = render(&all);
    assert_eq!(problems(&text), [""; 0], "{text}");
    assert!(text.contains("name: reader\n") && text.contains("name: voice\n"), "{text}");
    let espeak = folder.path().join("espeak-ng");
    assert!(text.contains(&format!("run: [\"{}\", -v", espeak.display())), "{text}");
    assert!(text.contains("# piper is installed"), "{text}");
}

#[test]
fn nothing_found_is_nothing_printed() {
    let nobody = Looked { place: place("127.0.0.1", 1), seen: Seen::Nothing };
    assert_eq!(render(&finds(vec![nobody])), "");
}
