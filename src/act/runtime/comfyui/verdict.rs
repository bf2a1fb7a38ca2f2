//! What a prompt came to, from its entry in the history. Pure.

use serde_json::Value;

use crate::act::runtime::adapter::{Fault, RuntimeError};
use crate::act::runtime::fault;
use crate::core::text::shorten;

use super::paths::Look;
use super::wire::Entry;

/// The most outputs of one prompt that are fetched.
const OUTPUTS_MAX: usize = 256;

/// An output of a prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Made {
    /// A file to fetch, and its name there.
    File {
        look: Look,
        name: String,
    },
    Text(String),
}

/// The outputs of a prompt that ended well; those of `only` these nodes, when it names any.
///
/// # Errors
/// How it failed.
pub(super) fn verdict(entry: &Entry, only: &[String], asked: &str) -> Result<Vec<Made>, RuntimeError> {
    if !entry.is_success() {
        return Err(failure(entry, asked));
    }
    let wanted = |node: &str| only.is_empty() || only.iter().any(|wanted| wanted == node);
    let mut made = Vec::new();
    let mut drafts = Vec::new();
    for (_, output) in entry.outputs.iter().filter(|(node, _)| wanted(node)) {
        for (key, values) in output.as_object().into_iter().flatten() {
            for value in values.as_array().map_or(std::slice::from_ref(values), Vec::as_slice) {
                match one(key, value) {
                    // What lies among the temporary files is a preview of something.
                    Some(Made::File { look: look @ Look::View { .. }, name }) if is_draft(&look) => {
                        drafts.push(Made::File { look, name });
                    }
                    Some(one) => made.push(one),
                    None => {}
                }
            }
        }
    }
    if made.is_empty() {
        made = drafts;
    }
    if made.is_empty() {
        let message =
            format!("{asked}: it ended well and left nothing that can be fetched; has the workflow an output node?");
        return Err(RuntimeError::new(Fault::RuntimeError, message));
    }
    if made.len() > OUTPUTS_MAX {
        let message = format!("{asked}: it made {} outputs; at most {OUTPUTS_MAX} are fetched", made.len());
        return Err(RuntimeError::new(Fault::BadInput, message));
    }
    Ok(made)
}

fn is_draft(look: &Look) -> bool {
    matches!(look, Look::View { kind, .. } if kind == "temp")
}

fn one(key: &str, value: &Value) -> Option<Made> {
    let word = |key: &str| value.get(key).and_then(Value::as_str);
    match (key, value) {
        ("text", Value::String(text)) => Some(Made::Text(text.clone())),
        (_, Value::Object(_)) => {
            let name = word("filename").filter(|name| !name.is_empty())?.to_owned();
            let subfolder = word("subfolder").unwrap_or_default().to_owned();
            let kind = word("type").unwrap_or("output").to_owned();
            Some(Made::File { look: Look::View { name: name.clone(), subfolder, kind }, name })
        }
        _ => None,
    }
}

fn failure(entry: &Entry, asked: &str) -> RuntimeError {
    if let Some(told) = entry.message("execution_error") {
        let word = |key: &str| told.get(key).and_then(Value::as_str).unwrap_or_default();
        let words = format!("{}: {}", word("exception_type"), word("exception_message").trim());
        let fault = if fault::tells_of_memory(&words) { Fault::OutOfMemory } else { Fault::RuntimeError };
        let (class, node) = (shorten(word("node_type"), 60), shorten(word("node_id"), 40));
        return RuntimeError::new(fault, format!("{asked}: {class} (node {node}) failed")).saying(&words);
    }
    let what = if entry.message("execution_interrupted").is_some() {
        "it was interrupted there by somebody else"
    } else {
        "it failed, and does not tell why"
    };
    RuntimeError::new(Fault::RuntimeError, format!("{asked}: {what}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(outputs: Value, status: &str, messages: Value) -> Entry {
        let status = json!({"status_str": status, "completed": status == "success", "messages": messages});
        serde_json::from_value(json!({"outputs": outputs, "status": status})).unwrap()
    }

    fn names(outputs: Value, only: &[String]) -> Vec<String> {
        let made = verdict(&entry(outputs, "success", json!([])), only, "cannot").unwrap_or_default();
        let name = |made: Made| match made {
            Made::File { name, .. } => name,
            Made::Text(text) => text,
        };
        made.into_iter().map(name).collect()
    }

    #[test]
    fn outputs_of_every_key_are_found_and_previews_count_only_where_there_is_nothing_else() {
        let file = |name: &str, kind: &str| json!({"filename": name, "subfolder": "", "type": kind});
        let outputs = json!({
            "9": {"images": [file("a.png", "output"), file("b.png", "output")], "animated": [true]},
            "10": {"gifs": [file("c.mp4", "output")], "images": [file("p.png", "temp")]},
            "11": {"text": ["said"], "audio": [file("d.flac", "output")]},
        });
        assert_eq!(names(outputs.clone(), &[]), ["c.mp4", "d.flac", "said", "a.png", "b.png"]);
        assert_eq!(names(outputs, &["9".to_owned()]), ["a.png", "b.png"]);
        assert_eq!(names(json!({"9": {"images": [file("p.png", "temp")]}}), &[]), ["p.png"]);
        assert!(names(json!({"9": {"animated": [true]}}), &[]).is_empty());
    }

    #[test]
    fn quirk_10_memory_that_ran_out_is_told_as_such() {
        for (kind, words, fault) in [
            ("torch.OutOfMemoryError", "Allocation on device 0 would exceed allowed memory.", Fault::OutOfMemory),
            ("RuntimeError", "CUDA error: out of memory", Fault::OutOfMemory),
            ("ValueError", "shapes differ", Fault::RuntimeError),
        ] {
            let told = json!([["execution_error", {"exception_type": kind, "exception_message": words, "node_id": "3", "node_type": "KSampler"}]]);
            let error = verdict(&entry(json!({}), "error", told), &[], "cannot do it").unwrap_err();
            assert_eq!(error.fault, fault, "{error}");
            assert!(error.message.ends_with("KSampler (node 3) failed") && error.words.unwrap().contains(words));
        }
        let told = json!([["execution_interrupted", {}]]);
        let error = verdict(&entry(json!({}), "error", told), &[], "cannot do it").unwrap_err();
        assert!(error.message.contains("interrupted"), "{error}");
    }
}
