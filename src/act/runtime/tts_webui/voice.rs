//! A voice beside those that a speech server lists. Pure.

use crate::core::text::{nearest, shorten};

/// Voices that are named in a sentence.
const NAMED_MAX: usize = 4;
/// The longest name that is repeated in a sentence, in characters.
const NAME_CHARS_MAX: usize = 80;

/// The part of `voice` that is not `listed`; none where nothing is listed, since some servers list nothing at all.
pub(super) fn stranger<'a>(voice: &'a str, listed: &[String]) -> Option<&'a str> {
    if listed.is_empty() || listed.iter().any(|name| name == voice) {
        return None;
    }
    // Kokoro mixes: `af_bella(2)+af_sky(1)`.
    let mut parts = voice.split('+').map(|part| part.split('(').next().unwrap_or(part).trim());
    parts.find(|part| listed.iter().all(|name| name != part))
}

/// `; did you mean …?`, or nothing.
pub(super) fn hint(stranger: &str, listed: &[String]) -> String {
    let near = nearest(stranger, listed.iter().map(String::as_str));
    near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default()
}

/// Why nothing is spoken with `options.voice` where a task names no voice; none when the voice is there, or may be there.
pub(super) fn lacking(voice: &str, listed: &[String]) -> Option<String> {
    let stranger = stranger(voice, listed)?;
    let named: Vec<String> =
        listed.iter().take(NAMED_MAX).map(|name| format!("`{}`", shorten(name, NAME_CHARS_MAX))).collect();
    let more = listed.len().saturating_sub(NAMED_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let stranger_shown = shorten(stranger, NAME_CHARS_MAX);
    Some(format!(
        "it has no voice `{stranger_shown}` (`options.voice`); it lists {}{more}{}",
        named.join(", "),
        hint(stranger, listed)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_voice_that_is_not_listed_is_told_with_those_that_are_and_the_nearest() {
        let four = listed(&["af_bella", "af_sky", "bm_george", "a+b"]);
        for (voice, why) in [
            ("af_sky", None),
            ("a+b", None),
            ("af_bella(2)+af_sky(1)", None),
            (
                "af_bela",
                Some(
                    "it has no voice `af_bela` (`options.voice`); it lists `af_bella`, `af_sky`, `bm_george`, `a+b`; did \
                     you mean `af_bella`?",
                ),
            ),
            (
                "af_sky(1)+whisperer",
                Some(
                    "it has no voice `whisperer` (`options.voice`); it lists `af_bella`, `af_sky`, `bm_george`, `a+b`",
                ),
            ),
        ] {
            assert_eq!(lacking(voice, &four).as_deref(), why, "{voice}");
        }
        let many = listed(&["v1", "v2", "v3", "v4", "v5", "v6"]);
        assert!(lacking("somebody", &many).unwrap().ends_with("`v4` and 2 more"));
    }

    #[test]
    fn a_server_that_lists_no_voice_is_not_accused() {
        assert_eq!(lacking("anybody", &[]), None);
    }
}
