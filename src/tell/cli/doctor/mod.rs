//! `arcology doctor`: findings as lines for people and as JSON. Pure; looking and judging is `act::doctor`'s.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::act::doctor::{Finding, Status, worst};
use crate::tell::cli::ui::{Paint, Tone};
use crate::tell::terminal::{clean_line, wrap};

/// Cells before what was seen: the status and the name of the check.
const INDENT: usize = 27;
/// Narrower than this the words stand in no columns that help.
const WORDS_CELLS_MIN: usize = 30;

/// A line a finding, with how to mend it below, and a last line that counts.
#[must_use]
pub fn text(findings: &[Finding], width: Option<usize>, paint: Paint) -> String {
    let cells = width.unwrap_or(usize::MAX).saturating_sub(INDENT).max(WORDS_CELLS_MIN);
    let mut text = String::new();
    for finding in findings {
        let status = format!("{:<7}", finding.status.as_str());
        let check = format!("{:<18}", clean_line(&finding.check));
        let seen = wrap(&clean_line(&finding.seen), cells);
        let mut lines = seen.iter();
        let first = lines.next().map_or("", String::as_str);
        let _ = writeln!(text, "{} {check} {first}", paint.tone(&status, tone(finding.status)));
        for line in lines {
            let _ = writeln!(text, "{:INDENT$}{line}", "");
        }
        let mend = finding.mend.iter().flat_map(|mend| wrap(&format!("mend: {}", clean_line(mend)), cells));
        for line in mend {
            let _ = writeln!(text, "{:INDENT$}{line}", "");
        }
    }
    let _ = writeln!(text, "\n{}", counted(findings));
    text
}

fn tone(status: Status) -> Tone {
    match status {
        Status::Ok => Tone::Good,
        Status::Skipped => Tone::Faint,
        Status::Warn => Tone::Warning,
        Status::Fail => Tone::Bad,
    }
}

fn counted(findings: &[Finding]) -> String {
    let all = [Status::Fail, Status::Warn, Status::Ok, Status::Skipped];
    let count = |status| findings.iter().filter(|finding| finding.status == status).count();
    let parts: Vec<String> = all
        .into_iter()
        .filter(|status| count(*status) > 0)
        .map(|status| format!("{} {}", count(status), status.as_str()))
        .collect();
    parts.join(", ")
}

/// The same as JSON.
#[must_use]
pub fn json(findings: &[Finding]) -> Value {
    json!({"status": worst(findings).as_str(), "checks": findings})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings() -> Vec<Finding> {
        vec![
            Finding::ok("git", "git version 2.47.3"),
            Finding::skipped("daemon", "none runs here"),
            Finding::warn(
                "git identity",
                "user.email not set, so Git makes no commit",
                "git config --global user.email you@example.org",
            ),
            Finding::fail("runtime swap", "unreachable: it\u{1b}[2J\nsaid nothing", "start it"),
        ]
    }

    #[test]
    fn each_finding_says_what_was_seen_and_how_to_mend_it() {
        insta::assert_snapshot!(text(&findings(), None, Paint { on: false }), @r#"
        ok      git                git version 2.47.3
        skipped daemon             none runs here
        warn    git identity       user.email not set, so Git makes no commit
                                   mend: git config --global user.email you@example.org
        fail    runtime swap       unreachable: it�[2J said nothing
                                   mend: start it

        1 fail, 1 warn, 1 ok, 1 skipped
        "#);
    }

    #[test]
    fn narrow_terminals_get_shorter_lines() {
        let text = text(&findings(), Some(60), Paint { on: false });
        assert!(text.lines().all(|line| line.chars().count() <= 60), "{text}");
    }

    #[test]
    fn json_holds_the_worst_and_every_finding() {
        insta::assert_snapshot!(format!("{:#}", json(&findings()[1..3])), @r#"
        {
          "checks": [
            {
              "check": "daemon",
              "mend": null,
              "seen": "none runs here",
              "status": "skipped"
            },
            {
              "check": "git identity",
              "mend": "git config --global user.email you@example.org",
              "seen": "user.email not set, so Git makes no commit",
              "status": "warn"
            }
          ],
          "status": "warn"
        }
        "#);
    }
}
