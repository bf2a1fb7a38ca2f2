//! A workflow with its inputs filled in. Pure.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::act::runtime::adapter::{Fault, RuntimeError};
use crate::core::text::{nearest, shorten};
use crate::declare::manifest::kind::options::comfyui::WorkflowOption;

/// The longest text of one input.
const TEXT_BYTES_MAX: usize = 256 * 1024;

/// What a task gives to its workflow.
#[derive(Debug)]
pub(super) struct Given<'a> {
    pub capability: &'a str,
    pub text: Option<&'a str>,
    /// The file of the model.
    pub model: Option<&'a str>,
    /// The names of the task's files, as ComfyUI keeps them.
    pub files: &'a [String],
    pub params: &'a BTreeMap<String, Value>,
    /// The seed for a task that gives none.
    pub seed: u64,
}

/// A workflow as it will run.
#[derive(Debug, PartialEq)]
pub(super) struct Filled {
    pub graph: Map<String, Value>,
    /// The seed, where the workflow has one among its inputs.
    pub seed: Option<u64>,
    /// The model file, where the workflow has it among its inputs, or it was asked for.
    pub model: Option<String>,
}

fn bad(message: String) -> RuntimeError {
    RuntimeError::new(Fault::BadInput, message)
}

/// The input that a task's file number `at` goes to: `image`, `image2`…
pub(super) fn file_input(at: usize) -> String {
    if at == 0 { "image".to_owned() } else { format!("image{}", at + 1) }
}

/// Fills what is given into `graph`.
///
/// # Errors
/// Bad input that names what has no place, or does not fit into it.
pub(super) fn fill(
    option: &WorkflowOption,
    mut graph: Map<String, Value>,
    given: &Given<'_>,
) -> Result<Filled, RuntimeError> {
    let mut values = given.params.clone();
    let mut add = |name: String, value: Value, what: &str| {
        if !option.inputs.contains_key(&name) {
            let capability = given.capability;
            return Err(bad(format!("the workflow of {capability} has no input `{name}`, which {what} would go to")));
        }
        match values.insert(name.clone(), value) {
            Some(_) => Err(bad(format!("`{name}` is given twice: as a setting, and as {what}"))),
            None => Ok(()),
        }
    };
    if let Some(text) = given.text {
        add("prompt".to_owned(), text.into(), "the task's text")?;
    }
    for (at, file) in given.files.iter().enumerate() {
        add(file_input(at), file.as_str().into(), "the task's file")?;
    }
    match given.model {
        Some(model) if option.inputs.contains_key("model") => {
            add("model".to_owned(), model.into(), "the task's model")?
        }
        Some(model) if !mentions(&graph, model) => {
            let capability = given.capability;
            let message =
                format!("the workflow of {capability} has no input `model`, and does not use {model} by itself");
            return Err(bad(message));
        }
        Some(_) | None => {}
    }
    if option.inputs.contains_key("seed") {
        values.entry("seed".to_owned()).or_insert_with(|| given.seed.into());
    }
    for (name, value) in &values {
        set(option, &mut graph, given.capability, name, value)?;
    }
    let model =
        given.model.map(str::to_owned).or_else(|| current(option, &graph, "model")?.as_str().map(str::to_owned));
    Ok(Filled { seed: values.get("seed").and_then(Value::as_u64), model, graph })
}

/// What stands where the input `name` goes to.
fn current<'a>(option: &WorkflowOption, graph: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let (node, input) = option.inputs.get(name)?.all().first()?.parts().ok()?;
    graph.get(node)?.get("inputs")?.get(input)
}

fn set(
    option: &WorkflowOption,
    graph: &mut Map<String, Value>,
    capability: &str,
    name: &str,
    value: &Value,
) -> Result<(), RuntimeError> {
    let Some(targets) = option.inputs.get(name) else {
        let names = || option.inputs.keys().map(String::as_str);
        let hint = match nearest(name, names()) {
            Some(near) => format!("; did you mean `{near}`?"),
            None if option.inputs.is_empty() => "; it has none".to_owned(),
            None => format!("; it has {}", names().collect::<Vec<_>>().join(", ")),
        };
        return Err(bad(format!("the workflow of {capability} has no input `{name}`{hint}")));
    };
    for target in targets.all() {
        let (node, input) = target.parts().map_err(bad)?;
        let place =
            graph.get_mut(node).and_then(|node| node.get_mut("inputs")).and_then(|inputs| inputs.get_mut(input));
        let place = place.ok_or_else(|| bad(format!("the workflow of {capability} has no {node}.inputs.{input}")))?;
        if let Err(wanted) = fits(place, value) {
            let shown = shorten(&value.to_string(), 40);
            return Err(bad(format!("`{name}` is {wanted} in the workflow of {capability}, not {shown}")));
        }
        *place = value.clone();
    }
    Ok(())
}

