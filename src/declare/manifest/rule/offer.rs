//! A Runtime offers only what its adapter can do at all, or what its options say how to do.
//!
//! What only the running program can tell, such as a server that was started without what it needs, is drift and not judged
//! here.

use super::super::code::CANNOT_OFFER;
use super::super::document::Spec;
use super::super::kind::capability::{Ability, ability, doers, find};
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
        match ability(runtime) {
            Ability::Adapter(all) if !all.contains(&wanted.as_str()) => {
                complaints.push(undone(path, runtime.adapter, wanted, all).follows_from(spec("adapter")));
            }
            Ability::Options { option, entry, all } if !all.contains(&wanted.as_str()) => {
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
            Ability::Adapter(_) | Ability::Options { .. } | Ability::Unknown => {}
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

/// The name that is most like `wanted`: by its letters, else the only one of the same family, as `audio.tts` is of
/// `audio.transcribe`.
fn near<'a>(wanted: &str, all: &[&'a str]) -> Option<&'a str> {
    let family = |name: &str| name.split_once('.').map(|(family, _)| family.to_owned());
    let mut alike = all.iter().copied().filter(|name| family(name) == family(wanted));
    let only = alike.next().filter(|_| alike.next().is_none());
    nearest(wanted, all.iter().copied()).or(only)
}
