//! Finds as manifests: valid as they are, with a remark wherever something could not be told. Pure.
//!
//! Whatever comes from a server is foreign text: it stands in quotes or in a remark of one line, never as YAML.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::act::discover::{Found, Looked, Place, Seen};
use crate::act::telemetry::card::Card;
use crate::core::text::{count, shorten};
use crate::decide::host_view::gb_of;
use crate::decide::view::ModelView;
use crate::declare::manifest::kind::capability::does;
use crate::declare::manifest::kind::options::tts_webui::SpeechServer;
use crate::declare::manifest::kind::runtime::AdapterKind;
use crate::tell::terminal::clean_line;

use super::name::{Names, plain};
use super::{Finds, guess, program};

/// The most models of one runtime that are written out.
const MODELS_MAX: usize = 200;
/// What this machine's Host is called where nobody says otherwise.
pub const THIS_MACHINE: &str = "this-machine";
/// Remarks are one line of at most so many characters.
const REMARK_CHARS_MAX: usize = 160;

/// The manifests of everything that was found, as one YAML stream; empty when there is nothing to declare.
#[must_use]
pub fn render(finds: &Finds) -> String {
    let found: Vec<(&Place, &Found)> = finds.looked.iter().filter_map(runtime_of).collect();
    let mut page = Page {
        finds,
        text: String::new(),
        runtimes: Names::default(),
        models: Names::default(),
        hosts: BTreeMap::new(),
    };
    let programs_host = finds.declared_host.as_ref().map_or(THIS_MACHINE, |name| name.as_str());
    if found.is_empty() && program::documents(&finds.programs, programs_host).is_empty() {
        return String::new();
    }
    page.hosts(&found);
    for (place, found) in found {
        page.runtime(place, found);
    }
    for (name, body) in program::documents(&finds.programs, programs_host) {
        let name = page.runtimes.give(name, "programs", "programs");
        page.document("Runtime", &name, &body);
    }
    for remark in program::remarks(&finds.programs) {
        let _ = writeln!(page.text, "# {remark}: docs/adapters/exec.md");
    }
    page.text
}

fn runtime_of(looked: &Looked) -> Option<(&Place, &Found)> {
    match &looked.seen {
        Seen::Runtime(found) => Some((&looked.place, found)),
        Seen::Nothing | Seen::Stranger(_) | Seen::OutOfTime => None,
    }
}

struct Page<'a> {
    finds: &'a Finds,
    text: String,
    runtimes: Names,
    models: Names,
    /// The name of each host that was looked at.
    hosts: BTreeMap<String, String>,
}

impl<'a> Page<'a> {
    fn document(&mut self, kind: &str, name: &str, spec: &str) {
        if !self.text.is_empty() {
            self.text.push_str("---\n");
        }
        let _ = write!(
            self.text,
            "apiVersion: arcology/v1alpha1\nkind: {kind}\nmetadata:\n  name: {}\nspec:\n{spec}",
            quoted_if_needed(name)
        );
    }

    fn hosts(&mut self, found: &[(&Place, &Found)]) {
        let mut names = Names::default();
        let declared = self.finds.declared_host.as_ref().map(|name| name.as_str());
        let here = names.give(declared.unwrap_or(THIS_MACHINE), "", THIS_MACHINE);
        let uses_here = found.iter().any(|(place, _)| place.is_here()) || !self.finds.programs.is_empty();
        if uses_here && declared.is_none() {
            let spec = local_host(self.finds.cards.as_ref());
            self.document("Host", &here, &spec);
        }
        for (place, _) in found {
            if self.hosts.contains_key(&place.host) {
                continue;
            }
            if place.is_here() {
                self.hosts.insert(place.host.clone(), here.clone());
                continue;
            }
            let is_address = place.host.parse::<std::net::IpAddr>().is_ok();
            let first = place.host.split('.').next().unwrap_or_default();
            let wanted = if is_address { place.host.replace([':', '.'], "-") } else { first.to_owned() };
            let name = names.give(&wanted, "host", "host");
            let spec = format!(
                "  address: {}\n  # its memory, disk and cards are not looked at from here; declare its cards by hand:\n  \
                 # gpus: [{{id: gpu0, index: 0, vramGb: 24}}]\n",
                quoted(&place.host)
            );
            self.document("Host", &name, &spec);
            self.hosts.insert(place.host.clone(), name);
        }
    }

