//! From the texts of the WebSocket to lines for people, about one prompt. Pure.
//!
//! Some messages about other people's prompts reach every socket, so nothing counts that does not carry the prompt's id.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::core::text::shorten;

/// What one message comes to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// How far it is.
    Line(String),
    /// It says that it has ended, in whatever way: time to look what came of it.
    Ended,
}

#[derive(Deserialize)]
struct Message {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    data: Value,
}

/// Follows one prompt through the messages.
#[derive(Debug)]
pub(super) struct Teller {
    id: String,
    /// Node → how people call it.
    titles: BTreeMap<String, String>,
    last: String,
}

impl Teller {
    pub fn new(id: String, graph: &Map<String, Value>) -> Self {
        let title = |node: &Value| {
            let told = node.pointer("/_meta/title").or_else(|| node.get("class_type"));
            told.and_then(Value::as_str).map(|title| shorten(title, 60))
        };
        let titles = graph.iter().filter_map(|(id, node)| Some((id.clone(), title(node)?))).collect();
        Self { id, titles, last: String::new() }
    }

    /// What `text` tells of the prompt that is new.
    pub fn read(&mut self, text: &str) -> Option<Told> {
        let Message { kind, data } = serde_json::from_str(text).ok()?;
        if data.get("prompt_id").and_then(Value::as_str) != Some(&self.id) {
            return None;
        }
        let line = match kind.as_str() {
            "execution_start" => "it begins".to_owned(),
            "execution_cached" => {
                let nodes = data.get("nodes").and_then(Value::as_array).map_or(0, Vec::len);
                (nodes > 0).then(|| format!("{nodes} of {} nodes come from its cache", self.titles.len()))?
            }
            "executing" if data.get("node").is_none_or(Value::is_null) => return Some(Told::Ended),
            "executing" => self.title(data.get("node")?.as_str()?),
            "execution_success" | "execution_error" | "execution_interrupted" => return Some(Told::Ended),
            "progress" => self.share(data.get("node")?.as_str()?, &data)?,
            "progress_state" => {
                let nodes = data.get("nodes")?.as_object()?;
                let (node, state) = nodes.iter().find(|(_, state)| state["state"] == "running")?;
                self.share(node, state)?
            }
            _ => return None,
        };
        if line == self.last {
            return None;
        }
        self.last.clone_from(&line);
        Some(Told::Line(line))
    }

    /// How people call a node. Nodes that come up only while it runs have no title: they belong to the one before the dot.
    fn title(&self, node: &str) -> String {
        let outer = node.split(['.', ':']).next().unwrap_or(node);
        let title = self.titles.get(node).or_else(|| self.titles.get(outer));
        title.cloned().unwrap_or_else(|| format!("node {}", shorten(node, 40)))
    }

    /// `KSampler: 35 % (7 of 20)`; a node with one step has no share to tell.
    fn share(&self, node: &str, state: &Value) -> Option<String> {
        let (value, max) = (state.get("value")?.as_f64()?, state.get("max")?.as_f64()?);
        if max <= 1.0 || !(0.0..=max).contains(&value) {
            return None;
        }
        Some(format!("{}: {:.0} % ({value} of {max})", self.title(node), (value / max * 100.0).floor()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_told_of_the_prompt_is_told_once_in_words_and_nothing_of_others() {
        let graph =
            json!({"3": {"class_type": "KSampler", "_meta": {"title": "sampler"}}, "9": {"class_type": "SaveImage"}});
        let mut teller = Teller::new("mine".to_owned(), graph.as_object().unwrap());
        let mut tell = |kind: &str, data: Value| teller.read(&json!({"type": kind, "data": data}).to_string());
        let line = |line: &str| Some(Told::Line(line.to_owned()));
        let mine = "mine";
        assert_eq!(tell("execution_cached", json!({"prompt_id": mine, "nodes": []})), None);
        assert_eq!(
            tell("execution_cached", json!({"prompt_id": mine, "nodes": ["9"]})),
            line("1 of 2 nodes come from its cache")
        );
        assert_eq!(tell("executing", json!({"prompt_id": mine, "node": "3"})), line("sampler"));
        let progress = json!({"prompt_id": mine, "node": "3", "value": 7, "max": 20});
        assert_eq!(tell("progress", progress.clone()), line("sampler: 35 % (7 of 20)"));
        assert_eq!(tell("progress", progress), None, "nothing new");
        let nodes = json!({"9": {"state": "pending", "value": 0, "max": 1}, "3": {"state": "running", "value": 8.0, "max": 20}});
        assert_eq!(tell("progress_state", json!({"prompt_id": mine, "nodes": nodes})), line("sampler: 40 % (8 of 20)"));
        assert_eq!(tell("progress", json!({"prompt_id": mine, "node": "3", "value": 21, "max": 20})), None);
        assert_eq!(tell("executing", json!({"prompt_id": mine, "node": "9.0.1"})), line("SaveImage"));
        for other in [json!({"prompt_id": "other", "node": null}), json!({"node": null}), json!(null)] {
            assert_eq!(tell("executing", other), None);
        }
        assert_eq!(tell("status", json!({"status": {}})), None);
        assert_eq!(tell("executing", json!({"prompt_id": mine, "node": null})), Some(Told::Ended));
        assert_eq!(teller.read("no json"), None);
    }
}