/// Whether `value` may stand in place of `before`; otherwise what may.
fn fits(before: &Value, value: &Value) -> Result<(), &'static str> {
    let (right, wanted) = match (before, value) {
        (Value::String(_), _) => (value.as_str().is_some_and(|text| text.len() <= TEXT_BYTES_MAX), "a text"),
        // ComfyUI writes 7 for 7.0, so a whole number may become a broken one; but a seed below zero is none.
        (Value::Number(_), _) => (value.is_number(), "a number"),
        (Value::Bool(_), _) => (value.is_boolean(), "true or false"),
        (Value::Null, _) => (!value.is_object() && !value.is_array(), "a text, a number, true or false"),
        (Value::Array(_) | Value::Object(_), _) => (false, "no place for a value"),
    };
    if right { Ok(()) } else { Err(wanted) }
}

/// Whether any input of a node is just this text.
fn mentions(graph: &Map<String, Value>, text: &str) -> bool {
    let inputs = graph.values().filter_map(|node| node.get("inputs")?.as_object());
    inputs.flat_map(Map::values).any(|value| value.as_str() == Some(text))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn option() -> WorkflowOption {
        serde_json::from_value(json!({
            "workflow": {
                "3": {"class_type": "KSampler", "inputs": {"seed": 1, "steps": 20, "cfg": 7, "model": ["4", 0]}},
                "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "a.safetensors"}},
                "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a cat"}},
            },
            "inputs": {"prompt": "6.text", "seed": "3.seed", "steps": "3.steps", "cfg": "3.cfg", "model": "4.ckpt_name"},
        }))
        .unwrap()
    }

    fn filled(
        option: &WorkflowOption,
        text: Option<&str>,
        model: Option<&str>,
        params: Value,
    ) -> Result<Filled, String> {
        let params = serde_json::from_value(params).unwrap();
        let given = Given { capability: "image.gen", text, model, files: &[], params: &params, seed: 77 };
        fill(option, option.workflow.clone().unwrap(), &given).map_err(|error| error.message)
    }

    #[test]
    fn what_a_task_gives_goes_to_its_places_and_a_seed_is_chosen_where_none_is_given() {
        let done = filled(&option(), Some("a dog"), Some("b.safetensors"), json!({"steps": 4, "cfg": 3.5})).unwrap();
        assert_eq!(done.graph["6"]["inputs"]["text"], "a dog");
        assert_eq!(done.graph["3"]["inputs"], json!({"seed": 77, "steps": 4, "cfg": 3.5, "model": ["4", 0]}));
        assert_eq!(done.graph["4"]["inputs"]["ckpt_name"], "b.safetensors");
        assert_eq!((done.seed, done.model.as_deref()), (Some(77), Some("b.safetensors")));
        let done = filled(&option(), None, None, json!({"seed": 5, "prompt": "x"})).unwrap();
        assert_eq!((done.seed, done.model.as_deref()), (Some(5), Some("a.safetensors")));
    }

    #[test]
    fn what_has_no_place_or_does_not_fit_is_refused() {
        for (text, params, why) in [
            (None, json!({"sede": 1}), "has no input `sede`; did you mean `seed`?"),
            (None, json!({"seed": "many"}), "`seed` is a number in the workflow of image.gen, not \"many\""),
            (None, json!({"prompt": 3}), "`prompt` is a text"),
            (None, json!({"steps": ["3", 0]}), "`steps` is a number"),
            (Some("x"), json!({"prompt": "y"}), "`prompt` is given twice"),
        ] {
            let error = filled(&option(), text, None, params).unwrap_err();
            assert!(error.contains(why), "{why}: {error}");
        }
        let without = WorkflowOption { inputs: BTreeMap::new(), ..option() };
        assert!(filled(&without, Some("x"), None, json!({})).unwrap_err().contains("no input `prompt`"));
        assert!(filled(&without, None, Some("b.safetensors"), json!({})).unwrap_err().contains("no input `model`"));
        assert!(filled(&without, None, Some("a.safetensors"), json!({})).is_ok(), "it uses that one by itself");
    }
}