    fn runtime(&mut self, place: &Place, found: &Found) {
        let recognized = &found.recognized;
        let host = self.hosts.get(&place.host).cloned().unwrap_or_else(|| THIS_MACHINE.to_owned());
        let models: Vec<&ModelView> = found.view.iter().flat_map(|view| &view.models).collect();
        let name = self.runtimes.give(base_name(found, &models), &host, "runtime");
        let gpu = self.only_card(place).filter(|_| models.iter().any(|model| model.vram_gb.is_some_and(|gb| gb > 0.0)));
        let mut spec = String::new();
        remark(&mut spec, "  ", &format!("recognized: {}", recognized.because));
        if let Some(version) = version(found) {
            remark(&mut spec, "  ", &format!("version: {version}"));
        }
        let _ = writeln!(spec, "  host: {}", quoted_if_needed(&host));
        match gpu {
            Some(_) => spec.push_str("  gpu: gpu0 # the only card, and a model was seen in its memory\n"),
            None => {
                spec.push_str("  # gpu: gpu0 # which card it uses could not be told; without it, it takes no lock\n")
            }
        }
        let _ = writeln!(spec, "  adapter: {}", recognized.adapter.as_str());
        let _ = writeln!(spec, "  endpoint: {}", place.endpoint());
        let _ = writeln!(spec, "  capabilities: [{}]", self::capabilities(found, &models).join(", "));
        if recognized.adapter == AdapterKind::Comfyui {
            spec.push_str(
                "  # it does what its workflows say: name them in options.workflows, and what they do above\n",
            );
        }
        if let Some(file) = &found.key_file {
            spec.push_str("  # its key was in this file, which belongs into the daemon's credentials folder:\n");
            let _ = writeln!(spec, "  auth: {{tokenFrom: {{file: {}}}}}", quoted_if_needed(file));
        } else if recognized.needs_key {
            let _ = writeln!(
                spec,
                "  # It wants a key: put it into a file {name} in the daemon's credentials folder and say:"
            );
            let _ = writeln!(spec, "  # auth: {{tokenFrom: {{file: {name}}}}}");
        }
        if let Some(server) = recognized.server.filter(|server| *server != SpeechServer::TtsWebui) {
            let _ = writeln!(spec, "  options: {{server: {}}}", server.as_str());
        }
        if let Err(why) = &found.view {
            remark(&mut spec, "  ", &format!("its models could not be told: {why}"));
        }
        if models.len() > MODELS_MAX {
            remark(&mut spec, "  ", &format!("it has {}; the first {MODELS_MAX} follow", count(models.len(), "model")));
        }
        self.document("Runtime", &name, &spec);
        let card_gb = gpu.and_then(|card| card.figures.as_ref().ok()).map(|figures| gb_of(figures.total_bytes));
        for model in models.into_iter().take(MODELS_MAX) {
            self.model(&name, found, model, card_gb);
        }
    }

    fn model(&mut self, runtime: &str, found: &Found, model: &ModelView, card_gb: Option<f64>) {
        let name = self.models.give(&model.name, runtime, "model");
        let sort = guess::sort(&found.recognized, &model.name);
        let mut spec = format!("  type: {} # a guess from its name\n", guess::word(sort));
        let _ = writeln!(
            spec,
            "  servedBy:\n    - {{runtime: {}, as: {}}}",
            quoted_if_needed(runtime),
            quoted(&model.name)
        );
        let does = guess::capabilities(sort);
        if !does.is_empty() {
            let _ = writeln!(spec, "  capabilities: [{}]", does.join(", "));
        }
        if let Some(tokens) = model.context_tokens {
            let _ = writeln!(spec, "  contextTokens: {tokens}");
        }
        match model.vram_gb.filter(|gb| gb.is_finite() && *gb > 0.0) {
            Some(gb) if card_gb.is_none_or(|card| gb <= card) => {
                let _ = writeln!(spec, "  vramGb: {gb:.1} # as the runtime told while it was loaded");
            }
            _ => spec.push_str("  # vramGb: the runtime does not tell it now; it is measured once it is loaded\n"),
        }
        self.document("Model", &name, &spec);
    }

