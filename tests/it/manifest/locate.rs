//! Places of fields, and problems that later checks find there.

use arcology::declare::manifest::diagnostic::Severity;
use arcology::declare::manifest::locate::span_of;
use arcology::declare::manifest::parse;
use arcology::declare::manifest::path::Path;

const FILE: &str = r#"apiVersion: arcology/v1alpha1
kind: Host
metadata: {name: desk}
spec: {address: 127.0.0.1}
---
# the loadout of every day

apiVersion: arcology/v1alpha1
kind: Loadout
metadata:
  name: desk
  annotations:
    arcology/prune: disabled
    example.com/a.b: "é"
spec:
  host: desk
  models:
    - {model: qwen, state: loaded}
    - model: minilm
      state: onDemand
"#;

#[test]
fn a_field_is_found_where_it_stands_in_the_file() {
    let parsed = parse::file("a.yaml", FILE.as_bytes());
    let loadout = &parsed.documents[1];
    assert_eq!(loadout.place.line, 8);
    let annotations = Path::new("metadata").key("annotations");
    let cases = [
        ("spec.models[1].model".to_owned(), (19, 14), "minilm"),
        ("spec.models[0].state".to_owned(), (18, 28), "loaded"),
        ("metadata.annotations.arcology/prune".to_owned(), (13, 21), "disabled"),
        (annotations.key("example.com/a.b").to_string(), (14, 22), "\"é\""),
        ("metadata.name".to_owned(), (11, 9), "desk"),
        // Of what is no single value, the key; of an item, its first key.
        ("spec.models".to_owned(), (17, 3), "models"),
        ("spec.models[1]".to_owned(), (19, 7), "model"),
        // Of what is not there, the nearest parent.
        ("spec.copilot".to_owned(), (15, 1), "spec"),
        ("spec.models[7].model".to_owned(), (17, 3), "models"),
        ("nothing".to_owned(), (8, 1), "apiVersion"),
        (String::new(), (8, 1), "apiVersion"),
    ];
    for (path, place, text) in cases {
        let span = span_of(loadout, &path);
        assert_eq!((span.line, span.column), place, "{path}");
        assert_eq!(&loadout.text[span.start..span.end], text, "{path}");
    }
}

#[test]
fn a_problem_carries_its_line_its_object_and_its_place() {
    let parsed = parse::file("loadouts/a.yaml", FILE.as_bytes());
    let problem = parsed.documents[1].problem(
        "ARC301",
        Severity::Error,
        "spec.models[1].model",
        "there is no model `minilm`",
        Some("unknown model".into()),
        Some("did you mean `minilm-l6`?".into()),
    );
    insta::assert_json_snapshot!(problem, @r#"
    {
      "code": "ARC301",
      "severity": "error",
      "message": "there is no model `minilm`",
      "path": "loadouts/a.yaml",
      "span": {
        "line": 19,
        "column": 14,
        "start": 242,
        "end": 248
      },
      "source_line": "    - model: minilm",
      "label": "unknown model",
      "help": "did you mean `minilm-l6`?",
      "object": "Loadout/desk"
    }
    "#);
}

#[test]
fn a_line_that_is_too_long_is_cut_around_the_caret() {
    let gpus = (0..40).map(|n| format!("{{id: g{n}, vramGb: 1}}, ")).collect::<String>();
    let text = format!(
        "apiVersion: arcology/v1alpha1\nkind: Host\nmetadata: {{name: a}}\nspec: {{address: x, gpus: [{gpus}{{id: last, vramgb: 1}}]}}\n"
    );
    let parsed = parse::file("a.yaml", text.as_bytes());
    let diagnostic = &parsed.broken[0].diagnostics[0];
    let (before, width) = diagnostic.caret();
    let shown: String = diagnostic.source_line.chars().skip(before).take(width).collect();
    assert_eq!(shown, "vramgb");
    assert!(diagnostic.span.column > 800 && diagnostic.source_line.chars().count() <= 240);
    assert!(diagnostic.source_line.starts_with('…') && !diagnostic.source_line.ends_with('…'));
}

#[test]
fn crlf_files_and_byte_order_marks_shift_nothing() {
    let text = format!("\u{feff}{}", FILE.replace('\n', "\r\n"));
    let parsed = parse::file("a.yaml", text.as_bytes());
    let span = span_of(&parsed.documents[1], "spec.models[1].model");
    assert_eq!((span.line, span.column), (19, 14));
    let problem = parsed.documents[1].problem("ARC301", Severity::Warning, "spec.models[1].model", "x", None, None);
    assert_eq!(problem.source_line, "    - model: minilm");
}
