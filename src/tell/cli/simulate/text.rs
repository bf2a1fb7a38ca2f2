//! The comparison for a person at a terminal.

use std::fmt::Write as _;

use crate::core::text::count;
use crate::tell::cli::table::{Cell, Table};
use crate::tell::cli::ui::{Paint, Tone};
use crate::tell::terminal::clean_line;

use super::compare::{Comparison, Pair};
use super::lasting;
use super::remarks::Effect;

/// The comparison as lines. `width` is that of the terminal.
#[must_use]
pub fn render(comparison: &Comparison, width: Option<usize>, paint: Paint) -> String {
    let replayed = count(usize::try_from(comparison.submissions).unwrap_or(usize::MAX), "submission");
    let mut text = format!(
        "replayed {replayed} from {} to {}\n  in force  {}\n  changed   {}\n",
        comparison.from,
        comparison.to,
        clean_line(&comparison.in_force),
        clean_line(&comparison.changed)
    );
    for remark in &comparison.remarks {
        let (sign, tone) = match remark.effect {
            Effect::Better => ("better:", Tone::Good),
            Effect::Worse => ("worse:", Tone::Bad),
            Effect::Other => ("note:", Tone::Faint),
        };
        let _ = write!(text, "\n{} {}", paint.tone(sign, tone), clean_line(&remark.text));
    }
    text.push_str("\n\n");
    let mut table = Table::new(&["", "IN FORCE", "CHANGED"]);
    for (what, pair) in figures(comparison) {
        table.row([Cell::new(what), Cell::new(pair.in_force), Cell::new(pair.changed)]);
    }
    text.push_str(&table.render(width, paint));
    if !comparison.unknown.is_empty() {
        let _ = write!(text, "\n{}\n", paint.tone("what could not be known", Tone::Strong));
        for one in &comparison.unknown {
            let _ = writeln!(text, "  {}", clean_line(one));
        }
    }
    text
}

/// Every figure that is shown, named, in the order in which it is read. Markdown shows the same.
pub(super) fn figures(comparison: &Comparison) -> Vec<(String, Pair<String>)> {
    let totals = comparison.totals;
    let time = |ms: Pair<u64>| ms.map(|ms| lasting(ms as f64));
    let number = |n: Pair<u64>| n.map(|n| n.to_string());
    let mut rows = vec![
        ("wait, mean".to_owned(), totals.map(|it| lasting(it.wait.mean_ms))),
        ("wait, median".to_owned(), time(totals.map(|it| it.wait.p50_ms))),
        ("wait, 95th percentile".to_owned(), time(totals.map(|it| it.wait.p95_ms))),
        ("wait, longest".to_owned(), time(totals.map(|it| it.wait.max_ms))),
        ("model loads".to_owned(), number(totals.map(|it| it.loads))),
        ("model unloads".to_owned(), number(totals.map(|it| it.unloads))),
        ("time spent loading".to_owned(), time(totals.map(|it| it.loading_ms))),
        ("first submission to last end".to_owned(), time(totals.map(|it| it.makespan_ms))),
    ];
    for (what, pair) in [
        ("stopped to make way", totals.map(|it| it.requeued)),
        ("could never run", totals.map(|it| it.refused)),
        ("waited without an end", totals.map(|it| it.stranded)),
    ] {
        if pair != Pair::default() {
            rows.push((what.to_owned(), number(pair)));
        }
    }
    for row in &comparison.gpus {
        let total = format!("{:.1} GB", row.total_gb);
        rows.push((format!("{} of {total}, most taken", row.gpu), row.high_gb.map(|gb| format!("{gb:.1} GB"))));
        rows.push((format!("{} closed by drains", row.gpu), time(row.drained_ms)));
        rows.push((format!("{} owned by one task", row.gpu), time(row.exclusive_ms)));
    }
    for row in &comparison.capabilities {
        rows.push((format!("{}, mean wait", row.capability), row.wait.map(|wait| lasting(wait.mean_ms))));
        rows.push((format!("{}, 95th percentile", row.capability), time(row.wait.map(|wait| wait.p95_ms))));
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn a_person_reads_what_would_change_before_the_figures() {
        insta::assert_snapshot!(render(&samples::comparison(), None, Paint { on: false }), @"");
    }
}
