//! Broken manifests with what is said about them beside them: `NAME.yaml` and `NAME.expected`.
//!
//! Run with `INSTA_UPDATE=always` to write the expectations anew, and read the difference before you commit it.

use std::fmt::Write as _;
use std::path::Path;

use arcology::declare::manifest::diagnostic::{Diagnostic, Severity};
use arcology::declare::manifest::parse;

/// The way a person sees it, without colours.
fn render(diagnostic: &Diagnostic) -> String {
    let mut text = String::new();
    let word = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let span = diagnostic.span;
    let _ = writeln!(text, "{word}[{}] {}", diagnostic.code, diagnostic.message);
    let object = diagnostic.object.as_ref().map_or_else(|| "nobody".to_owned(), ToString::to_string);
    let _ = writeln!(text, "  {}:{}:{} {object}", diagnostic.path, span.line, span.column);
    let (before, width) = diagnostic.caret();
    let _ = writeln!(text, "  | {}", diagnostic.source_line);
    let label = diagnostic.label.as_deref().unwrap_or_default();
    let _ = writeln!(text, "  | {}{} {label}", " ".repeat(before), "^".repeat(width));
    if let Some(help) = &diagnostic.help {
        let _ = writeln!(text, "  = {help}");
    }
    text
}

fn report(path: &Path) -> String {
    let name = path.file_name().unwrap().to_str().unwrap();
    let parsed = parse::file(name, &std::fs::read(path).unwrap());
    let problems = parsed.broken.iter().flat_map(|broken| &broken.diagnostics).chain(&parsed.warnings);
    let mut text: String = problems.map(|diagnostic| render(diagnostic) + "\n").collect();
    let good: Vec<_> = parsed.documents.iter().map(|document| document.key.to_string()).collect();
    let _ = writeln!(text, "good: {good:?}");
    text
}

#[test]
fn broken_manifests_are_answered_as_the_files_beside_them_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/manifest/invalid");
    let mut names: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    names.sort();
    assert!(names.len() >= 7, "{names:?}");
    for path in names {
        let expected_path = path.with_extension("expected");
        let found = report(&path);
        if std::env::var("INSTA_UPDATE").is_ok_and(|value| value == "always") {
            std::fs::write(&expected_path, &found).unwrap();
        }
        let expected = std::fs::read_to_string(&expected_path).unwrap_or_default();
        assert_eq!(found, expected, "{} differs from {}", path.display(), expected_path.display());
    }
}
