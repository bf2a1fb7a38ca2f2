//! A file into its documents, by the `---` and `...` lines of YAML.
//!
//! A `---` at the start of a line always ends a document in YAML, also inside a block scalar or a quoted text, so no
//! grammar is needed. A document that fails to parse therefore never swallows its neighbours.

/// A document's text and where it starts in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk<'a> {
    pub text: &'a str,
    /// The line of the file on which `text` starts, from 1.
    pub first_line: u32,
}

/// The documents of a file that are not empty. A leading byte order mark is left out.
#[must_use]
pub fn documents(file: &str) -> Vec<Chunk<'_>> {
    let file = file.strip_prefix('\u{feff}').unwrap_or(file);
    let mut chunks = Vec::new();
    let mut open = Open { start: 0, first_line: 1, content: false, directive: false };
    let mut at = 0;
    for (index, line) in lines(file).enumerate() {
        let line_number = u32::try_from(index + 1).unwrap_or(u32::MAX);
        let next = at + line.len();
        match marker(line) {
            Some(Marker::Start { bare }) if !open.directive => {
                open.close(file, at, &mut chunks);
                // What stands behind the marker on its line belongs to the document, so the line is kept.
                open = if bare {
                    Open { start: next, first_line: line_number.saturating_add(1), content: false, directive: false }
                } else {
                    Open { start: at, first_line: line_number, content: true, directive: false }
                };
            }
            Some(Marker::Start { bare }) => (open.directive, open.content) = (false, open.content || !bare),
            Some(Marker::End) => {
                open.close(file, at, &mut chunks);
                open =
                    Open { start: next, first_line: line_number.saturating_add(1), content: false, directive: false };
            }
            None if line.starts_with('%') && !open.content => open.directive = true,
            None => open.content |= !is_blank(line),
        }
        at = next;
    }
    open.close(file, file.len(), &mut chunks);
    chunks
}

/// The lines that come before the first key: blank ones, comments, directives and a bare `---`.
#[must_use]
pub fn lines_before_content(text: &str) -> u32 {
    let silent = |line: &&str| {
        is_blank(line) || line.starts_with('%') || matches!(marker(line), Some(Marker::Start { bare: true }))
    };
    u32::try_from(lines(text).take_while(silent).count()).unwrap_or(u32::MAX)
}

struct Open {
    start: usize,
    first_line: u32,
    content: bool,
    directive: bool,
}

impl Open {
    fn close<'a>(&self, file: &'a str, end: usize, chunks: &mut Vec<Chunk<'a>>) {
        if self.content {
            chunks.push(Chunk { text: &file[self.start..end], first_line: self.first_line });
        }
    }
}

enum Marker {
    Start { bare: bool },
    End,
}

fn marker(line: &str) -> Option<Marker> {
    if let Some(rest) = line.strip_prefix("---").filter(|rest| ends_word(rest)) {
        return Some(Marker::Start { bare: is_blank(rest) });
    }
    line.strip_prefix("...").filter(|rest| ends_word(rest)).map(|_| Marker::End)
}

fn ends_word(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n'])
}

/// Whether a line says nothing: white space, or a comment.
fn is_blank(line: &str) -> bool {
    let text = line.trim_matches([' ', '\t', '\r', '\n']);
    text.is_empty() || text.starts_with('#')
}

/// Lines with their ends; a line ends in `\n`, `\r\n` or `\r`, as in YAML.
pub fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let bytes = rest.as_bytes();
        let end = match bytes.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            Some(at) if bytes[at] == b'\r' && bytes.get(at + 1) == Some(&b'\n') => at + 2,
            Some(at) => at + 1,
            None => rest.len(),
        };
        let (line, after) = rest.split_at(end);
        rest = after;
        Some(line)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(file: &str) -> Vec<(u32, &str)> {
        documents(file).into_iter().map(|chunk| (chunk.first_line, chunk.text)).collect()
    }

    #[test]
    fn documents_are_separated_by_lines_that_start_with_three_dashes() {
        assert_eq!(split("a: 1\n---\nb: 2\n"), [(1, "a: 1\n"), (3, "b: 2\n")]);
        assert_eq!(split("a: 1\r\n---\r\nb: 2\r\n"), [(1, "a: 1\r\n"), (3, "b: 2\r\n")]);
        assert_eq!(split("---\na: 1\n...\n---\nb: 2"), [(2, "a: 1\n"), (5, "b: 2")]);
        assert_eq!(split("a: 1\r---\rb: 2"), [(1, "a: 1\r"), (3, "b: 2")]);
    }

    #[test]
    fn empty_documents_and_comments_alone_are_no_documents() {
        for file in ["", "\n", "# a note\n", "---\n---\n", "---\n# nothing\n...\n", "\u{feff}", "--- # note\n"] {
            assert_eq!(split(file), [], "{file:?}");
        }
    }

    #[test]
    fn dashes_that_are_indented_or_longer_separate_nothing() {
        for file in ["a: |\n  ---\n  b\n", "----\n", "a: ---x\n", "---x: 1\n", " ---\n"] {
            assert_eq!(split(file), [(1, file)], "{file:?}");
        }
    }

    #[test]
    fn a_block_scalar_ends_at_a_separator_as_in_yaml() {
        assert_eq!(split("a: |\n  text\n---\nb: 1\n"), [(1, "a: |\n  text\n"), (4, "b: 1\n")]);
    }

    #[test]
    fn content_on_the_line_of_the_separator_and_directives_stay_with_their_document() {
        assert_eq!(split("--- {a: 1}\n--- {b: 2}\n"), [(1, "--- {a: 1}\n"), (2, "--- {b: 2}\n")]);
        assert_eq!(split("%YAML 1.2\n---\na: 1\n"), [(1, "%YAML 1.2\n---\na: 1\n")]);
        assert_eq!(split("a: 1\n...\n%YAML 1.2\n---\nb: 1\n"), [(1, "a: 1\n"), (3, "%YAML 1.2\n---\nb: 1\n")]);
    }

    #[test]
    fn lines_before_the_first_key_are_counted() {
        assert_eq!(lines_before_content("a: 1"), 0);
        assert_eq!(lines_before_content("# note\r\n\r\na: 1"), 2);
        assert_eq!(lines_before_content("%YAML 1.2\n---\n# x\na: 1"), 3);
    }
}
