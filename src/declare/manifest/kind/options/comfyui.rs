//! `options:` of a ComfyUI: which workflow does a capability, and where in it the named inputs go.
//!
//! A workflow is a graph in ComfyUI's API format: node id → `class_type` and `inputs`. It stands in the manifest, where it is
//! checked at once, or in a file of the repository, which is checked when it is read.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::core::text::nearest;

/// The largest workflow, as JSON. Those of the web UI's gallery have some tens of KiB.
pub const WORKFLOW_BYTES_MAX: usize = 1 << 20;
/// The most that `outputsMb` may be.
const OUTPUTS_MB_MAX: u64 = 1024;
/// The most nodes of a workflow.
pub const NODES_MAX: usize = 2_000;

/// Options of the adapter `comfyui`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ComfyuiOptions {
    /// Which workflow does what: capability → workflow.
    #[serde(deserialize_with = "checked")]
    pub workflows: BTreeMap<String, WorkflowOption>,
    /// The model folders that are listed. A model is named by its folder and its file: `checkpoints/a.safetensors`.
    pub model_folders: Vec<String>,
    /// Asks it to give up its memory after each task, when nothing else waits there.
    pub free_after: bool,
    /// The most that all outputs of one task have together, in MB: 1 to 1024. They are held in memory until they are kept.
    #[schemars(range(min = 1, max = 1024))]
    #[serde(deserialize_with = "outputs_mb")]
    pub outputs_mb: u64,
}

impl Default for ComfyuiOptions {
    fn default() -> Self {
        let model_folders = ["checkpoints", "diffusion_models"].map(str::to_owned).to_vec();
        Self { workflows: BTreeMap::new(), model_folders, free_after: true, outputs_mb: 64 }
    }
}

/// A workflow and its named inputs. Either `file` or `workflow`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct WorkflowOption {
    /// A JSON file of the repository in ComfyUI's API format (Workflow > Export (API)).
    pub file: Option<String>,
    /// The same, in place.
    pub workflow: Option<Map<String, Value>>,
    /// The inputs that a task may give, and where each goes. `prompt` gets the task's text, `model` the model's file, `image`,
    /// `image2`… the task's files; `seed` is chosen when a task gives none.
    pub inputs: BTreeMap<String, Targets>,
    /// The nodes whose outputs are kept. Absent: all.
    pub outputs: Vec<String>,
}

/// Where an input goes.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Targets {
    // First, or a list of two texts would be read as node and input.
    Several(Vec<Target>),
    One(Target),
}

/// One input of one node.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Target {
    /// `6.inputs.text`, or `6.text`.
    Path(String),
    Spelled(SpelledTarget),
}

/// One input of one node, spelled out.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SpelledTarget {
    pub node: String,
    pub input: String,
}

impl Targets {
    /// Each of them.
    #[must_use]
    pub fn all(&self) -> &[Target] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Several(several) => several,
        }
    }
}

impl Target {
    /// The node and the name of its input.
    ///
    /// # Errors
    /// When the path has not these two parts.
    pub fn parts(&self) -> Result<(&str, &str), String> {
        match self {
            Self::Spelled(SpelledTarget { node, input }) => Ok((node, input)),
            Self::Path(path) => {
                let parts =
                    path.split_once('.').map(|(node, rest)| (node, rest.strip_prefix("inputs.").unwrap_or(rest)));
                parts.filter(|(node, input)| !node.is_empty() && !input.is_empty()).ok_or_else(|| {
                    format!("`{path}` names no input of a node; write NODE.inputs.NAME, as in 6.inputs.text")
                })
            }
        }
    }
}

/// Reads the bytes of a workflow file.
///
/// # Errors
/// What is wrong with it, and how to come by a right one.
pub fn parse(bytes: &[u8]) -> Result<Map<String, Value>, String> {
    if bytes.len() > WORKFLOW_BYTES_MAX {
        return Err(format!("it has {} bytes; a workflow has at most {WORKFLOW_BYTES_MAX}", bytes.len()));
    }
    let graph: Value = serde_json::from_slice(bytes).map_err(|error| format!("it is not JSON: {error}"))?;
    let Value::Object(graph) = graph else { return Err("it is no JSON object of nodes".to_owned()) };
    is_api_format(&graph)?;
    Ok(graph)
}

