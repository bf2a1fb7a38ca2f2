//! Why a prompt was not taken, from the shape in which ComfyUI tells it. Pure.

use serde_json::Value;

use crate::act::http::Answer;
use crate::act::runtime::adapter::{Fault, RuntimeError};
use crate::act::runtime::fault;
use crate::core::text::shorten;

/// How files of models end.
const MODEL_ENDINGS: &[&str] = &[".safetensors", ".sft", ".ckpt", ".pt", ".pth", ".bin", ".gguf", ".onnx"];
/// Inputs of ComfyUI's own loaders that name a model.
const MODEL_INPUTS: &[&str] = &[
    "ckpt_name",
    "clip_name",
    "clip_name1",
    "clip_name2",
    "clip_name3",
    "control_net_name",
    "gligen_name",
    "hypernetwork_name",
    "lora_name",
    "model_name",
    "style_model_name",
    "unet_name",
    "vae_name",
];
/// The most node errors that are told.
const ERRORS_MAX: usize = 5;

/// The error that the answer to a prompt tells of, whose status is not a success.
pub(super) fn refusal(answer: &Answer, asked: &str) -> RuntimeError {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    match body.get("error").filter(|error| error.is_object() && answer.status == 400) {
        Some(error) => of_body(error, body.get("node_errors").unwrap_or(&Value::Null), asked),
        None => fault::of_answer(answer, asked),
    }
}

fn of_body(error: &Value, node_errors: &Value, asked: &str) -> RuntimeError {
    let word = |key: &str| error.get(key).and_then(Value::as_str).unwrap_or_default();
    let (fault, why) = match (word("type"), missing_model(node_errors)) {
        ("missing_node_type", _) => (Fault::NotFound, "a custom node of the workflow is not installed".to_owned()),
        (_, Some(model)) => (Fault::NotFound, format!("model `{model}` is not installed")),
        ("prompt_outputs_failed_validation", None) => (Fault::BadInput, "the workflow has wrong inputs".to_owned()),
        (kind, None) => (Fault::BadInput, format!("the workflow is refused ({})", shorten(kind, 60))),
    };
    let parts = [word("message").to_owned(), word("details").to_owned(), nodes(node_errors).unwrap_or_default()];
    let words: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    RuntimeError::new(fault, format!("{asked}: {why}")).saying(&words.join("; "))
}

/// All errors of all nodes, each with its node's id and class.
fn each(node_errors: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    // Old versions send an empty list where there are none.
    node_errors.as_object().into_iter().flatten().flat_map(|(node, told)| {
        let class = told.get("class_type").and_then(Value::as_str).unwrap_or("node");
        let errors = told.get("errors").and_then(Value::as_array);
        errors.into_iter().flatten().map(move |error| (node.as_str(), class, error))
    })
}

/// A model file that is not in the list of those that there are.
fn missing_model(node_errors: &Value) -> Option<String> {
    each(node_errors).find_map(|(_, _, error)| {
        let named = error.pointer("/extra_info/input_name").and_then(Value::as_str).unwrap_or_default();
        let given = error.pointer("/extra_info/received_value").and_then(Value::as_str).unwrap_or_default();
        let lower = given.to_lowercase();
        let is_model = MODEL_INPUTS.contains(&named) || MODEL_ENDINGS.iter().any(|ending| lower.ends_with(ending));
        (error.get("type")? == "value_not_in_list" && is_model).then(|| shorten(given, 120))
    })
}

/// What is wrong with which nodes, in its own words; none when nothing is.
pub(super) fn nodes(node_errors: &Value) -> Option<String> {
    let told: Vec<String> = each(node_errors)
        .take(ERRORS_MAX)
        .map(|(node, class, error)| {
            let word = |key: &str| error.get(key).and_then(Value::as_str).unwrap_or_default();
            format!(
                "{} {}: {} {}",
                shorten(class, 60),
                shorten(node, 40),
                word("message"),
                shorten(word("details"), 160)
            )
        })
        .collect();
    (!told.is_empty()).then(|| told.join("; "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn not_in_list(input: &str, given: &str) -> Value {
        json!({"4": {"class_type": "Loader", "dependent_outputs": ["9"], "errors": [{"type": "value_not_in_list",
            "message": "Value not in list", "details": format!("{input}: '{given}' not in ['a']"),
            "extra_info": {"input_name": input, "input_config": null, "received_value": given}}]}})
    }

    #[test]
    fn what_is_not_installed_is_told_from_what_is_wrong() {
        let failed = json!({"type": "prompt_outputs_failed_validation", "message": "Prompt outputs failed validation", "details": ""});
        for (error, nodes, fault, why) in [
            (
                &failed,
                not_in_list("ckpt_name", "x.safetensors"),
                Fault::NotFound,
                "model `x.safetensors` is not installed",
            ),
            (&failed, not_in_list("some_file", "x.GGUF"), Fault::NotFound, "model `x.GGUF` is not installed"),
            (&failed, not_in_list("sampler_name", "eular"), Fault::BadInput, "wrong inputs"),
            (
                &json!({"type": "missing_node_type", "message": "Node 'Foo' not found"}),
                json!({}),
                Fault::NotFound,
                "custom node",
            ),
            (&json!({"type": "no_prompt", "message": "No prompt provided"}), json!([]), Fault::BadInput, "(no_prompt)"),
            (
                &json!({"type": "prompt_no_outputs", "message": "x"}),
                json!(null),
                Fault::BadInput,
                "(prompt_no_outputs)",
            ),
        ] {
            let error = of_body(error, &nodes, "cannot do it");
            assert!(error.fault == fault && error.message.contains(why), "{why}: {error}");
            assert!(error.words.is_some(), "{error}");
        }
        let error = of_body(&failed, &not_in_list("sampler_name", "eular"), "x");
        assert!(error.words.unwrap().contains("Loader 4: Value not in list sampler_name: 'eular' not in ['a']"));
    }
}
