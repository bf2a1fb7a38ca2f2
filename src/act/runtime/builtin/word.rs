//! Words of a text, in any script.

use std::ops::Range;

/// The words of `text`, in order.
///
/// A word is a run of letters, digits and marks; an apostrophe, a hyphen, a point or a comma between two of them belongs
/// to it (`don't`, `well-kept`, `3.14`). In scripts without spaces (Han, Hiragana, Katakana) each character counts as one
/// word, which is the usual convention for counting.
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    spans(text).map(|span| &text[span])
}

/// Where the words of `text` stand, in bytes.
pub fn spans(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + text[at..].find(char::is_alphanumeric)?;
        at = start + word_length(&text[start..]);
        Some(start..at)
    })
}

/// Bytes of the word at the start of `text`, which starts with a letter or digit.
fn word_length(text: &str) -> usize {
    let mut chars = text.char_indices().peekable();
    let mut end = 0;
    let mut last = '\0';
    while let Some((at, c)) = chars.next() {
        let next = chars.peek().map(|(_, next)| *next);
        if stands_alone(c) {
            return if at == 0 { c.len_utf8() } else { end };
        }
        let joins = next.is_some_and(|next| !stands_alone(next) && joins(last, c, next));
        if !(c.is_alphanumeric() || is_mark(c) || joins) {
            break;
        }
        end = at + c.len_utf8();
        last = c;
    }
    end
}

fn joins(before: char, c: char, after: char) -> bool {
    match c {
        '\'' | '’' | '-' | '\u{2010}' | '\u{2011}' => before.is_alphanumeric() && after.is_alphanumeric(),
        '.' | ',' => before.is_ascii_digit() && after.is_ascii_digit(),
        _ => false,
    }
}

/// Characters that follow a letter and change it, in the scripts where they are common.
fn is_mark(c: char) -> bool {
    matches!(u32::from(c), 0x300..=0x36f | 0x591..=0x5bd | 0x64b..=0x65f | 0x94d | 0x9cd | 0xe47..=0xe4e | 0x200c | 0x200d)
}

/// Characters of scripts that are written without spaces.
fn stands_alone(c: char) -> bool {
    matches!(u32::from(c), 0x3041..=0x30ff | 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xf900..=0xfaff | 0x20000..=0x3134f)
}

/// Words that hold a sentence together and say nothing of what it is about: the closed classes of English (articles,
/// prepositions, pronouns, auxiliaries, conjunctions). Other languages keep all their words.
const FUNCTION_WORDS: &[&str] = &[
    "a", "about", "after", "all", "also", "an", "and", "any", "are", "as", "at", "be", "because", "been", "before",
    "being", "but", "by", "can", "could", "did", "do", "does", "for", "from", "had", "has", "have", "he", "her", "him",
    "his", "how", "i", "if", "in", "into", "is", "it", "its", "may", "me", "might", "more", "most", "must", "my", "no",
    "not", "of", "on", "one", "only", "or", "other", "our", "out", "over", "she", "should", "so", "some", "such",
    "than", "that", "the", "their", "them", "then", "there", "these", "they", "this", "those", "to", "under", "up",
    "us", "was", "we", "were", "what", "when", "where", "which", "while", "who", "why", "will", "with", "would", "you",
    "your",
];

/// Whether a word, in lower case, only holds a sentence together.
#[must_use]
pub fn is_function_word(word: &str) -> bool {
    FUNCTION_WORDS.binary_search(&word).is_ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_are_found_in_many_scripts() {
        for (text, expected) in [
            ("Don't over-think 3.14, ok?", vec!["Don't", "over-think", "3.14", "ok"]),
            ("  …  ", vec![]),
            ("été naïve e\u{301}te\u{301}", vec!["été", "naïve", "e\u{301}te\u{301}"]),
            ("漢字 and 字", vec!["漢", "字", "and", "字"]),
            ("abc漢d", vec!["abc", "漢", "d"]),
            ("नमस्ते दुनिया", vec!["नमस्ते", "दुनिया"]),
            ("end. Start 1,000 -x- 'q'", vec!["end", "Start", "1,000", "x", "q"]),
        ] {
            assert_eq!(words(text).collect::<Vec<_>>(), expected, "{text}");
        }
    }

    #[test]
    fn the_list_of_function_words_is_sorted_so_that_it_can_be_searched() {
        assert!(FUNCTION_WORDS.is_sorted());
        assert!(is_function_word("the") && !is_function_word("model"));
    }

    proptest! {
        #[test]
        fn words_are_never_empty_and_end(text in "\\PC{0,80}") {
            let all: Vec<_> = words(&text).collect();
            prop_assert!(all.len() <= text.chars().count());
            prop_assert!(all.iter().all(|word| word.chars().any(char::is_alphanumeric)));
        }
    }
}
