//! What a terminal may be given: text made harmless, and how many cells it takes.
//!
//! Names, reasons and log lines come from manifests, runtimes and other people's programs. Escape sequences in them
//! could move the cursor, recolour or hide lines, so they are replaced by something visible before anything is printed.

/// `text` with every character that could steer a terminal replaced by `\u{FFFD}`, line ends kept.
#[must_use]
pub fn clean(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '\n' => '\n',
            '\t' => ' ',
            c if steers(c) => char::REPLACEMENT_CHARACTER,
            c => c,
        })
        .collect()
}

/// `text` as one harmless line: line ends and runs of blanks become one space.
#[must_use]
pub fn clean_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(&clean(word));
    }
    line
}

/// Control characters, and the marks that reorder text from right to left ("Trojan Source", CVE-2021-42574).
fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// How many cells of a terminal `text` takes.
#[must_use]
pub fn width(text: &str) -> usize {
    text.chars().map(char_width).sum()
}

/// At most `cells_max` cells of `text`, ending in `…` where something was cut.
#[must_use]
pub fn cut(text: &str, cells_max: usize) -> String {
    if width(text) <= cells_max {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut used = 1; // the ellipsis
    for c in text.chars() {
        used += char_width(c);
        if used > cells_max {
            break;
        }
        kept.push(c);
    }
    if cells_max > 0 {
        kept.push('…');
    }
    kept
}

/// `text` broken between words into lines of at most `cells_max` cells; a longer word stands alone.
#[must_use]
pub fn wrap(text: &str, cells_max: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && width(&line) + 1 + width(word) > cells_max {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    if !line.is_empty() || lines.is_empty() {
        lines.push(line);
    }
    lines
}

/// Ranges that take two cells: East Asian Width `W` and `F` of Unicode 16 (UAX #11), the blocks in use. Emoji are
/// among them. What is not listed takes one cell, so a rare script may at worst misalign a column.
const WIDE: &[(u32, u32)] = &[
    (0x1100, 0x115F),
    (0x231A, 0x231B),
    (0x23E9, 0x23EC),
    (0x25FD, 0x25FE),
    (0x2614, 0x2615),
    (0x2648, 0x2653),
    (0x26A1, 0x26A1),
    (0x26BD, 0x26BE),
    (0x2705, 0x2705),
    (0x270A, 0x270B),
    (0x2728, 0x2728),
    (0x274C, 0x274C),
    (0x2753, 0x2757),
    (0x2795, 0x2797),
    (0x2B1B, 0x2B1C),
    (0x2B50, 0x2B50),
    (0x2E80, 0x303E),
    (0x3041, 0x33FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xA000, 0xA4CF),
    (0xA960, 0xA97F),
    (0xAC00, 0xD7A3),
    (0xF900, 0xFAFF),
    (0xFE30, 0xFE6F),
    (0xFF01, 0xFF60),
    (0xFFE0, 0xFFE6),
    (0x1_F300, 0x1_F64F),
    (0x1_F680, 0x1_F6FF),
    (0x1_F7E0, 0x1_F7EB),
    (0x1_F900, 0x1_F9FF),
    (0x1_FA70, 0x1_FAFF),
    (0x2_0000, 0x3_FFFD),
];

/// Ranges that take no cell of their own: combining marks, joiners and variation selectors.
const ZERO: &[(u32, u32)] = &[
    (0x0300, 0x036F),
    (0x0483, 0x0489),
    (0x0591, 0x05BD),
    (0x064B, 0x065F),
    (0x0900, 0x0902),
    (0x0E34, 0x0E3A),
    (0x0E47, 0x0E4E),
    (0x1AB0, 0x1AFF),
    (0x1DC0, 0x1DFF),
    (0x200B, 0x200D),
    (0x20D0, 0x20FF),
    (0xFE00, 0xFE0F),
    (0xFE20, 0xFE2F),
    (0xFEFF, 0xFEFF),
    (0x1_F3FB, 0x1_F3FF),
    (0xE_0100, 0xE_01EF),
];

fn char_width(c: char) -> usize {
    let within = |ranges: &[(u32, u32)]| {
        let code = u32::from(c);
        ranges.binary_search_by(|(first, last)| match () {
            () if *last < code => std::cmp::Ordering::Less,
            () if *first > code => std::cmp::Ordering::Greater,
            () => std::cmp::Ordering::Equal,
        })
    };
    if within(ZERO).is_ok() {
        0
    } else if within(WIDE).is_ok() {
        2
    } else {
        1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_steers_a_terminal_survives() {
        let evil = "a\u{1b}[2J\u{9b}31m\u{7}\r\u{202e}b\tc\nd";
        let safe = clean(evil);
        assert_eq!(safe, "a\u{fffd}[2J\u{fffd}31m\u{fffd}\u{fffd}\u{fffd}b c\nd");
        assert_eq!(clean_line(" two\n\n lines\t here "), "two lines here");
        assert!(!clean_line(evil).contains(['\n', '\u{1b}']));
    }

    #[test]
    fn wide_and_combining_characters_are_counted_in_cells() {
        for (text, cells) in [("abc", 3), ("漢字", 4), ("e\u{301}", 1), ("👍🏽", 2), ("한", 2), ("…", 1), ("", 0)]
        {
            assert_eq!(width(text), cells, "{text}");
        }
    }

    #[test]
    fn cutting_never_takes_more_cells_than_allowed() {
        for cells in 0..9 {
            for text in ["abcdefgh", "漢字漢字", "a漢b字", "e\u{301}e\u{301}e\u{301}e\u{301}"] {
                assert!(width(&cut(text, cells)) <= cells, "{text} in {cells}");
            }
        }
        assert_eq!(cut("abcdef", 4), "abc…");
        assert_eq!(cut("漢字漢", 4), "漢…");
        assert_eq!(cut("abcd", 4), "abcd");
    }

    #[test]
    fn wrapping_keeps_every_word_and_lets_a_long_one_stand_alone() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("a incomprehensible b", 5), ["a", "incomprehensible", "b"]);
        assert_eq!(wrap("", 5), [""]);
    }

    #[test]
    fn the_tables_of_widths_are_sorted_so_that_searching_them_works() {
        for table in [WIDE, ZERO] {
            assert!(table.windows(2).all(|pair| pair[0].1 < pair[1].0));
            assert!(table.iter().all(|(first, last)| first <= last));
        }
    }
}
