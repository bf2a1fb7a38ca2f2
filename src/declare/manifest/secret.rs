//! What looks like a secret, so that a diagnostic never repeats one: manifests are public, tokens must not be.

/// How tokens of well-known services begin, as their own documentation shows them.
const PREFIXES: &[&str] = &[
    "sk-",
    "sk_live_",
    "hf_",
    "ghp_",
    "gho_",
    "ghs_",
    "ghu_",
    "github_pat_",
    "glpat-",
    "xoxb-",
    "xoxp-",
    "AKIA",
    "eyJ",
];
/// Fewer characters than this are a word, not a token.
const TOKEN_CHARS_MIN: usize = 20;

/// Whether a word looks like a token: a known beginning, and long.
#[must_use]
pub fn looks_like_token(word: &str) -> bool {
    word.chars().count() >= TOKEN_CHARS_MIN && PREFIXES.iter().any(|prefix| word.starts_with(prefix))
}

/// Whether a field of this name would hold a secret.
#[must_use]
pub fn names_a_secret(field: &str) -> bool {
    let plain: String = field.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    ["token", "apitoken", "apikey", "password", "passwd", "secret", "accesstoken", "authtoken", "bearer", "bearertoken"]
        .contains(&plain.as_str())
}

/// The text with everything that looks like a secret overwritten by `*`, its length unchanged: tokens, the values of
/// fields that are named like one, and credentials in a URL.
#[must_use]
pub fn hide(text: &str) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    hide_words(&mut chars);
    hide_url_credentials(&mut chars);
    hide_field_values(&mut chars);
    chars.into_iter().collect()
}

fn is_word_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '+' | '/' | '=')
}

fn words(chars: &[char]) -> Vec<(usize, usize)> {
    let mut words = Vec::new();
    let mut start = None;
    for (at, c) in chars.iter().copied().chain([' ']).enumerate() {
        match (is_word_char(c), start) {
            (true, None) => start = Some(at),
            (false, Some(from)) => {
                words.push((from, at));
                start = None;
            }
            (true, Some(_)) | (false, None) => {}
        }
    }
    words
}

fn hide_words(chars: &mut [char]) {
    for (start, end) in words(chars) {
        let word: String = chars[start..end].iter().collect();
        if looks_like_token(&word) {
            chars[start..end].fill('*');
        }
    }
}

/// Overwrites what stands between `://` and `@` of the same word.
fn hide_url_credentials(chars: &mut [char]) {
    let mut at = 0;
    while at + 3 <= chars.len() {
        if chars[at..at + 3] == [':', '/', '/'] {
            let from = at + 3;
            let stop = |c: &char| c.is_whitespace() || matches!(c, '/' | '"' | '\'' | '?' | '#');
            let end = chars[from..].iter().position(stop).map_or(chars.len(), |n| from + n);
            if let Some(host) = chars[from..end].iter().rposition(|c| *c == '@') {
                chars[from..from + host].fill('*');
            }
        }
        at += 1;
    }
}

/// Overwrites the value behind `token:` and the like.
fn hide_field_values(chars: &mut [char]) {
    for (start, end) in words(chars) {
        let word: String = chars[start..end].iter().collect();
        let after = if chars.get(end).is_some_and(|c| matches!(c, '"' | '\'')) { end + 1 } else { end };
        if chars.get(after) != Some(&':') || !names_a_secret(&word) {
            continue;
        }
        let value_start =
            chars[after + 1..].iter().position(|c| !c.is_whitespace()).map_or(chars.len(), |n| after + 1 + n);
        let value_end = chars[value_start..]
            .iter()
            .position(|c| matches!(c, ',' | '}' | ']'))
            .map_or(chars.len(), |n| value_start + n);
        for c in &mut chars[value_start..value_end] {
            if !c.is_whitespace() && !matches!(c, '{' | '[' | '"' | '\'') {
                *c = '*';
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_overwritten_and_nothing_moves() {
        for (text, hidden) in [
            ("file: sk-abcdefghijklmnopqrstuvwxyz", "file: *****************************"),
            ("endpoint: http://user:pass@host:80/x", "endpoint: http://*********@host:80/x"),
            ("auth: {token: abc, x: 1}", "auth: {token: ***, x: 1}"),
            ("\"api_key\": \"a b\"", "\"api_key\": \"* *\""),
            ("password: hunter2", "password: *******"),
        ] {
            assert_eq!(hide(text), hidden);
        }
    }

    #[test]
    fn ordinary_lines_stay_as_they_are() {
        for text in [
            "host: desk",
            "auth: {tokenFrom: {file: swap-token}}",
            "endpoint: http://127.0.0.1:8080",
            "source: hf:Qwen/Qwen2.5-7B-Instruct-GGUF:qwen2.5-7b-instruct-q4_k_m.gguf@main",
            "sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "contextTokens: 32000",
        ] {
            assert_eq!(hide(text), text);
        }
    }
}
