//! The plan for a person at a terminal: what is declared differently, what would be done in order, what waits.

use std::fmt::Write as _;

use crate::tell::cli::ui::{Paint, Tone};
use crate::tell::terminal::clean_line;

use super::changes::{Change, Kindred};
use super::report::{self, Report, Side};

/// The report as lines.
#[must_use]
pub fn render(report: &Report, paint: Paint) -> String {
    let mut text = format!("from {}\n  to {}\n", side(&report.base), side(&report.head));
    section(&mut text, paint, "declared differently", report.changes.iter().map(|change| changed(change, paint)));
    section(&mut text, paint, "to do, in order", actions(report, paint));
    section(
        &mut text,
        paint,
        "waiting",
        report.waiting.iter().map(|waiting| {
            let hold = &waiting.hold;
            let who = hold.who.as_ref().map(|who| format!(" ({who})")).unwrap_or_default();
            let until = hold.until.map(|until| format!(", until {until}")).unwrap_or_default();
            format!(
                "  {}: {:?}: {}{until}\n",
                waiting.object,
                hold.reason,
                clean_line(&format!("{}{who}", hold.message))
            )
        }),
    );
    section(&mut text, paint, "quarantined", report.quarantined.iter().map(|one| quarantined(one, paint)));
    section(
        &mut text,
        paint,
        "deletion held back",
        report.held_prunes.iter().map(|held| format!("  {}: {}\n", held.object, clean_line(&held.reason))),
    );
    section(
        &mut text,
        paint,
        "kept because something quarantined refers to it",
        report.retained.iter().map(|kept| format!("  {}: {} refers to it\n", kept.object, kept.by)),
    );
    let _ = write!(text, "\n{}\n", paint.tone(&report.summary(), Tone::Strong));
    text
}

fn section(text: &mut String, paint: Paint, title: &str, items: impl IntoIterator<Item = String>) {
    let body: String = items.into_iter().collect();
    if !body.is_empty() {
        let _ = write!(text, "\n{}\n{body}", paint.tone(title, Tone::Strong));
    }
}

fn side(side: &Side) -> String {
    match &side.commit {
        Some(commit) => {
            let branch = side.revision.split('@').next().unwrap_or_default();
            format!(
                "{}@{}: {} ({})",
                clean_line(branch),
                commit.sha.short(),
                clean_line(&commit.subject),
                clean_line(&commit.author)
            )
        }
        None => clean_line(&side.revision),
    }
}

fn changed(change: &Change, paint: Paint) -> String {
    let (sign, tone) = match change.change {
        Kindred::Added => ("+", Tone::Good),
        Kindred::Changed => ("~", Tone::Warning),
        Kindred::Removed => ("-", Tone::Bad),
    };
    let leaves = if change.leaves_things { "; what it made stays (arcology/prune: disabled)" } else { "" };
    let place = paint.tone(&clean_line(&change.place), Tone::Faint);
    let mut text = format!("  {} {}  {place}{leaves}\n", paint.tone(sign, tone), change.object);
    for field in &change.fields {
        let value = |value: &Option<String>| value.as_deref().map_or_else(|| "(none)".to_owned(), clean_line);
        let _ =
            writeln!(text, "      {}: {} → {}", clean_line(&field.field), value(&field.before), value(&field.after));
    }
    text
}

fn actions(report: &Report, paint: Paint) -> impl Iterator<Item = String> {
    report.intents.iter().enumerate().map(move |(index, intent)| {
        let mut text = format!(
            "  {}. {} {} for {}\n",
            index + 1,
            paint.tone(intent.verb.as_str(), Tone::Strong),
            clean_line(&report::target(intent)),
            intent.object
        );
        let mut line = |label: &str, value: String| {
            let _ = writeln!(text, "     {} {}", paint.tone(label, Tone::Faint), clean_line(&value));
        };
        line("why:", intent.reason.clone());
        for (label, value) in [("VRAM:", report::vram(intent)), ("time:", report::time(intent))] {
            if value != "-" {
                line(label, value);
            }
        }
        for (label, values) in [("evicts:", &intent.cost.evicts), ("touches:", &intent.cost.touches_tasks)] {
            if !values.is_empty() {
                line(label, values.join(", "));
            }
        }
        let commit = intent.commit.as_ref().map(|commit| format!("{} {}", commit.sha.short(), commit.subject));
        let asked: Vec<String> = intent.place.iter().map(ToString::to_string).chain(commit).collect();
        if !asked.is_empty() {
            line("asked by:", asked.join(", "));
        }
        text
    })
}

fn quarantined(one: &super::report::Quarantined, paint: Paint) -> String {
    let object = one.object.as_ref().map_or_else(|| clean_line(&one.place), ToString::to_string);
    let fate = if one.last_good { "its last good version stays in force" } else { "nothing of it is in force" };
    let mut text = format!("  {object}: {fate}\n");
    for diagnostic in &one.diagnostics {
        let place = format!("{}:{}:{}", diagnostic.path, diagnostic.span.line, diagnostic.span.column);
        let _ = writeln!(
            text,
            "      {} {}: {}",
            paint.tone(&clean_line(&diagnostic.code), Tone::Bad),
            clean_line(&place),
            clean_line(&diagnostic.message)
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn a_person_sees_changes_actions_and_what_stands_still() {
        insta::assert_snapshot!(render(&samples::report(), Paint { on: false }));
    }
}
