//! The problems that the tests of all formats render: a reference, an unknown field beside wide characters, and a
//! warning whose file and words try to break out of every format.

use crate::core::{Kind, Name, ObjectKey};
use crate::declare::manifest::diagnostic::SourceSpan;
use crate::declare::manifest::{Diagnostic, Severity};

pub fn all() -> Vec<Diagnostic> {
    vec![
        Diagnostic {
            code: "ARC301".into(),
            severity: Severity::Error,
            message: "no Model is called `qwen2.5-7b-q5`".into(),
            path: "manifests/desk.yaml".into(),
            span: SourceSpan { line: 9, column: 14, start: 120, end: 133 },
            source_line: "    - model: qwen2.5-7b-q5".into(),
            label: Some("not declared in this revision".into()),
            help: Some("did you mean `qwen2.5-7b-q4`?".into()),
            object: Some(ObjectKey::new(Kind::Loadout, Name::new("desk").unwrap())),
        },
        Diagnostic {
            code: "ARC201".into(),
            severity: Severity::Error,
            message: "unknown field `modle`".into(),
            path: "manifests/desk.yaml".into(),
            span: SourceSpan { line: 10, column: 5, start: 141, end: 146 },
            source_line: "漢字: modle: x".into(),
            label: None,
            help: Some("did you mean `model`?".into()),
            object: None,
        },
        Diagnostic {
            code: "ARC210".into(),
            severity: Severity::Warning,
            message: "50% of it, <b>is</b>\u{1b}[31m red, \n::error::injected".into(),
            path: "policies/a b.yaml".into(),
            span: SourceSpan { line: 3, column: 3, start: 20, end: 20 },
            source_line: String::new(),
            label: None,
            help: None,
            object: None,
        },
    ]
}