    /// The card of this machine, where it has exactly one that can be read.
    fn only_card(&self, place: &Place) -> Option<&'a Card> {
        let finds = self.finds;
        match finds.cards.as_ref()?.as_deref().ok()? {
            [card] if place.is_here() && finds.declared_host.is_none() && is_readable(card) => Some(card),
            _ => None,
        }
    }
}

fn is_readable(card: &Card) -> bool {
    card.figures.as_ref().is_ok_and(|figures| figures.total_bytes > 0)
}

fn local_host(cards: Option<&Result<Vec<Card>, String>>) -> String {
    let mut spec = String::from("  address: 127.0.0.1\n  local: true\n");
    match cards {
        Some(Ok(cards)) if cards.iter().any(is_readable) => {
            spec.push_str("  gpus:\n");
            for card in cards.iter().filter(|card| is_readable(card)) {
                let total = card.figures.as_ref().map_or(0.0, |figures| gb_of(figures.total_bytes));
                let label = card.name.as_deref().map(|name| format!(", label: {}", quoted(name))).unwrap_or_default();
                let _ = writeln!(spec, "    - {{id: gpu{0}, index: {0}, vramGb: {total:.1}{label}}}", card.index);
            }
            spec.push_str("  reserve: {vramGb: 1, diskGb: 5} # what always stays free\n");
        }
        Some(Err(why)) => {
            remark(&mut spec, "  ", &format!("its cards could not be told: {why}"));
            spec.push_str("  reserve: {diskGb: 5} # what always stays free\n");
        }
        Some(Ok(_)) | None => spec.push_str("  reserve: {diskGb: 5} # what always stays free\n"),
    }
    spec
}

/// What a runtime of that sort is called where nothing else is.
fn base_name(found: &Found, models: &[&ModelView]) -> &'static str {
    match (found.recognized.adapter, found.recognized.server) {
        (AdapterKind::LlamaSwap, _) => "swap",
        (AdapterKind::TextgenWebui, _) => "textgen",
        (AdapterKind::TtsWebui, Some(server)) => server.as_str(),
        // Several servers of this sort run side by side: told apart by what they are for.
        (AdapterKind::Openai, _) => match capabilities(found, models).as_slice() {
            ["text.embed"] => "vectors",
            ["audio.tts"] => "speech",
            ["audio.transcribe"] => "transcripts",
            _ => "openai-server",
        },
        (adapter, _) => adapter.as_str(),
    }
}

/// The version, from its adapter or from the recognition.
#[must_use]
pub fn version(found: &Found) -> Option<String> {
    let told = found.view.as_ref().ok().and_then(|view| view.version.clone());
    told.or_else(|| found.recognized.version.clone()).map(|version| shorten(&clean_line(&version), 60))
}

/// What the runtime can do: what its models can, else what its kind usually can.
fn capabilities(found: &Found, models: &[&ModelView]) -> Vec<&'static str> {
    let mut all: Vec<&str> = models
        .iter()
        .flat_map(|model| guess::capabilities(guess::sort(&found.recognized, &model.name)))
        .copied()
        .collect();
    if all.is_empty() {
        all.extend(guess::usual(&found.recognized));
    }
    if let Some(done) = found.recognized.server.map(SpeechServer::does).or_else(|| does(found.recognized.adapter)) {
        all.retain(|capability| done.contains(capability));
    }
    all.sort_unstable();
    all.dedup();
    all
}

/// A remark of one line, whatever stands in `words`.
fn remark(text: &mut String, indent: &str, words: &str) {
    let _ = writeln!(text, "{indent}# {}", shorten(&clean_line(words), REMARK_CHARS_MAX));
}

/// `text` in double quotes, with an escape for everything that is not plainly printable.
#[must_use]
pub fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            ' '..='~' => quoted.push(c),
            c if c.is_alphanumeric() => quoted.push(c),
            c => {
                let _ = write!(quoted, "\\U{:08X}", u32::from(c));
            }
        }
    }
    quoted.push('"');
    quoted
}

/// A name as it is, or in quotes where YAML would take it for a number, a truth value or nothing.
fn quoted_if_needed(name: &str) -> String {
    let is_plain = plain(name).as_deref() == Some(name)
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && !matches!(name, "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n");
    if is_plain { name.to_owned() } else { quoted(name) }
}

#[cfg(test)]
mod tests;
