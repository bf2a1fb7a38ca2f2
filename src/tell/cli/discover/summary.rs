//! Finds in words for people, and as JSON for programs. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::act::discover::{Found, Place, Seen};
use crate::core::text::count;
use crate::declare::manifest::kind::options::tts_webui::SpeechServer;
use crate::tell::terminal::clean_line;

use super::manifest::version;
use super::{Finds, program};

/// What was looked at and found, a line each.
#[must_use]
pub fn lines(finds: &Finds) -> Vec<String> {
    let mut lines: Vec<String> = looked_at(finds)
        .into_iter()
        .map(|(host, ports)| format!("looked at {host}: {}", ports_in_words(&ports)))
        .collect();
    for looked in &finds.looked {
        match &looked.seen {
            Seen::Nothing => {}
            Seen::Runtime(found) => lines.push(format!("  found {}", found_in_words(&looked.place, found))),
            Seen::Stranger(why) => lines.push(format!("  unknown at {}: {why}", looked.place)),
            Seen::OutOfTime => lines.push(format!("  not asked: {}, time ran out", looked.place)),
        }
    }
    if !finds.programs.is_empty() {
        let names: Vec<&str> = finds.programs.iter().map(|(name, _)| name).collect();
        lines.push(format!("  found programs: {}", names.join(", ")));
    }
    lines.extend(program::remarks(&finds.programs).into_iter().map(|remark| format!("  {remark}")));
    lines.into_iter().map(|line| clean_line_keeping_indent(&line)).collect()
}

fn clean_line_keeping_indent(line: &str) -> String {
    let indent = line.len() - line.trim_start().len();
    format!("{}{}", " ".repeat(indent), clean_line(line.trim_start()))
}

fn ports_in_words(ports: &BTreeSet<u16>) -> String {
    let all: Vec<String> = ports.iter().map(u16::to_string).collect();
    format!("port{} {}", if all.len() == 1 { "" } else { "s" }, all.join(", "))
}

fn looked_at(finds: &Finds) -> BTreeMap<&str, BTreeSet<u16>> {
    let mut hosts: BTreeMap<&str, BTreeSet<u16>> = BTreeMap::new();
    for looked in &finds.looked {
        hosts.entry(&looked.place.host).or_default().insert(looked.place.port);
    }
    hosts
}

/// What it is called by people.
fn title(found: &Found) -> &'static str {
    found.recognized.server.map_or(found.recognized.adapter.as_str(), SpeechServer::as_str)
}

fn found_in_words(place: &Place, found: &Found) -> String {
    let version = version(found).map(|version| format!(" {version}")).unwrap_or_default();
    let models = match &found.view {
        Ok(view) => count(view.models.len(), "model"),
        Err(why) => format!("models unknown: {why}"),
    };
    format!("{}{version} at {}: {models} ({})", title(found), place.endpoint(), found.recognized.because)
}

/// Everything as JSON; `manifests` is the YAML that would be printed.
#[must_use]
pub fn json(finds: &Finds, manifests: &str) -> Value {
    let hosts: Vec<Value> =
        looked_at(finds).into_iter().map(|(host, ports)| json!({"host": host, "ports": ports})).collect();
    let mut runtimes = Vec::new();
    let mut unknown = Vec::new();
    for looked in &finds.looked {
        match &looked.seen {
            Seen::Nothing => {}
            Seen::Runtime(found) => runtimes.push(runtime_json(&looked.place, found)),
            Seen::Stranger(why) => unknown.push(json!({"address": looked.place.to_string(), "reason": why})),
            Seen::OutOfTime => unknown.push(json!({"address": looked.place.to_string(), "reason": "time ran out"})),
        }
    }
    let programs: Vec<Value> = finds.programs.iter().map(|(name, path)| json!({"name": name, "path": path})).collect();
    json!({"looked_at": hosts, "runtimes": runtimes, "unknown": unknown, "programs": programs, "manifests": manifests})
}

fn runtime_json(place: &Place, found: &Found) -> Value {
    let models: Vec<Value> = found
        .view
        .iter()
        .flat_map(|view| &view.models)
        .map(|model| {
            json!({"name": model.name, "state": model.state.as_str(), "vram_gb": model.vram_gb,
                "context_tokens": model.context_tokens})
        })
        .collect();
    json!({
        "adapter": found.recognized.adapter.as_str(), "server": found.recognized.server.map(SpeechServer::as_str),
        "endpoint": place.endpoint(), "reason": found.recognized.because, "version": version(found),
        "needs_key": found.recognized.needs_key, "models": models, "problem": found.view.as_ref().err(),
    })
}
