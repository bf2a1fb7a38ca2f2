//! Names for manifests out of what runtimes and hosts call things. Pure.

use std::collections::BTreeSet;

use crate::core::Name;
use crate::core::key::NAME_CHARS_MAX;

/// Names that are given once each.
#[derive(Debug, Default)]
pub struct Names(BTreeSet<String>);

impl Names {
    /// The first name that is free: what `wanted` becomes, then the same with `more` behind it, then with a number.
    pub fn give(&mut self, wanted: &str, more: &str, fallback: &str) -> String {
        let plain = plain(wanted).unwrap_or_else(|| fallback.to_owned());
        let with_more = joined(&plain, &self::plain(more).unwrap_or_default());
        let numbered = (2_u32..).map(|number| joined(&plain, &number.to_string()));
        let mut candidates = [plain.clone(), with_more].into_iter().chain(numbered);
        // The numbers go on for longer than there are names to give.
        let free = candidates.find(|name| !self.0.contains(name)).unwrap_or(plain);
        self.0.insert(free.clone());
        free
    }
}

/// The most characters of what is put behind a name.
const BACK_CHARS_MAX: usize = 24;

/// `front-back`, with as much of `front` as there is room for. Both are made of ASCII only.
fn joined(front: &str, back: &str) -> String {
    let back = back.get(..back.len().min(BACK_CHARS_MAX)).unwrap_or(back).trim_end_matches(['-', '.']);
    if back.is_empty() {
        return front.to_owned();
    }
    let room = NAME_CHARS_MAX.saturating_sub(back.len() + 1);
    let front = front.get(..front.len().min(room)).unwrap_or(front).trim_end_matches(['-', '.']);
    format!("{front}-{back}")
}

/// `text` as a name: the last segment of a path, in small letters, with one dash for everything that no name may hold.
#[must_use]
pub fn plain(text: &str) -> Option<String> {
    let last = text.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let last = last.strip_suffix(".gguf").or_else(|| last.strip_suffix(":latest")).unwrap_or(last);
    let mut name = String::new();
    for c in last.chars().map(|c| c.to_ascii_lowercase()) {
        match c {
            'a'..='z' | '0'..='9' | '.' => name.push(c),
            _ if name.ends_with('-') => {}
            _ => name.push('-'),
        }
    }
    name.truncate(NAME_CHARS_MAX);
    let name = name.trim_matches(['-', '.']);
    Name::new(name).ok().map(|name| name.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runtimes_call_models_becomes_a_name() {
        for (text, name) in [
            ("llama3.2:3b", "llama3.2-3b"),
            ("llama3:latest", "llama3"),
            ("hexgrad/Kokoro-82M", "kokoro-82m"),
            ("org/a b  c_d/", "a-b-c-d"),
            ("Qwen2.5-7B-Instruct-Q4_K_M.gguf", "qwen2.5-7b-instruct-q4-k-m"),
            ("--.x.--", "x"),
        ] {
            assert_eq!(plain(text).as_deref(), Some(name), "{text}");
        }
        for nothing in ["", "///", "模型", ".-."] {
            assert_eq!(plain(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn names_are_given_once_and_always_valid() {
        let mut names = Names::default();
        let given: Vec<String> = ["a", "a", "A", "x/a", "模"].map(|name| names.give(name, "swap", "model")).to_vec();
        assert_eq!(given, ["a", "a-swap", "a-2", "a-3", "model"]);
        let long = "y".repeat(200);
        for _ in 0..12 {
            let name = names.give(&long, &long, "model");
            assert!(Name::new(&name).is_ok(), "{name}");
        }
    }
}
