//! Small text rules used in every message: nearest names, plurals, shortening.

/// The longest text that is compared with candidates, in characters.
pub const NEAREST_CHARS_MAX: usize = 128;

/// The candidate most like `wanted`, when one is near enough to be what was meant.
///
/// Near means a Damerau-Levenshtein distance of at most a third of the longer word, or that the two differ only in
/// case, `-` and `_`. Nothing is near a text of more than [`NEAREST_CHARS_MAX`] characters: comparing takes time that
/// grows with the product of the lengths, and `wanted` may be anything.
pub fn nearest<'a>(wanted: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if wanted.chars().nth(NEAREST_CHARS_MAX).is_some() {
        return None;
    }
    let plain = |text: &str| text.to_lowercase().replace(['-', '_', ' '], "");
    let target = plain(wanted);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&target, &plain(candidate)), candidate))
        .filter(|(distance, candidate)| *distance <= (wanted.chars().count().max(candidate.chars().count()) / 3).max(1))
        .min_by_key(|(distance, candidate)| (*distance, *candidate))
        .map(|(_, candidate)| candidate)
}

/// `1 model`, `2 models`.
#[must_use]
pub fn count(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

/// At most `chars_max` characters of `text`, with an ellipsis where something was cut, control characters replaced.
#[must_use]
pub fn shorten(text: &str, chars_max: usize) -> String {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    if text.chars().count() <= chars_max {
        return text.chars().map(clean).collect();
    }
    text.chars().take(chars_max.saturating_sub(1)).map(clean).chain(['…']).collect()
}

/// A length of time as people say it: `420 ms`, `12 s`, `3 min`, `2 h`, `5 d`.
#[must_use]
pub fn age(millis: u64) -> String {
    match millis {
        0..1_000 => format!("{millis} ms"),
        1_000..60_000 => format!("{} s", millis / 1_000),
        60_000..3_600_000 => format!("{} min", millis / 60_000),
        3_600_000..86_400_000 => format!("{} h", millis / 3_600_000),
        _ => format!("{} d", millis / 86_400_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_and_a_far_one_is_not_offered() {
        let names = ["qwen2.5-7b-q4", "llama3.1-8b-q4", "minilm"];
        assert_eq!(nearest("qwen2.5-7b-q5", names), Some("qwen2.5-7b-q4"));
        assert_eq!(nearest("minilmm", names), Some("minilm"));
        assert_eq!(nearest("max_words", ["maxWords", "minWords"]), Some("maxWords"));
        assert_eq!(nearest("whisper", names), None);
        let long = "x".repeat(NEAREST_CHARS_MAX + 1);
        assert_eq!(nearest(&long, [long.as_str()]), None);
    }

    #[test]
    fn shortening_keeps_the_length_and_removes_control_characters() {
        assert_eq!(shorten("abc\ndef", 10), "abc def");
        assert_eq!(shorten("abcdef", 4), "abc…");
    }
}
