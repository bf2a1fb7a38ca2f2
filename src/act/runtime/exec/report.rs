//! What a line of a program's own words says of how far it is. Pure.

use crate::core::text::shorten;

/// The longest line that is told, in characters.
const LINE_CHARS_MAX: usize = 300;

/// A pattern such as `*frame {done} of {total}*`, or none.
#[derive(Clone, Debug)]
pub(super) struct Report(Option<String>);

impl Report {
    pub fn new(pattern: Option<&str>) -> Self {
        Self(pattern.map(str::to_owned))
    }

    /// What to tell of `line`; nothing when a pattern is declared and does not fit.
    pub fn of(&self, line: &str) -> Option<String> {
        let line = plain(line);
        let Some(pattern) = &self.0 else { return (!line.is_empty()).then_some(line) };
        let found = numbers(pattern, &line)?;
        let number = |name: &str| found.iter().find(|(found, _)| *found == name).map(|(_, value)| *value);
        let percent = match (number("percent"), number("done"), number("total")) {
            (Some(percent), _, _) => percent,
            (None, Some(done), Some(total)) if total > 0.0 => done / total * 100.0,
            (None, Some(done), _) => return Some(done.to_string()),
            (None, None, _) => return None,
        };
        (0.0..=100.5).contains(&percent).then(|| format!("{percent:.0} %"))
    }
}

/// One line without anything that moves a cursor.
fn plain(line: &str) -> String {
    let text: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    shorten(text.trim(), LINE_CHARS_MAX)
}

/// The numbers at the placeholders of `pattern`, when the whole line fits it.
fn numbers<'p>(pattern: &'p str, line: &str) -> Option<Vec<(&'p str, f64)>> {
    let (mut found, mut rest, mut pattern) = (Vec::new(), line, pattern);
    let mut skips = false;
    while !pattern.is_empty() {
        if let Some(after) = pattern.strip_prefix('*') {
            (skips, pattern) = (true, after);
        } else if let Some((name, after)) = pattern.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
            let at = if skips { rest.find(|c: char| c.is_ascii_digit())? } else { 0 };
            let digits = &rest[at..];
            let end = digits.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(digits.len());
            found.push((name, digits[..end].parse().ok()?));
            (rest, pattern, skips) = (&digits[end..], after, false);
        } else {
            let end = pattern[1..].find(['*', '{']).map_or(pattern.len(), |at| at + 1);
            let literal = &pattern[..end];
            let at = if skips { rest.find(literal)? } else { rest.starts_with(literal).then_some(0)? };
            (rest, pattern, skips) = (&rest[at + literal.len()..], &pattern[end..], false);
        }
    }
    (skips || rest.is_empty()).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_fit_the_pattern_tell_how_far_it_is() {
        for (pattern, line, told) in [
            (Some("{percent}%*"), "42% done", Some("42 %")),
            (Some("*progress: {percent} %"), "x progress: 7.6 %", Some("8 %")),
            (Some("page {done} of {total}"), "page 1 of 4", Some("25 %")),
            (Some("*frame={done}*"), "frame=12 fps=3", Some("12")),
            (Some("{percent}%"), "142%", None),
            (Some("page {done} of {total}"), "page 1 of 0", Some("1")),
            (Some("page {done} of {total}"), "page x of 4", None),
            (Some("page {done}"), "page 1 of 4", None),
            (Some("{percent}"), "1.2.3", None),
            (None, " loading\u{1b}[2J it ", Some("loading [2J it")),
            (None, "   ", None),
        ] {
            assert_eq!(Report::new(pattern).of(line).as_deref(), told, "{pattern:?} {line}");
        }
    }
}
