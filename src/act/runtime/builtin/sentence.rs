//! Sentences of a block of text.
//!
//! Rules, not a model: a point ends a sentence unless what stands before it is an abbreviation or an initial, or what
//! follows goes on in lower case. Where the rules cannot know, they keep the text together.

/// Abbreviations after which a sentence goes on.
const NEVER_LAST: &[&str] = &[
    "approx", "bzw", "ca", "capt", "cf", "col", "d.h", "dr", "e.g", "gen", "hon", "i.e", "lt", "mr", "mrs", "ms", "mt",
    "prof", "rep", "rev", "sen", "sgt", "st", "viz", "vs", "z.b",
];

/// Abbreviations after which a sentence goes on when a number follows.
const BEFORE_NUMBERS: &[&str] = &[
    "apr", "art", "aug", "ch", "dec", "eq", "feb", "fig", "jan", "jul", "jun", "mar", "no", "nos", "nov", "nr", "oct",
    "p", "pp", "sec", "sep", "sept", "vol",
];

/// The sentences of `block`, which is one line, in order; together they are all of it but the spaces between.
#[must_use]
pub fn sentences(block: &str) -> Vec<&str> {
    let mut all = Vec::new();
    let mut start = 0;
    let mut chars = block.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if !is_end_mark(c) {
            continue;
        }
        let mut end = at + c.len_utf8();
        let mut marks = 1;
        while let Some((next_at, next)) = chars.next_if(|(_, next)| is_end_mark(*next) || is_closing(*next)) {
            marks += usize::from(is_end_mark(next));
            end = next_at + next.len_utf8();
        }
        if ends_here(&block[start..at], c, marks, &block[end..]) {
            all.push(block[start..end].trim());
            start = end;
        }
    }
    all.push(block[start..].trim());
    all.retain(|sentence| sentence.chars().any(char::is_alphanumeric));
    all
}

fn is_end_mark(c: char) -> bool {
    matches!(c, '.' | '!' | '?' | '…') || is_wide_end_mark(c)
}

/// End marks of scripts that put no space after them.
fn is_wide_end_mark(c: char) -> bool {
    matches!(c, '。' | '！' | '？' | '｡' | '．')
}

fn is_closing(c: char) -> bool {
    matches!(c, '"' | '\'' | '”' | '’' | '»' | ')' | ']' | '}' | '」' | '』' | '）' | '*' | '_')
}

/// Whether a sentence ends with `mark`: `before` is what the sentence holds so far, `after` what follows the marks.
fn ends_here(before: &str, mark: char, marks: usize, after: &str) -> bool {
    if is_wide_end_mark(mark) || after.is_empty() {
        return true;
    }
    if !after.starts_with(char::is_whitespace) {
        return false;
    }
    let next = after.trim_start().chars().find(|c| !matches!(c, '"' | '\'' | '“' | '‘' | '«' | '(' | '[' | '*' | '_'));
    if next.is_some_and(char::is_lowercase) {
        return false;
    }
    mark != '.' || marks > 1 || !is_abbreviation(before, next)
}

/// Whether the point after `before` belongs to an abbreviation, an initial or the number of a list item.
fn is_abbreviation(before: &str, next: Option<char>) -> bool {
    let token = before.rsplit(|c: char| c.is_whitespace() || "(\"'“‘«[".contains(c)).next().unwrap_or(before);
    let mut letters = token.chars();
    let is_initial = letters.next().is_some_and(char::is_uppercase) && letters.next().is_none();
    let is_number_of_item = token == before.trim() && token.len() <= 3 && token.bytes().all(|b| b.is_ascii_digit());
    let word = token.to_lowercase();
    is_initial
        || (is_number_of_item && !token.is_empty())
        || NEVER_LAST.binary_search(&word.as_str()).is_ok()
        || (next.is_some_and(|c| c.is_ascii_digit()) && BEFORE_NUMBERS.binary_search(&word.as_str()).is_ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sentences_end_where_a_reader_says_they_end() {
        for (block, expected) in [
            ("One. Two! Three? Four", vec!["One.", "Two!", "Three?", "Four"]),
            ("Dr. Ada met Mr. J. R. Smith. They talked.", vec!["Dr. Ada met Mr. J. R. Smith.", "They talked."]),
            ("It costs 3.50 euros. Pi is 3.14.", vec!["It costs 3.50 euros.", "Pi is 3.14."]),
            (
                "See Fig. 3 and No. 5. He said no. Then he left.",
                vec!["See Fig. 3 and No. 5.", "He said no.", "Then he left."],
            ),
            ("Use tools, e.g. Git. It works.", vec!["Use tools, e.g. Git.", "It works."]),
            ("\"Stop!\" he said. \"Why?\" She ran.", vec!["\"Stop!\" he said.", "\"Why?\"", "She ran."]),
            ("He stopped… and went on. Wait... what? Yes.", vec!["He stopped… and went on.", "Wait... what?", "Yes."]),
            ("Visit example.com now. v1.2.3 is out.", vec!["Visit example.com now. v1.2.3 is out."]),
            ("Cats, dogs, etc. They sleep.", vec!["Cats, dogs, etc.", "They sleep."]),
            ("今日は晴れ。明日は雨。", vec!["今日は晴れ。", "明日は雨。"]),
            ("(It rained.) We left.", vec!["(It rained.)", "We left."]),
            ("1. First point. Second.", vec!["1. First point.", "Second."]),
            ("On Jan. 5 it opened. Done.", vec!["On Jan. 5 it opened.", "Done."]),
            ("... !!! ???", vec![]),
        ] {
            assert_eq!(sentences(block), expected, "{block}");
        }
    }

    #[test]
    fn the_lists_are_sorted_so_that_they_can_be_searched() {
        assert!(NEVER_LAST.is_sorted() && BEFORE_NUMBERS.is_sorted());
    }

    proptest! {
        #[test]
        fn no_letter_is_lost_and_none_is_doubled(block in "[a-zA-Zé漢 .!?…。\"')(0-9]{0,120}") {
            let letters = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).collect::<String>();
            prop_assert_eq!(letters(&sentences(&block).concat()), letters(&block));
        }

        #[test]
        fn any_text_is_split_without_a_panic(block in "\\PC{0,200}") {
            let _ = sentences(&block);
        }
    }
}