/// Whether `graph` is in the API format.
fn is_api_format(graph: &Map<String, Value>) -> Result<(), String> {
    const EXPORT: &str = "in ComfyUI open it and choose Workflow > Export (API)";
    if graph.get("nodes").is_some_and(Value::is_array) {
        return Err(format!("it is the web UI's own format, which cannot be run; {EXPORT}"));
    }
    if graph.get("prompt").is_some_and(|prompt| prompt.is_object() && prompt.get("class_type").is_none()) {
        return Err("the nodes stand below `prompt`, as in a request; they must stand at the top".to_owned());
    }
    if graph.is_empty() || graph.len() > NODES_MAX {
        return Err(format!("it has {} nodes; a workflow has 1 to {NODES_MAX}", graph.len()));
    }
    let is_node = |node: &Value| {
        node.get("class_type").is_some_and(Value::is_string) && node.get("inputs").is_some_and(Value::is_object)
    };
    match graph.iter().find(|(_, node)| !is_node(node)) {
        Some((id, _)) => {
            let id = crate::core::text::shorten(id, 40);
            Err(format!("`{id}` is no node with `class_type` and `inputs`, so it is not the API format; {EXPORT}"))
        }
        None => Ok(()),
    }
}

impl WorkflowOption {
    /// Whether every named input and output has its place in `graph`.
    ///
    /// # Errors
    /// The first that has none, with the nearest that there is.
    pub fn fits(&self, graph: &Map<String, Value>) -> Result<(), String> {
        let near = |wanted: &str, all: &Map<String, Value>| {
            nearest(wanted, all.keys().map(String::as_str))
                .map(|near| format!("; did you mean `{near}`?"))
                .unwrap_or_default()
        };
        for (name, targets) in &self.inputs {
            for target in targets.all() {
                let (node, input) = target.parts().map_err(|why| format!("the input `{name}`: {why}"))?;
                let Some(inputs) = graph.get(node).and_then(|node| node.get("inputs")).and_then(Value::as_object)
                else {
                    return Err(format!("the input `{name}`: there is no node `{node}`{}", near(node, graph)));
                };
                if !inputs.contains_key(input) {
                    return Err(format!("the input `{name}`: node `{node}` has no `{input}`{}", near(input, inputs)));
                }
                if inputs[input].is_array() {
                    return Err(format!("the input `{name}`: `{input}` of node `{node}` comes from another node"));
                }
            }
        }
        match self.outputs.iter().find(|node| !graph.contains_key(*node)) {
            Some(node) => Err(format!("the output: there is no node `{node}`{}", near(node, graph))),
            None => Ok(()),
        }
    }

    fn check(&self) -> Result<(), String> {
        match (&self.file, &self.workflow) {
            (Some(_), Some(_)) => Err("it has both `file` and `workflow`; keep one".to_owned()),
            (None, None) => Err("it needs `file` or `workflow`".to_owned()),
            (Some(file), None) if !is_inside(file) => {
                Err(format!("`{file}` is no path of a file in the repository, such as workflows/flux.json"))
            }
            (Some(_), None) => {
                self.inputs.values().flat_map(Targets::all).try_for_each(|target| target.parts().map(drop))
            }
            (None, Some(graph)) => {
                is_api_format(graph)?;
                self.fits(graph)
            }
        }
    }
}

/// Whether `path` stays within the repository, as it is written there.
fn is_inside(path: &str) -> bool {
    !path.is_empty() && !path.contains('\\') && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

fn outputs_mb<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    match u64::deserialize(from)? {
        megabytes @ 1..=OUTPUTS_MB_MAX => Ok(megabytes),
        other => Err(serde::de::Error::custom(format_args!("a whole number from 1 to {OUTPUTS_MB_MAX}, not {other}"))),
    }
}

