//! From the bytes of files to parsed files: on all cores when there are many, and with a panic costing one file.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

use serde::Deserializer as _;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::declare::manifest::{self, ParsedFile};

use super::fault::Fault;
use super::options::MANIFEST_BYTES_MAX;
use super::{Error, place};

/// Files that are in memory at once.
const BATCH: usize = 512;
/// Threads that parse; more files than this for each of them make starting one worth it.
const THREADS_MAX: usize = 8;
const FILES_PER_THREAD_MIN: usize = 32;

/// How bytes become documents: [`manifest::parse::file`], and in tests something that counts or fails.
pub(super) type Parse = fn(&str, &[u8]) -> ParsedFile;

/// What a file holds, or that it is too large to be read.
#[derive(Debug)]
pub(super) enum Content {
    Bytes(Vec<u8>),
    TooLarge(u64),
}

/// Parses every file, in order; `None` for what turns out to be data and no manifest.
///
/// # Errors
/// The first error of `files`.
pub(super) fn parse_all(
    parse: Parse,
    files: impl Iterator<Item = Result<(Arc<str>, Content), Error>>,
) -> Result<Vec<Option<ParsedFile>>, Error> {
    let mut files = files.peekable();
    let mut parsed = Vec::new();
    while files.peek().is_some() {
        let batch = files.by_ref().take(BATCH).collect::<Result<Vec<_>, _>>()?;
        let cores = thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
        let share = batch.len().div_ceil(cores).max(FILES_PER_THREAD_MIN);
        let parse_share = |share: &[(Arc<str>, Content)]| -> Vec<_> {
            share.iter().map(|(path, content)| parse_one(parse, path, content)).collect()
        };
        if batch.len() <= share {
            parsed.extend(parse_share(&batch));
            continue;
        }
        thread::scope(|scope| {
            let workers: Vec<_> = batch.chunks(share).map(|share| scope.spawn(move || parse_share(share))).collect();
            for worker in workers {
                parsed.extend(worker.join().expect("a panic of the parser is caught in `parse_one`"));
            }
        });
    }
    Ok(parsed)
}

fn parse_one(parse: Parse, path: &str, content: &Content) -> Option<ParsedFile> {
    let bytes = match content {
        Content::TooLarge(bytes) => return Some(manifest::parse::too_large(path, *bytes)),
        Content::Bytes(bytes) => bytes,
    };
    if place::may_be_data(path) && is_data(bytes) {
        return None;
    }
    if bytes.len() as u64 > MANIFEST_BYTES_MAX {
        return Some(manifest::parse::too_large(path, bytes.len() as u64));
    }
    let file = catch_unwind(AssertUnwindSafe(|| parse(path, bytes)));
    Some(file.unwrap_or_else(|_| Fault::ParserFailed.file(path)))
}

/// Whether JSON is golden-set cases and no manifest: its top level is no object, or an object with neither `apiVersion`
/// nor `kind`. What is no valid JSON counts as a manifest, so that the mistake is reported.
fn is_data(bytes: &[u8]) -> bool {
    serde_json::Deserializer::from_slice(bytes).deserialize_any(IsData).unwrap_or(false)
}

struct IsData;

impl<'de> Visitor<'de> for IsData {
    type Value = bool;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a list or an object")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<bool, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(true)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let mut data = true;
        while let Some((key, IgnoredAny)) = map.next_entry::<String, _>()? {
            data &= key != "apiVersion" && key != "kind";
        }
        Ok(data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_in_json_are_told_from_manifests_by_their_top_level() {
        for data in [r#"[{"id": "a"}]"#, "[]", r#"{"cases": [{"kind": "x"}]}"#] {
            assert!(is_data(data.as_bytes()), "{data}");
        }
        for manifest in [r#"{"apiVersion": "arcology/v1alpha1"}"#, r#"{"kind": "GoldenSet"}"#, "{", "", "[1,", "3"] {
            assert!(!is_data(manifest.as_bytes()), "{manifest}");
        }
    }

    #[test]
    fn a_parser_that_panics_costs_one_file_and_many_files_keep_their_order() {
        fn touchy(path: &str, bytes: &[u8]) -> ParsedFile {
            assert!(!path.ends_with("7.yaml"), "touchy");
            manifest::parse::file(path, bytes)
        }
        let count = BATCH + 100;
        let files = (0..count).map(|n| Ok((format!("manifests/{n}.yaml").into(), Content::Bytes(b"kind: [".to_vec()))));
        let parsed = parse_all(touchy, files).unwrap();
        assert_eq!(parsed.len(), count);
        for (n, file) in parsed.iter().enumerate() {
            let file = file.as_ref().unwrap();
            assert_eq!(&*file.path, format!("manifests/{n}.yaml"));
            assert_eq!(*file == Fault::ParserFailed.file(&file.path), n % 10 == 7, "{n}");
        }
    }

    #[test]
    fn the_first_file_that_cannot_be_read_ends_it() {
        let failed = || Err(Error::FileMissing { path: "x".into() });
        let files = (0..3).map(|n| if n == 1 { failed() } else { Ok((Arc::from("a.yaml"), Content::TooLarge(9))) });
        assert!(matches!(parse_all(manifest::parse::file, files), Err(Error::FileMissing { .. })));
    }
}
