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
        insta::assert_snapshot!(render(&samples::comparison(), None, Paint { on: false }), @r#"
        replayed 412 submissions from 2026-11-14T07:00:00Z to 2026-11-21T07:00:00Z
          in force  main@sha1:4f2a91c
          changed   Policy/default from policies/default.yaml

        worse: 1 task could never run, instead of 0
        better: tasks would wait 24.1 s on average instead of 38.4 s (37 % less)
        worse: the task that waits longest would wait 5 min 55 s at most instead of 5 min 12 s (14 % more)
        better: chat.reply would wait 4.0 s on average instead of 21.0 s (81 % less)
        worse: video.gen would wait 1 min 31 s on average instead of 1 min 25 s (7 % more)
        better: 34 model loads instead of 46, 4 min 41 s of loading instead of 6 min 12 s
        better: desk/gpu0 would be closed to shared work for 11 min 20 s instead of 12 min 1 s
        note: models would take up to 21.0 GB of desk/gpu0 instead of 18.5 GB; it has 24.0 GB

                                          IN FORCE     CHANGED
        wait, mean                        38.4 s       24.1 s
        wait, median                      9.0 s        6.0 s
        wait, 95th percentile             2 min 50 s   2 min
        wait, longest                     5 min 12 s   5 min 55 s
        model loads                       46           34
        model unloads                     41           29
        time spent loading                6 min 12 s   4 min 41 s
        first submission to last end      23 h 53 min  23 h 53 min
        could never run                   0            1
        desk/gpu0 of 24.0 GB, most taken  18.5 GB      21.0 GB
        desk/gpu0 closed by drains        1 min 21 s   40.0 s
        desk/gpu0 owned by one task       10 min 40 s  10 min 40 s
        chat.reply, mean wait             21.0 s       4.0 s
        chat.reply, 95th percentile       1 min 30 s   20.0 s
        video.gen, mean wait              1 min 25 s   1 min 31 s
        video.gen, 95th percentile        5 min        5 min 40 s

        what could not be known
          2 tasks of audio.tts left out: none of them ever ran
        "#);
    }
}
