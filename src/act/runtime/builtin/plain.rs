//! Inline Markdown as plain text: links become their words, emphasis and code marks go, images go.

/// `line` without inline marks. What is not well-formed markup is kept as it stands.
#[must_use]
pub fn plain(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find(['[', '!', '*', '`', '_']) {
        let (before, mark) = rest.split_at(at);
        out.push_str(before);
        let boundary = out.chars().next_back().is_none_or(|c| !c.is_alphanumeric());
        rest = match link(mark) {
            Some((words, is_image, after)) => {
                out.push_str(if is_image { "" } else { words });
                after
            }
            None => {
                let run = mark.len() - mark.trim_start_matches(['*', '`', '_']).len();
                let closes = mark[run..].chars().next().is_none_or(|c| !c.is_alphanumeric());
                let opens = mark[run..].starts_with(|c: char| !c.is_whitespace());
                // A mark inside a word (snake_case) or alone between spaces (2 * 3) is text.
                let is_markup = run > 0 && ((boundary && opens) || (!boundary && closes));
                let length = run.max(1);
                out.push_str(if is_markup { "" } else { &mark[..length] });
                &mark[length..]
            }
        };
    }
    out.push_str(rest);
    out
}

/// The words of the link or image at the start of `text`, whether it is an image, and what follows.
fn link(text: &str) -> Option<(&str, bool, &str)> {
    /// Longer labels and targets are taken as text, which keeps the search for their ends linear.
    const PART_BYTES_MAX: usize = 2_000;
    let (is_image, text) = match text.strip_prefix('!') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let label = text.strip_prefix('[')?;
    let end = label.bytes().take(PART_BYTES_MAX).position(|b| b == b']')?;
    let target = label[end + 1..].strip_prefix('(')?;
    let close = target.bytes().take(PART_BYTES_MAX).position(|b| b == b')')?;
    Some((&label[..end], is_image, &target[close + 1..]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::plain;

    #[test]
    fn marks_go_and_words_stay() {
        for (line, expected) in [
            ("See [the guide](https://example.org/a_b) now.", "See the guide now."),
            ("An ![image](a.png) here", "An  here"),
            ("**Bold** and *it* and `code_x` and __both__.", "Bold and it and code_x and both."),
            ("snake_case and 2 * 3 [not a link] wow!", "snake_case and 2 * 3 [not a link] wow!"),
            ("unclosed [link](http://x", "unclosed [link](http://x"),
        ] {
            assert_eq!(plain(line), expected, "{line}");
        }
    }

    proptest! {
        #[test]
        fn text_without_marks_is_untouched(line in "[^\\[!*`_]{0,60}") {
            prop_assert_eq!(plain(&line), line);
        }

        #[test]
        fn any_line_is_read_without_a_panic(line in "[\\[\\]()!*`_aé ]{0,60}") {
            prop_assert!(plain(&line).len() <= line.len());
        }
    }
}
