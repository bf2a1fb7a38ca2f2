//! A world as the generator sees it: what stands where, in a shape that can be edited and written down as manifests.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::core::Name;

use super::super::script::{GpuSite, ModelSite, RuntimeSite, Site};

/// A world before it is written down.
#[derive(Clone, Debug, Default)]
pub struct Plot {
    pub hosts: Vec<Host>,
    pub runtimes: Vec<Runtime>,
    pub models: Vec<Model>,
    /// One a host at most.
    pub loadouts: BTreeMap<String, Loadout>,
    /// The spec of each policy by name.
    pub policies: BTreeMap<String, Value>,
    /// The spec of each committed Task by name.
    pub tasks: BTreeMap<String, Value>,
}

#[derive(Clone, Debug)]
pub struct Host {
    pub name: String,
    /// Memory of each card, in GB.
    pub gpus: Vec<f64>,
    pub reserve_gb: f64,
}

#[derive(Clone, Debug)]
pub struct Runtime {
    pub name: String,
    pub host: String,
    /// A place in the host's cards.
    pub gpu: Option<usize>,
    pub capabilities: Vec<&'static str>,
    pub slots: Option<u32>,
    pub observe_s: u64,
    pub loads: bool,
    pub tells_vram: bool,
    pub tells_in_flight: bool,
    pub loads_by_itself: bool,
}

#[derive(Clone, Debug)]
pub struct Model {
    pub name: String,
    /// Runtime, and the runtime's own name for it.
    pub served: Vec<(String, String)>,
    /// What it really takes.
    pub gb: f64,
    /// What its manifest says.
    pub declared_gb: Option<f64>,
    pub context_gb: Option<f64>,
    pub context_tokens: Option<u32>,
    pub capabilities: Vec<&'static str>,
    pub load_ms: u64,
}

#[derive(Clone, Debug, Default)]
pub struct Loadout {
    pub copilot: Option<String>,
    /// Model and state.
    pub models: Vec<(String, &'static str)>,
    pub unlisted: &'static str,
}

impl Plot {
    /// The manifests: text by path, one object a file.
    #[must_use]
    pub fn files(&self) -> BTreeMap<String, String> {
        let mut files = BTreeMap::new();
        for host in &self.hosts {
            let gpus: Vec<Value> = (host.gpus.iter().enumerate())
                .map(|(at, gb)| json!({"id": format!("gpu{at}"), "vramGb": gb, "simulated": true}))
                .collect();
            let reserve = json!({"vramGb": host.reserve_gb});
            put(&mut files, "Host", &host.name, &json!({"address": "127.0.0.1", "gpus": gpus, "reserve": reserve}));
        }
        for runtime in &self.runtimes {
            put(&mut files, "Runtime", &runtime.name, &runtime.spec());
        }
        for model in &self.models {
            put(&mut files, "Model", &model.name, &model.spec());
        }
        for (host, loadout) in &self.loadouts {
            put(&mut files, "Loadout", host, &loadout.spec(host));
        }
        for (name, spec) in &self.policies {
            put(&mut files, "Policy", name, spec);
        }
        for (name, spec) in &self.tasks {
            put(&mut files, "Task", name, spec);
        }
        files
    }

    /// What really stands there.
    #[must_use]
    pub fn site(&self) -> Site {
        let mut site = Site::default();
        for host in &self.hosts {
            for (at, gb) in host.gpus.iter().enumerate() {
                site.gpus.push(GpuSite {
                    host: named(&host.name),
                    gpu: named(&format!("gpu{at}")),
                    total_gb: gb * 3.0,
                });
            }
        }
        for runtime in &self.runtimes {
            let card = runtime.gpu.map(|at| (named(&runtime.host), named(&format!("gpu{at}"))));
            let models = self.models.iter().flat_map(|model| model.served.iter().map(move |served| (model, served)));
            let mine = models.filter(|(_, (at, _))| *at == runtime.name);
            let row = RuntimeSite {
                gpu: card.and_then(|(host, gpu)| site.gpus.iter().position(|one| one.host == host && one.gpu == gpu)),
                loads: runtime.loads,
                tells_vram: runtime.tells_vram,
                tells_in_flight: runtime.tells_in_flight,
                loads_by_itself: runtime.loads_by_itself,
                models: mine
                    .map(|(model, (_, name))| (name.clone(), ModelSite { gb: model.gb, load_ms: model.load_ms }))
                    .collect(),
            };
            site.runtimes.insert(named(&runtime.name), row);
        }
        site
    }
}

impl Runtime {
    fn spec(&self) -> Value {
        let mut spec = json!({"host": self.host, "observeEvery": format!("{}s", self.observe_s),
            "timeouts": {"connect": "2s", "load": "60s", "run": "120s"}});
        match self.gpu {
            Some(at) => {
                spec["gpu"] = json!(format!("gpu{at}"));
                spec["adapter"] = json!("llama-server");
                spec["endpoint"] = json!("http://127.0.0.1:8080");
                spec["capabilities"] = json!(self.capabilities);
            }
            None => spec["adapter"] = json!("builtin"),
        }
        if let Some(slots) = self.slots {
            spec["slots"] = json!(slots);
        }
        spec
    }
}

impl Model {
    fn spec(&self) -> Value {
        let served: Vec<Value> =
            self.served.iter().map(|(runtime, name)| json!({"runtime": runtime, "as": name})).collect();
        let mut spec = json!({"type": "other", "servedBy": served, "capabilities": self.capabilities});
        let fields = [("vramGb", self.declared_gb), ("contextVramGb", self.context_gb)];
        for (field, gb) in fields.into_iter().filter_map(|(field, gb)| Some((field, gb?))) {
            spec[field] = json!(gb);
        }
        if let Some(tokens) = self.context_tokens {
            spec["contextTokens"] = json!(tokens);
        }
        spec
    }
}

impl Loadout {
    fn spec(&self, host: &str) -> Value {
        let models: Vec<Value> =
            self.models.iter().map(|(model, state)| json!({"model": model, "state": state})).collect();
        let mut spec = json!({"host": host, "models": models, "unlisted": self.unlisted});
        if let Some(copilot) = &self.copilot {
            spec["copilot"] = json!(copilot);
        }
        spec
    }
}

/// Where the manifest of an object stands.
#[must_use]
pub fn path_of(kind: &str, name: &str) -> String {
    format!("manifests/{}-{name}.yaml", kind.to_lowercase())
}

fn put(files: &mut BTreeMap<String, String>, kind: &str, name: &str, spec: &Value) {
    let header = format!("apiVersion: arcology/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}}}\n");
    // JSON is YAML.
    files.insert(path_of(kind, name), format!("{header}spec: {spec}\n"));
}

/// The name of something that the generator named.
#[must_use]
pub fn named(text: &str) -> Name {
    Name::new(text).expect("the generator makes valid names")
}
