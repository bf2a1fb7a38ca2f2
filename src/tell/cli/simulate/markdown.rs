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
        insta::assert_snapshot!(render(&samples::comparison()), @"");
    }

    #[test]
    fn a_capability_that_looks_like_markup_stays_text() {
        let mut comparison = samples::comparison();
        comparison.capabilities[0].capability = "<img src=x> | @team".to_owned();
        comparison.unknown = vec!["1 task of [x](http://evil.example) left out".to_owned()];
        let text = render(&comparison);
        assert!(!text.contains("<img") && !text.contains("@team") && !text.contains("](http"), "{text}");
    }
}
