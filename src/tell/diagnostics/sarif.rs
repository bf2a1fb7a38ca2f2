//! For code scanning: SARIF 2.1.0 (OASIS, "Static Analysis Results Interchange Format Version 2.1.0").

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::core::Digest;
use crate::declare::manifest::Diagnostic;
use crate::declare::manifest::code::Code;

use super::{Report, severity_word};

const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// The report as indented SARIF with a line end. `find` looks a code's page up.
#[must_use]
pub fn render(report: &Report<'_>, find: impl Fn(&str) -> Option<&'static Code>) -> String {
    let codes: Vec<&str> =
        report.diagnostics.iter().map(|diagnostic| &*diagnostic.code).collect::<BTreeSet<_>>().into_iter().collect();
    let rules: Vec<Value> = codes.iter().map(|code| rule(code, find(code))).collect();
    let results: Vec<Value> = report.diagnostics.iter().map(|diagnostic| result(diagnostic, &codes)).collect();
    let log = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {"name": "arcology", "semanticVersion": env!("CARGO_PKG_VERSION"), "rules": rules}},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    format!("{log:#}\n")
}

fn rule(code: &str, page: Option<&'static Code>) -> Value {
    let mut rule = json!({"id": code});
    if let Some(page) = page {
        rule["shortDescription"] = json!({"text": page.title});
        rule["help"] = json!({"text": page.page, "markdown": page.page});
    }
    rule
}

fn result(diagnostic: &Diagnostic, codes: &[&str]) -> Value {
    let mut message = diagnostic.message.clone();
    for (before, more) in [(": ", &diagnostic.label), ("\nhelp: ", &diagnostic.help)] {
        if let Some(more) = more {
            message.push_str(before);
            message.push_str(more);
        }
    }
    let mut region = json!({"startLine": diagnostic.span.line.max(1), "startColumn": diagnostic.span.column.max(1)});
    if let Some(end) = super::end_column(diagnostic) {
        region["endColumn"] = json!(end);
    }
    if !diagnostic.source_line.is_empty() {
        region["snippet"] = json!({"text": diagnostic.source_line});
    }
    json!({
        "ruleId": &*diagnostic.code,
        "ruleIndex": codes.binary_search(&&*diagnostic.code).expect("every code of the report is a rule"),
        "level": severity_word(diagnostic.severity),
        "message": {"text": message},
        "locations": [{"physicalLocation": {
            "artifactLocation": {"uri": uri(&diagnostic.path), "uriBaseId": "%SRCROOT%"},
            "region": region,
        }}],
        "partialFingerprints": {"arcology/v1": fingerprint(diagnostic)},
    })
}

/// The same problem keeps its fingerprint when lines above it come and go.
fn fingerprint(diagnostic: &Diagnostic) -> String {
    let Diagnostic { code, path, message, source_line, .. } = diagnostic;
    Digest::of(format!("{code}\0{path}\0{message}\0{}", source_line.trim()).as_bytes()).hex()
}

/// A path as a relative URI reference (RFC 3986): everything but unreserved characters and `/` is escaped.
fn uri(path: &str) -> String {
    path.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tell::diagnostics::samples;

    const PAGE: Code = Code { code: "ARC201", title: "unknown field", page: "A field that the kind does not have." };

    fn page(code: &str) -> Option<&'static Code> {
        (code == PAGE.code).then_some(&PAGE)
    }

    #[test]
    fn code_scanning_gets_rules_results_and_regions() {
        insta::assert_snapshot!(render(&Report::new(&samples::all(), 14), page));
    }

    #[test]
    fn every_result_points_at_its_rule() {
        let found = samples::all();
        let log: Value = serde_json::from_str(&render(&Report::new(&found, 14), page)).unwrap();
        let run = &log["runs"][0];
        for result in run["results"].as_array().unwrap() {
            let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
            assert_eq!(run["tool"]["driver"]["rules"][index]["id"], result["ruleId"]);
        }
    }

    #[test]
    fn paths_become_uris_that_cannot_leave_the_repository() {
        assert_eq!(uri("policies/a b.yaml"), "policies/a%20b.yaml");
        assert_eq!(uri("file:é%"), "file%3A%C3%A9%25");
    }
}
