//! How many tokens a task's input is: an estimate for the scheduler's fit check, made before anything is loaded.
//!
//! A token of English text is about four characters in the vocabularies of current language models (OpenAI, "What are
//! tokens and how to count them?", Help Center). It is only estimated for text that a language model is to read; where
//! nothing can be said, nothing is claimed, and the runtime has the last word.

use std::path::Path;

use crate::remember::store::row::TaskRow;

use super::shared::Shared;

/// Bytes of text that make one token.
const BYTES_PER_TOKEN: u64 = 4;
/// File names that mean text.
const TEXT: [&str; 8] = ["txt", "md", "csv", "json", "jsonl", "html", "xml", "yaml"];

/// The tokens of a task's input; none when it is not text, or cannot be told.
pub async fn estimate(shared: &Shared, row: &TaskRow) -> Option<u32> {
    if !row.spec.capability.0.first()?.starts_with("text.") {
        return None;
    }
    let mut bytes = row.spec.inputs.text.as_ref().map_or(0, |text| text.len() as u64);
    if row.object.is_none() {
        // Files of the repository are read when the task runs: looking into Git here would make every commit wait.
        for path in row.spec.inputs.files.iter().filter(|path| is_text(path)) {
            let allowed = shared.inputs_dirs.iter().any(|dir| Path::new(path).starts_with(dir));
            if allowed && let Ok(found) = tokio::fs::metadata(path).await {
                bytes = bytes.saturating_add(found.len());
            }
        }
    }
    (bytes > 0).then(|| tokens(bytes))
}

fn tokens(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(BYTES_PER_TOKEN)).unwrap_or(u32::MAX)
}

fn is_text(path: &str) -> bool {
    let extension = Path::new(path).extension().and_then(|it| it.to_str()).map(str::to_ascii_lowercase);
    extension.is_some_and(|extension| TEXT.contains(&extension.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_bytes_are_a_token_and_a_rest_is_one_more() {
        assert_eq!([0, 1, 4, 5, 4_000].map(tokens), [0, 1, 1, 2, 1_000]);
        assert_eq!(tokens(u64::MAX), u32::MAX);
    }

    #[test]
    fn only_files_that_are_text_by_name_count() {
        assert!(["a.txt", "b/c.MD", "x.jsonl"].iter().all(|path| is_text(path)));
        assert!(!["a.pdf", "txt", "b.md/c", "x.png"].iter().any(|path| is_text(path)));
    }
}
