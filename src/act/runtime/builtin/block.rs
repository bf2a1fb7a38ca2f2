//! Blocks of a text: paragraphs, list items, headings and code, in plain text or Markdown.
//!
//! Lines that were wrapped are joined again. Markup inside a line (links, emphasis) is left to [`super::plain`].

/// A piece of text that no sentence crosses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    pub kind: BlockKind,
    /// Its text on one line, without the mark that made it an item or a heading.
    pub text: String,
}

/// What a block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockKind {
    Paragraph,
    Item,
    Heading,
    /// Code and tables: not prose, but counted.
    Code,
}

/// The blocks of `text`, in order, without empty ones.
#[must_use]
pub fn blocks(text: &str) -> Vec<Block> {
    let mut all = Vec::new();
    let mut open: Option<Block> = None;
    let mut fence: Option<&str> = None;
    for line in text.lines() {
        let line = line.trim();
        if let Some(mark) = fence {
            if line.starts_with(mark) {
                fence = None;
            } else if !line.is_empty() {
                all.push(Block { kind: BlockKind::Code, text: line.to_owned() });
            }
            continue;
        }
        let Some((kind, rest)) = classify(line) else {
            all.extend(open.take());
            fence = ["```", "~~~"].into_iter().find(|mark| line.starts_with(mark));
            continue;
        };
        match (&mut open, kind) {
            (Some(block), None) => {
                block.text.push(' ');
                block.text.push_str(rest);
            }
            (_, None) => open = Some(Block { kind: BlockKind::Paragraph, text: rest.to_owned() }),
            (_, Some(kind @ (BlockKind::Heading | BlockKind::Code))) => {
                all.extend(open.take());
                all.push(Block { kind, text: rest.to_owned() });
            }
            (_, Some(kind)) => all.extend(open.replace(Block { kind, text: rest.to_owned() })),
        }
    }
    all.extend(open);
    all.retain(|block| !block.text.is_empty());
    all
}

/// What a line starts, and its text; none for a line that only separates. `None` as the kind: it goes on with the
/// block before.
fn classify(line: &str) -> Option<(Option<BlockKind>, &str)> {
    let is_rule = |mark: char| line.chars().all(|c| c == mark || c == ' ');
    if line.starts_with("```") || line.starts_with("~~~") || ['-', '*', '_', '='].into_iter().any(is_rule) {
        return None;
    }
    let hashes = line.bytes().take_while(|b| *b == b'#').count();
    if (1..=6).contains(&hashes) && line[hashes..].starts_with(' ') {
        return Some((Some(BlockKind::Heading), line[hashes..].trim().trim_end_matches('#').trim_end()));
    }
    if line.starts_with('|') {
        return Some((Some(BlockKind::Code), line));
    }
    if let Some(rest) = item(line) {
        return Some((Some(BlockKind::Item), rest));
    }
    Some((None, line.strip_prefix("> ").unwrap_or(line)))
}

/// The text of a list item, without its mark.
fn item(line: &str) -> Option<&str> {
    let bullet = line.strip_prefix(['-', '*', '+', '•', '–', '‣', '◦']);
    let numbered = || {
        let digits = line.bytes().take_while(u8::is_ascii_digit).count();
        (1..=3).contains(&digits).then(|| line[digits..].strip_prefix(['.', ')']))?
    };
    bullet.or_else(numbered)?.strip_prefix([' ', '\t']).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(text: &str) -> Vec<(BlockKind, String)> {
        blocks(text).into_iter().map(|block| (block.kind, block.text)).collect()
    }

    #[test]
    fn wrapped_lines_are_joined_and_blank_lines_separate() {
        assert_eq!(
            shape("one\ntwo  \r\n\n\nthree"),
            [(BlockKind::Paragraph, "one two".to_owned()), (BlockKind::Paragraph, "three".to_owned())]
        );
        assert_eq!(shape(" \n\t\n"), []);
    }

    #[test]
    fn lists_headings_code_and_tables_stand_apart() {
        let text = "# Title #\nintro\n- first\n  goes on\n* second\n1. third\n12) fourth\n```rust\nlet x = 1.\n```\n| a | b |\n---\nend";
        assert_eq!(
            shape(text),
            [
                (BlockKind::Heading, "Title".to_owned()),
                (BlockKind::Paragraph, "intro".to_owned()),
                (BlockKind::Item, "first goes on".to_owned()),
                (BlockKind::Item, "second".to_owned()),
                (BlockKind::Item, "third".to_owned()),
                (BlockKind::Item, "fourth".to_owned()),
                (BlockKind::Code, "let x = 1.".to_owned()),
                (BlockKind::Code, "| a | b |".to_owned()),
                (BlockKind::Paragraph, "end".to_owned()),
            ]
        );
    }

    #[test]
    fn a_number_that_starts_a_sentence_and_a_hash_that_is_no_heading_are_prose() {
        assert_eq!(shape("1984 was a year."), [(BlockKind::Paragraph, "1984 was a year.".to_owned())]);
        assert_eq!(shape("#hashtag here"), [(BlockKind::Paragraph, "#hashtag here".to_owned())]);
        assert_eq!(shape("-5 degrees"), [(BlockKind::Paragraph, "-5 degrees".to_owned())]);
    }
}
