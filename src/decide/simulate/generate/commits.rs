//! Commits that arrive while everything runs: edits of the world, good and bad.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::script::Act;
use super::chance::Chance;
use super::place;
use super::plot::Plot;

/// A repository that is edited commit by commit.
pub struct Author {
    pub plot: Plot,
    /// What the branch has now.
    files: BTreeMap<String, String>,
    tasks: u32,
}

impl Author {
    #[must_use]
    pub fn new(plot: Plot) -> Self {
        let files = plot.files();
        Self { plot, files, tasks: 0 }
    }

    /// Everything that was put into the world so far is in the first commit.
    pub fn first_commit(&mut self) {
        self.files = self.plot.files();
    }

    /// The files of the branch.
    #[must_use]
    pub fn files(&self) -> &BTreeMap<String, String> {
        &self.files
    }

    /// A commit with one edit, sometimes two.
    pub fn commit(&mut self, chance: &mut Chance) -> Act {
        let mut broken = BTreeMap::new();
        for _ in 0..if chance.percent(25) { 2 } else { 1 } {
            self.edit(chance, &mut broken);
        }
        let mut now = self.plot.files();
        // What was broken stays broken until somebody mends it: half of the commits do.
        let mended = chance.percent(50);
        for (path, text) in self.files.iter().filter(|(_, text)| is_broken(text)) {
            if !mended && now.contains_key(path) {
                now.insert(path.clone(), text.clone());
            }
        }
        now.extend(broken);
        let mut put: BTreeMap<String, Option<String>> = BTreeMap::new();
        for (path, text) in &now {
            if self.files.get(path) != Some(text) {
                put.insert(path.clone(), Some(text.clone()));
            }
        }
        put.extend(self.files.keys().filter(|path| !now.contains_key(*path)).map(|path| (path.clone(), None)));
        self.files = now;
        Act::Commit { put, confirm: chance.percent(40) }
    }

    fn edit(&mut self, chance: &mut Chance, broken: &mut BTreeMap<String, String>) {
        let hosts = self.plot.hosts.clone();
        let host = &hosts[chance.index(hosts.len())];
        match chance.between(0, 99) {
            0..=24 => {
                let loadout = place::loadout(chance, &self.plot, host);
                self.plot.loadouts.insert(host.name.clone(), loadout);
            }
            25..=29 => drop(self.plot.loadouts.remove(&host.name)),
            30..=44 => {
                let spec = place::policy(chance, None);
                self.plot.policies.insert("all".into(), spec);
            }
            45..=49 => drop(self.plot.policies.remove("desk")),
            50..=64 => self.put_task(chance),
            65..=69 => {
                let names: Vec<String> = self.plot.tasks.keys().cloned().collect();
                if let Some(name) = chance.pick(&names) {
                    self.plot.tasks.remove(name);
                }
            }
            70..=76 => {
                let at = chance.index(self.plot.models.len());
                if let Some(model) = self.plot.models.get_mut(at).filter(|model| model.declared_gb.is_some()) {
                    model.declared_gb = Some(chance.one_of(&[2.0, 4.0, 8.0]));
                }
            }
            77..=80 => {
                let at = chance.index(self.plot.models.len());
                if at < self.plot.models.len() {
                    self.plot.models.remove(at);
                }
            }
            81..=84 => {
                let at = chance.index(self.plot.runtimes.len());
                if at < self.plot.runtimes.len() {
                    self.plot.runtimes.remove(at);
                }
            }
            85..=88 => {
                let at = chance.index(self.plot.runtimes.len());
                if let Some(runtime) = self.plot.runtimes.get_mut(at) {
                    runtime.slots = Some(chance.one_of(&[1, 2, 4]));
                }
            }
            _ => {
                let paths: Vec<&String> = self.files.keys().collect();
                if let Some(path) = chance.pick(&paths) {
                    broken.insert((*path).clone(), broken_version(&self.files[*path]));
                }
            }
        }
    }

    /// A committed Task, or another spec of one that is there.
    pub fn put_task(&mut self, chance: &mut Chance) {
        let known: Vec<String> = self.plot.tasks.keys().cloned().collect();
        let name = match chance.pick(&known).filter(|_| chance.percent(40)) {
            Some(name) => name.clone(),
            None => {
                self.tasks += 1;
                format!("t{}", self.tasks)
            }
        };
        let offered: Vec<&'static str> =
            self.plot.runtimes.iter().flat_map(|runtime| runtime.capabilities.iter().copied()).collect();
        let capability = chance.pick(&offered).copied().unwrap_or("text.stats");
        let mut spec = json!({"capability": capability, "inputs": {"text": format!("no. {}", chance.between(1, 9))},
            "priority": chance.one_of(&[0, 0, 1, -1])});
        let others: Vec<&String> = known.iter().filter(|other| **other < name).collect();
        if let Some(other) = chance.pick(&others).filter(|_| chance.percent(40)) {
            spec["dependencies"] = json!([other]);
        }
        if chance.percent(20) {
            spec["onFailure"] = Value::from("run");
        }
        self.plot.tasks.insert(name, spec);
    }
}

/// The same manifest with a field that no kind has.
fn broken_version(text: &str) -> String {
    let head: String = text.lines().filter(|line| !line.starts_with("spec:")).map(|line| format!("{line}\n")).collect();
    format!("{head}spec: {{\"misspelt\": 1}}\n")
}

fn is_broken(text: &str) -> bool {
    text.contains("misspelt")
}
