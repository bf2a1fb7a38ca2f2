//! ComfyUI's answers, read loosely: what is not used is not looked at, and what holds secrets (`argv`) is never read.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

/// `GET /queue`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Queue {
    queue_running: Vec<Value>,
    queue_pending: Vec<Value>,
}

impl Queue {
    /// The ids of the prompts that run.
    pub fn running(&self) -> Vec<&str> {
        self.queue_running.iter().filter_map(id_of).collect()
    }

    /// The ids of those that wait, in the order in which they will run: the answer is a heap.
    pub fn waiting(&self) -> Vec<&str> {
        let mut waiting: Vec<(f64, &str)> =
            self.queue_pending.iter().filter_map(|item| Some((item.get(0)?.as_f64()?, id_of(item)?))).collect();
        waiting.sort_by(|a, b| a.0.total_cmp(&b.0));
        waiting.into_iter().map(|(_, id)| id).collect()
    }

    /// How many run and how many wait.
    pub fn counts(&self) -> (usize, usize) {
        (self.queue_running.len(), self.queue_pending.len())
    }
}

/// An item is `[number, prompt_id, prompt, extra_data, output_node_ids]`.
fn id_of(item: &Value) -> Option<&str> {
    item.get(1)?.as_str()
}

/// `GET /system_stats`.
#[derive(Debug, Deserialize)]
pub(super) struct SystemStats {
    #[serde(default)]
    system: System,
    #[serde(default)]
    devices: Vec<Device>,
}

#[derive(Debug, Default, Deserialize)]
struct System {
    #[serde(default)]
    comfyui_version: Value,
}

#[derive(Debug, Deserialize)]
struct Device {
    #[serde(default)]
    torch_vram_total: Value,
}

impl SystemStats {
    pub fn version(&self) -> Option<String> {
        self.system.comfyui_version.as_str().map(|version| crate::core::text::shorten(version, 60))
    }

    /// The bytes that its PyTorch holds on all devices; none when it does not tell of each.
    pub fn held_bytes(&self) -> Option<u64> {
        let held = self.devices.iter().map(|device| device.torch_vram_total.as_u64());
        held.sum::<Option<u64>>().filter(|_| !self.devices.is_empty())
    }
}

/// `POST /prompt`, when it was taken.
#[derive(Debug, Deserialize)]
pub(super) struct Taken {
    pub prompt_id: String,
    #[serde(default)]
    pub node_errors: Value,
}

/// `GET /history/{id}`.
pub(super) type History = BTreeMap<String, Entry>;

/// What a prompt came to.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Entry {
    #[serde(default)]
    pub outputs: Map<String, Value>,
    #[serde(default)]
    status: Option<Status>,
}

#[derive(Debug, Default, Deserialize)]
struct Status {
    #[serde(default)]
    status_str: String,
    #[serde(default)]
    messages: Vec<(String, Value)>,
}

impl Entry {
    /// Whether it ended well. Old versions keep no status of those that did.
    pub fn is_success(&self) -> bool {
        self.status.as_ref().is_none_or(|status| status.status_str == "success")
    }

    /// The data of the last message of that kind.
    pub fn message(&self, kind: &str) -> Option<&Value> {
        let mut messages = self.status.as_ref()?.messages.iter().rev();
        messages.find(|(of, _)| of == kind).map(|(_, data)| data)
    }

    /// Milliseconds from its start to its end, as it tells them.
    pub fn took_ms(&self) -> Option<f64> {
        let at = |kind: &str| self.message(kind)?.get("timestamp")?.as_f64();
        let took = at("execution_success")? - at("execution_start")?;
        (took >= 0.0).then_some(took)
    }
}

/// `POST /upload/image`.
#[derive(Debug, Deserialize)]
pub(super) struct Uploaded {
    pub name: String,
    #[serde(default)]
    pub subfolder: String,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn quirk_6_what_waits_is_put_into_the_order_in_which_it_runs() {
        let queue: Queue = serde_json::from_value(json!({
            "queue_running": [[3, "r", {}, {}, []]],
            "queue_pending": [[4, "a", {}, {}, []], [9.5, "c", {}, {}, []], [5, "b", {}, {}, []], ["odd"]],
        }))
        .unwrap();
        assert_eq!((queue.running(), queue.waiting()), (vec!["r"], vec!["a", "b", "c"]));
        assert_eq!(queue.counts(), (1, 4));
    }

    #[test]
    fn quirk_11_memory_is_what_torch_holds_and_never_a_guess() {
        let stats =
            |devices: Value| serde_json::from_value::<SystemStats>(json!({"system": {}, "devices": devices})).unwrap();
        assert_eq!(
            stats(json!([{"torch_vram_total": 4}, {"torch_vram_total": 5, "vram_free": 9}])).held_bytes(),
            Some(9)
        );
        assert_eq!(stats(json!([{"torch_vram_total": 4}, {}])).held_bytes(), None);
        assert_eq!(stats(json!([])).held_bytes(), None);
    }

    #[test]
    fn an_entry_tells_how_it_ended_and_how_long_it_took() {
        let entry: Entry =
            serde_json::from_value(json!({"outputs": {}, "status": {"status_str": "success", "completed": true,
            "messages": [["execution_start", {"timestamp": 1000}], ["execution_success", {"timestamp": 1250}]]}}))
            .unwrap();
        assert_eq!((entry.is_success(), entry.took_ms()), (true, Some(250.0)));
        assert!(serde_json::from_value::<Entry>(json!({"outputs": {}, "status": null})).unwrap().is_success());
    }
}
