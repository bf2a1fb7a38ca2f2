//! A Runtime offers only what its adapter can do at all, or what its options say how to do.
//!
//! What only the running program can tell, such as a server that was started without what it needs, is drift and not judged
//! here.

use super::super::code::CANNOT_OFFER;
use super::super::document::Spec;
use super::super::kind::capability::{Ability, ability, doers, find};
use super::super::kind::options::tts_webui::SpeechServer;
use super::super::kind::runtime::AdapterKind;
use super::{Complaint, Subject, spec};
use crate::core::text::nearest;

pub fn check(subject: &Subject<'_>, complaints: &mut Vec<Complaint>) {
    let Spec::Runtime(runtime) = subject.spec else { return };
    for (index, wanted) in runtime.capabilities.iter().enumerate() {
        // One that does not exist is told by a rule of its own.
        if find(wanted).is_none() {
            continue;
        }
        let path = spec("capabilities").index(index);
        let ability = ability(runtime);
        if ability.allows(wanted) {
            continue;
        }
        match ability {
            Ability::Adapter(all) => {
                complaints.push(undone(path, runtime.adapter, wanted, all).follows_from(spec("adapter")));
            }
            Ability::Speech(server) => complaints.push(unheard(path, server, wanted).follows_from(spec("options"))),
            Ability::Options { option, entry, all } => {
                let message = format!("`options.{option}` says no {entry} for `{wanted}`");
                let told = if all.is_empty() { "nothing".to_owned() } else { all.join(", ") };
                let help = match near(wanted, &all) {
                    Some(meant) => format!("did you mean `{meant}`? Or say below `options.{option}` how it is done"),
                    None => format!("say below `options.{option}` how it is done, or take `{wanted}` out"),
                };
                complaints.push(
                    Complaint::new(CANNOT_OFFER, path, message)
                        .follows_from(spec("options"))
                        .label(format!("it says how to do {told}"))
                        .help(help),
                );
            }
            Ability::Unknown => {}
        }
    }
}

/// That the adapter does not do it, whatever runs behind it.
fn undone(path: super::Path, adapter: AdapterKind, wanted: &str, all: &[&str]) -> Complaint {
    let adapter = adapter.as_str();
    let others: Vec<String> = doers(wanted).map(|other| format!("`{}`", other.as_str())).collect();
    let elsewhere = match others.as_slice() {
        [] => "adapters that can be told how: `comfyui`, `exec`".to_owned(),
        some => format!("adapters that do it: {}; `comfyui` and `exec` can be told how", some.join(", ")),
    };
    let help = match near(wanted, all) {
        Some(meant) => format!("did you mean `{meant}`? {elsewhere}"),
        None => elsewhere,
    };
    Complaint::new(CANNOT_OFFER, path, format!("the adapter `{adapter}` does not do `{wanted}`"))
        .label(format!("it does {}", all.join(", ")))
        .help(help)
}

/// That such a speech server does not do it. Where another does, that is told; else it is as for any adapter.
fn unheard(path: super::Path, server: SpeechServer, wanted: &str) -> Complaint {
    let able = SpeechServer::ALL.into_iter().filter(|other| other.does().contains(&wanted));
    let able: Vec<String> = able.map(|other| format!("`{}`", other.as_str())).collect();
    let complaint = undone(path, AdapterKind::TtsWebui, wanted, server.does());
    if able.is_empty() {
        return complaint;
    }
    let message = format!("a speech server with `server: {}` does not do `{wanted}`", server.as_str());
    let others = doers(wanted).filter(|other| *other != AdapterKind::TtsWebui);
    let others: Vec<String> = others.map(|other| format!("`{}`", other.as_str())).collect();
    let help = format!("of speech servers {} do it; so do the adapters {}", able.join(" and "), others.join(", "));
    Complaint { message, ..complaint }.help(help)
}

/// The name that is most like `wanted`: by its letters, else the only one of the same family, as `audio.tts` is of
/// `audio.transcribe`.
fn near<'a>(wanted: &str, all: &[&'a str]) -> Option<&'a str> {
    let family = |name: &str| name.split_once('.').map(|(family, _)| family.to_owned());
    let mut alike = all.iter().copied().filter(|name| family(name) == family(wanted));
    let only = alike.next().filter(|_| alike.next().is_none());
    nearest(wanted, all.iter().copied()).or(only)
}
