//! The comparison as a comment on a pull request. Names come from manifests, so nothing in them may become markup.

use std::fmt::Write as _;

use crate::core::text::count;
use crate::tell::cli::plan::markdown::{code, escape, table};

use super::compare::Comparison;
use super::remarks::Effect;
use super::text::figures;

/// The comparison as Markdown.
#[must_use]
pub fn render(comparison: &Comparison) -> String {
    let replayed = count(usize::try_from(comparison.submissions).unwrap_or(usize::MAX), "submission");
    let mut text = format!(
        "### Arcology simulation: {replayed}\n\nWhat was submitted from {} to {}, replayed under {} and under {}.\n\n",
        comparison.from,
        comparison.to,
        code(&comparison.in_force),
        code(&comparison.changed)
    );
    for remark in &comparison.remarks {
        let word = match remark.effect {
            Effect::Better => "**better:** ",
            Effect::Worse => "**worse:** ",
            Effect::Other => "",
        };
        let _ = writeln!(text, "- {word}{}", escape(&remark.text));
    }
    let rows = figures(comparison)
        .into_iter()
        .map(|(what, pair)| vec![escape(&what), escape(&pair.in_force), escape(&pair.changed)]);
    table(&mut text, "Figures", &["", "In force", "Changed"], rows.collect::<Vec<_>>().into_iter());
    if !comparison.unknown.is_empty() {
        text.push_str("\n#### What could not be known\n\n");
        for one in &comparison.unknown {
            let _ = writeln!(text, "- {}", escape(one));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn a_reviewer_sees_what_would_change_and_a_table() {
        insta::assert_snapshot!(render(&samples::comparison()), @r#"
        ### Arcology simulation: 412 submissions

        What was submitted from 2026-11-14T07:00:00Z to 2026-11-21T07:00:00Z, replayed under `main@sha1:4f2a91c` and under `Policy/default from policies/default.yaml`.

        - **worse:** 1 task could never run, instead of 0
        - **better:** tasks would wait 24.1 s on average instead of 38.4 s (37 % less)
        - **worse:** the task that waits longest would wait 5 min 55 s at most instead of 5 min 12 s (14 % more)
        - **better:** chat.reply would wait 4.0 s on average instead of 21.0 s (81 % less)
        - **worse:** video.gen would wait 1 min 31 s on average instead of 1 min 25 s (7 % more)
        - **better:** 34 model loads instead of 46, 4 min 41 s of loading instead of 6 min 12 s
        - **better:** desk/gpu0 would be closed to shared work for 11 min 20 s instead of 12 min 1 s
        - models would take up to 21.0 GB of desk/gpu0 instead of 18.5 GB; it has 24.0 GB

        #### Figures

        |  | In force | Changed |
        | --- | --- | --- |
        | wait, mean | 38.4 s | 24.1 s |
        | wait, median | 9.0 s | 6.0 s |
        | wait, 95th percentile | 2 min 50 s | 2 min |
        | wait, longest | 5 min 12 s | 5 min 55 s |
        | model loads | 46 | 34 |
        | model unloads | 41 | 29 |
        | time spent loading | 6 min 12 s | 4 min 41 s |
        | first submission to last end | 23 h 53 min | 23 h 53 min |
        | could never run | 0 | 1 |
        | desk/gpu0 of 24.0 GB, most taken | 18.5 GB | 21.0 GB |
        | desk/gpu0 closed by drains | 1 min 21 s | 40.0 s |
        | desk/gpu0 owned by one task | 10 min 40 s | 10 min 40 s |
        | chat.reply, mean wait | 21.0 s | 4.0 s |
        | chat.reply, 95th percentile | 1 min 30 s | 20.0 s |
        | video.gen, mean wait | 1 min 25 s | 1 min 31 s |
        | video.gen, 95th percentile | 5 min | 5 min 40 s |

        #### What could not be known

        - 2 tasks of audio.tts left out: none of them ever ran
        "#);
    }

    #[test]
    fn a_capability_that_looks_like_markup_stays_text() {
        let mut comparison = samples::comparison();
        comparison.capabilities[0].capability = "<img src=x> | @team".to_owned();
        comparison.unknown = vec!["1 task of [x](http://evil.example) left out".to_owned()];
        let text = render(&comparison);
        assert!(
            !text.contains("<img") && !text.contains("@team") && !text.contains("[x](") && !text.contains("://"),
            "{text}"
        );
    }
}
