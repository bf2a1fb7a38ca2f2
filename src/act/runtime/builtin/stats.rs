//! `text.stats`: numbers of a text.

use std::collections::HashSet;

use serde::Serialize;

use super::block::{BlockKind, blocks};
use super::sentence::sentences;
use super::word::words;

/// Words a minute of an adult who reads English non-fiction silently: Marc Brysbaert, "How many words do we read per
/// minute?", Journal of Memory and Language 109 (2019).
const WORDS_PER_MINUTE: f64 = 238.0;

/// Numbers of a text. The keys are those of `stats.json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stats {
    pub bytes: usize,
    /// Unicode scalar values.
    pub characters: usize,
    pub characters_without_spaces: usize,
    pub lines: usize,
    /// Paragraphs and list items.
    pub paragraphs: usize,
    pub sentences: usize,
    pub words: usize,
    /// Different words, whatever their case.
    pub unique_words: usize,
    pub mean_words_per_sentence: f64,
    pub mean_characters_per_word: f64,
    /// At 238 words a minute.
    pub reading_seconds: f64,
}

/// Counts `text`.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "counts of a text are far below 2^52")]
pub fn stats(text: &str) -> Stats {
    let mut counted = Stats {
        bytes: text.len(),
        characters: text.chars().count(),
        characters_without_spaces: text.chars().filter(|c| !c.is_whitespace()).count(),
        lines: text.lines().count(),
        paragraphs: 0,
        sentences: 0,
        words: 0,
        unique_words: 0,
        mean_words_per_sentence: 0.0,
        mean_characters_per_word: 0.0,
        reading_seconds: 0.0,
    };
    for block in blocks(text) {
        if matches!(block.kind, BlockKind::Paragraph | BlockKind::Item) {
            counted.paragraphs += 1;
            counted.sentences += sentences(&block.text).len();
        }
    }
    let mut letters = 0_usize;
    let mut distinct = HashSet::new();
    for word in words(text) {
        counted.words += 1;
        letters += word.chars().count();
        distinct.insert(word.to_lowercase());
    }
    counted.unique_words = distinct.len();
    counted.mean_words_per_sentence = rounded(ratio(counted.words, counted.sentences));
    counted.mean_characters_per_word = rounded(ratio(letters, counted.words));
    counted.reading_seconds = rounded(counted.words as f64 / WORDS_PER_MINUTE * 60.0);
    counted
}

#[expect(clippy::cast_precision_loss, reason = "counts of a text are far below 2^52")]
fn ratio(a: usize, b: usize) -> f64 {
    if b == 0 { 0.0 } else { a as f64 / b as f64 }
}

/// Two digits after the point: more would pretend to a precision that the counting rules do not have.
fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_text_is_counted_by_hand() {
        let counted = stats("# Title\n\nThe cat sat. The dog ran away!\n\n- été\n");
        assert_eq!((counted.words, counted.unique_words), (9, 8));
        assert_eq!((counted.sentences, counted.paragraphs, counted.lines), (3, 2, 5));
        assert_eq!((counted.characters, counted.bytes), (47, 49));
        assert_eq!(counted.mean_words_per_sentence, 3.0);
        assert_eq!(counted.reading_seconds, 2.27);
    }

    #[test]
    fn nothing_has_no_numbers_that_are_not_zero() {
        let counted = stats("");
        assert_eq!(serde_json::to_string(&counted).unwrap().matches(['1', '2', '3', 'N']).count(), 0);
    }
}