fn checked<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, WorkflowOption>, D::Error> {
    let all = BTreeMap::<String, WorkflowOption>::deserialize(from)?;
    for (capability, workflow) in &all {
        workflow
            .check()
            .map_err(|why| serde::de::Error::custom(format_args!("the workflow of `{capability}`: {why}")))?;
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(workflow: Value) -> Result<ComfyuiOptions, String> {
        serde_json::from_value(json!({"workflows": {"image.gen": workflow}})).map_err(|error| error.to_string())
    }

    fn graph() -> Value {
        json!({
            "3": {"class_type": "KSampler", "inputs": {"seed": 1, "steps": 20, "positive": ["6", 0]}},
            "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a cat"}},
        })
    }

    #[test]
    fn an_input_is_named_by_a_path_or_spelled_out_and_may_go_to_several_places() {
        let inputs =
            json!({"prompt": "6.inputs.text", "seed": {"node": "3", "input": "seed"}, "n": ["3.steps", "3.seed"]});
        let options = read(json!({"workflow": graph(), "inputs": inputs, "outputs": ["3"]})).unwrap();
        let inputs = &options.workflows["image.gen"].inputs;
        assert_eq!(inputs["prompt"].all()[0].parts(), Ok(("6", "text")));
        assert_eq!(inputs["seed"].all()[0].parts(), Ok(("3", "seed")));
        assert_eq!(inputs["n"].all().len(), 2);
    }

    #[test]
    fn quirk_15_the_format_of_the_web_ui_is_told_from_the_one_that_runs() {
        let error = read(json!({"workflow": {"nodes": [], "links": [], "version": 0.4}})).unwrap_err();
        assert!(error.contains("web UI's own format") && error.contains("Export (API)"), "{error}");
        for (wrong, why) in [
            (json!({"prompt": graph()}), "below `prompt`"),
            (json!({}), "0 nodes"),
            (json!({"3": {"class_type": "KSampler"}}), "`3` is no node"),
            (json!({"3": {"class_type": 1, "inputs": {}}}), "not the API format"),
        ] {
            let error = read(json!({"workflow": wrong})).unwrap_err();
            assert!(error.contains(why), "{why}: {error}");
            assert!(parse(wrong.to_string().as_bytes()).unwrap_err().contains(why), "{why}");
        }
        assert!(parse(b"[1]").unwrap_err().contains("no JSON object"));
        assert!(parse(b"{").unwrap_err().contains("not JSON"));
        assert!(parse(&vec![b' '; WORKFLOW_BYTES_MAX + 1]).unwrap_err().contains("at most"));
    }

    #[test]
    fn an_input_without_a_place_is_told_with_the_nearest_one() {
        for (inputs, why) in [
            (json!({"prompt": "6.inputs.txet"}), "did you mean `text`?"),
            (json!({"prompt": "66.inputs.text"}), "there is no node `66`"),
            (json!({"prompt": "text"}), "NODE.inputs.NAME"),
            (json!({"prompt": "3.positive"}), "comes from another node"),
        ] {
            let error = read(json!({"workflow": graph(), "inputs": inputs})).unwrap_err();
            assert!(error.contains(why), "{why}: {error}");
        }
        assert!(read(json!({"workflow": graph(), "outputs": ["9"]})).unwrap_err().contains("no node `9`"));
    }

    #[test]
    fn a_workflow_is_a_file_of_the_repository_or_stands_in_place() {
        assert!(read(json!({"file": "workflows/flux.json", "inputs": {"prompt": "6.text"}})).is_ok());
        for wrong in [
            json!({}),
            json!({"file": "a.json", "workflow": graph()}),
            json!({"file": "../a.json"}),
            json!({"file": "/etc/passwd"}),
            json!({"file": "a.json", "inputs": {"prompt": "text"}}),
        ] {
            assert!(read(wrong.clone()).is_err(), "{wrong}");
        }
        let options: ComfyuiOptions = serde_json::from_value(json!({})).unwrap();
        assert!(options.free_after && options.model_folders == ["checkpoints", "diffusion_models"]);
    }

    #[test]
    fn outputs_take_a_bounded_share_of_memory() {
        let read = |value: Value| serde_json::from_value::<ComfyuiOptions>(value).map(|options| options.outputs_mb);
        assert_eq!(read(json!({})).unwrap(), 64);
        assert_eq!(read(json!({"outputsMb": 1024})).unwrap(), 1024);
        for wrong in [json!(0), json!(1025), json!(-1), json!("64")] {
            assert!(read(json!({"outputsMb": wrong})).is_err(), "{wrong}");
        }
    }
}
