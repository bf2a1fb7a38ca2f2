//! What is true of all manifests: nothing panics, and only what matters changes the digest.

use std::path::Path;

use proptest::prelude::*;
use serde_json::Value;

use arcology::core::rng::Rng;
use arcology::declare::manifest::document::Document;
use arcology::declare::manifest::{exercise, parse};

/// Pieces of manifests, whole and broken, to build texts of.
const PIECES: &[&str] = &[
    "apiVersion: arcology/v1alpha1\n",
    "kind: Host\n",
    "kind: Policy\n",
    "kind: Task\n",
    "metadata: {name: a}\n",
    "metadata:\n  name: b\n  annotations: {arcology/prune: disabled}\n",
    "spec:\n",
    "spec: {}\n",
    "  address: x\n",
    "  capability: text.stats\n",
    "  params: {a: [1, 2.5, true, null, \"x\"]}\n",
    "---\n",
    "...\n",
    "\n",
    "# note\n",
    "  - a\n",
    "- b\n",
    "{",
    "}",
    "[",
    "]",
    ": ",
    ", ",
    "\"",
    "'",
    "|\n",
    "? ",
    "&a ",
    "*a ",
    "!t ",
    "<<: ",
    "%YAML 1.2\n",
    "\t",
    "\r",
    "\u{feff}",
    "\u{85}",
    "\u{202e}",
    "é",
    "\0",
    ".inf",
    "0x1F",
    "1_0",
    "{linux: }",
    "true",
    "~",
    "! ",
    "!!null ",
    "'5'",
    "sk-0123456789abcdefghijkl",
];

/// The good files of the corpus.
fn good_files() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/manifest");
    let names = [
        "host",
        "runtime",
        "model",
        "loadout",
        "policy",
        "blueprint-and-run",
        "task",
        "scalars",
        "golden-set",
        "experiment",
    ];
    names.iter().map(|name| std::fs::read(folder.join(format!("{name}.yaml"))).unwrap()).collect()
}

fn good_documents() -> Vec<std::sync::Arc<Document>> {
    good_files().iter().flat_map(|bytes| parse::file("good.yaml", bytes).documents).collect()
}

/// JSON with the keys of every mapping in an order that the generator chooses.
fn shuffled(value: &Value, rng: &mut Rng) -> String {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().map(|(key, inner)| (rng.next_u64(), key, inner)).collect();
            fields.sort_by_key(|(order, ..)| *order);
            let fields: Vec<_> = fields
                .iter()
                .map(|(_, key, inner)| format!("{}: {}", Value::from(key.as_str()), shuffled(inner, rng)))
                .collect();
            format!("{{{}}}", fields.join(", "))
        }
        Value::Array(items) => {
            format!("[{}]", items.iter().map(|item| shuffled(item, rng)).collect::<Vec<_>>().join(", "))
        }
        // JSON takes a delete character as it is, YAML wants it escaped.
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            value.to_string().replace('\u{7f}', "\\u007f")
        }
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        exercise::manifest(&bytes);
    }

    #[test]
    fn texts_of_pieces_of_manifests_are_answered(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..40)) {
        exercise::manifest(pieces.concat().as_bytes());
    }

    #[test]
    fn a_good_file_with_a_piece_cut_out_or_put_in_is_answered(
        file in prop::sample::select(good_files()),
        at in any::<prop::sample::Index>(),
        cut in 0_usize..20,
        put in prop::sample::select(PIECES),
    ) {
        let at = at.index(file.len());
        let end = (at + cut).min(file.len());
        let mut changed = file;
        changed.splice(at..end, put.bytes());
        exercise::manifest(&changed);
    }

    #[test]
    fn the_order_of_keys_changes_nothing(index in any::<prop::sample::Index>(), seed in any::<u64>()) {
        let documents = good_documents();
        let document = &documents[index.index(documents.len())];
        let text = shuffled(&document.to_manifest(), &mut Rng::new(seed));
        let again = parse::document("shuffled.json", 1, &text);
        prop_assert_eq!(again.map(|again| again.digest), Ok(document.digest), "{}", text);
    }
}

#[test]
fn labels_comments_and_layout_do_not_change_the_digest_and_every_value_does() {
    let text = "apiVersion: arcology/v1alpha1\nkind: Host\nmetadata: {name: a}\nspec:\n  address: x\n";
    let digest = |text: &str| parse::document("a.yaml", 1, text).unwrap().digest;
    let same = [
        text.replace("{name: a}", "{name: a, labels: {project: acme}}"),
        text.replace("{name: a}", "{name: a, annotations: {example.com/note: seen}}"),
        text.replace("  address: x", "  # why\n  address:   \"x\"   # here"),
        text.replace("  address: x", "  {address: x, local: false, gpus: [], reserve: {vramGb: 0}}"),
    ];
    for other in same {
        assert_eq!(digest(&other), digest(text), "{other}");
    }
    let different = [
        text.replace("address: x", "address: y"),
        text.replace("address: x", "address: x\n  local: true"),
        text.replace("{name: a}", "{name: a, annotations: {arcology/prune: disabled}}"),
    ];
    for other in different {
        assert_ne!(digest(&other), digest(text), "{other}");
    }
}
