//! The plan as a comment on a pull request: tables that GitHub, Forgejo and GitLab render.
//!
//! Names, reasons and values come from the pull request itself, so nothing in them may become markup, a link, a
//! mention or a table cell of its own.

use std::fmt::Write as _;

use super::changes::Kindred;
use super::report::{self, Report, Side};

/// The most rows of a table: forges cut or refuse long comments (GitHub: 65,536 characters).
const ROWS_MAX: usize = 100;

/// The report as Markdown.
#[must_use]
pub fn render(report: &Report) -> String {
    let mut text = format!("### Arcology plan: {}\n\n", report.summary());
    let _ = writeln!(
        text,
        "From {} to {}. The starting point is taken as fulfilled.",
        side(&report.base),
        side(&report.head)
    );
    intents(&mut text, report);
    changes(&mut text, report);
    let waiting = report.waiting.iter().map(|one| {
        vec![code(&one.object.to_string()), escape(&format!("{:?}", one.hold.reason)), escape(&one.hold.message)]
    });
    table(&mut text, "Waiting", &["Object", "Reason", "What for"], waiting);
    quarantined(&mut text, report);
    let held = report.held_prunes.iter().map(|one| vec![code(&one.object.to_string()), escape(&one.reason)]);
    table(&mut text, "Deletion held back", &["Object", "Why"], held);
    let kept = report.retained.iter().map(|one| vec![code(&one.object.to_string()), code(&one.by.to_string())]);
    table(&mut text, "Kept because something quarantined refers to it", &["Object", "Needed by"], kept);
    text
}

fn side(side: &Side) -> String {
    match &side.commit {
        Some(commit) => format!("`{}` ({})", commit.sha.short(), escape(&commit.subject)),
        None => code(&side.revision),
    }
}

fn intents(text: &mut String, report: &Report) {
    let rows = report.intents.iter().map(|intent| {
        let mut why = escape(&intent.reason);
        for (label, values) in [("evicts", &intent.cost.evicts), ("touches", &intent.cost.touches_tasks)] {
            if !values.is_empty() {
                let _ = write!(why, "; {label} {}", escape(&values.join(", ")));
            }
        }
        vec![
            code(&intent.object.to_string()),
            escape(intent.verb.as_str()),
            code(&report::target(intent)),
            why,
            escape(&report::vram(intent)),
            escape(&report::time(intent)),
        ]
    });
    table(text, "To do, in order", &["Object", "Action", "On", "Why", "VRAM", "Expected time"], rows);
}

fn changes(text: &mut String, report: &Report) {
    let rows = report.changes.iter().map(|change| {
        let word = match change.change {
            Kindred::Added => "added",
            Kindred::Changed => "changed",
            Kindred::Removed if change.leaves_things => "removed; what it made stays",
            Kindred::Removed => "removed",
        };
        let value = |value: &Option<String>| value.as_deref().map_or_else(|| "(none)".into(), code);
        let fields: Vec<String> = change
            .fields
            .iter()
            .map(|field| format!("{}: {} → {}", code(&field.field), value(&field.before), value(&field.after)))
            .collect();
        vec![code(&change.object.to_string()), word.to_owned(), fields.join("<br>"), code(&change.place)]
    });
    table(text, "Declared differently", &["Object", "Change", "Fields", "Where"], rows);
}

fn quarantined(text: &mut String, report: &Report) {
    let rows = report.quarantined.iter().map(|one| {
        let object = one.object.as_ref().map_or_else(|| "(unreadable)".to_owned(), |key| code(&key.to_string()));
        let fate = if one.last_good { "last good version stays in force" } else { "nothing of it is in force" };
        let problems: Vec<String> = one
            .diagnostics
            .iter()
            .map(|problem| {
                let place = format!("{}:{}:{}", problem.path, problem.span.line, problem.span.column);
                format!("{} {} {}", code(&place), escape(&problem.code), escape(&problem.message))
            })
            .collect();
        vec![object, fate.to_owned(), problems.join("<br>")]
    });
    table(text, "Quarantined", &["Object", "Meanwhile", "Problems"], rows);
}

pub(in crate::tell::cli) fn table(
    text: &mut String,
    title: &str,
    headings: &[&str],
    rows: impl ExactSizeIterator<Item = Vec<String>>,
) {
    let total = rows.len();
    if total == 0 {
        return;
    }
    let _ = write!(text, "\n#### {title}\n\n| {} |\n|{}\n", headings.join(" | "), " --- |".repeat(headings.len()));
    for row in rows.take(ROWS_MAX) {
        let _ = writeln!(text, "| {} |", row.join(" | "));
    }
    if total > ROWS_MAX {
        let _ = writeln!(text, "\nand {} more", total - ROWS_MAX);
    }
}

/// Text that stays text. Every ASCII punctuation character may be escaped with a backslash (CommonMark 0.31, 2.4);
/// what HTML or a forge's mentions could take up becomes an entity.
pub(in crate::tell::cli) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '@' => safe.push_str("@\u{200B}"), // forges look for mentions after entities are resolved
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '#' | '!' => {
                safe.push('\\');
                safe.push(c);
            }
            c if c.is_control() => safe.push(' '),
            c => safe.push(c),
        }
    }
    // A bare address would become a link, wherever it leads.
    safe.replace("://", ":&#47;&#47;").replace("www.", "www&#46;")
}

/// Text in a code span, where only backticks and the table's own bars mean something.
pub(in crate::tell::cli) fn code(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() || c == '`' { ' ' } else { c }).collect();
    format!("`{}`", text.trim().replace('|', "\\|"))
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn a_reviewer_sees_tables() {
        insta::assert_snapshot!(render(&samples::report()));
    }

    #[test]
    fn nothing_from_a_manifest_becomes_markup_a_mention_or_a_link() {
        let evil = "a|b <img src=x> @team [x](http://evil.example) **b** `c`\nd www.evil.example";
        assert_eq!(
            escape(evil),
            "a\\|b &lt;img src=x&gt; @\u{200B}team \\[x\\](http:&#47;&#47;evil.example) \\*\\*b\\*\\* \\`c\\` d www&#46;evil.example"
        );
        assert_eq!(code("a`b|c\n"), "`a b\\|c`");
    }

    #[test]
    fn a_long_plan_is_cut_before_the_forge_refuses_it() {
        let mut report = samples::report();
        report.intents = vec![report.intents[0].clone(); ROWS_MAX + 5];
        let text = render(&report);
        assert!(text.contains("\nand 5 more\n"));
        assert!(text.len() < 65_536);
    }
}
