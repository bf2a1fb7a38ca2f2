//! Each declared Runtime: that it is reached, its version and its models. Asked directly, or taken from the daemon, which
//! asks them all the time.

use std::time::Duration;

use futures::StreamExt as _;
use futures::stream;

use crate::act::runtime::{Fault, Places, RuntimeError, connect};
use crate::core::Name;
use crate::core::text::count;
use crate::decide::view::{ModelState, RuntimeView};
use crate::declare::manifest::kind::runtime::{AdapterKind, RuntimeSpec};

use super::finding::Finding;

/// How long one runtime may take.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// Runtimes that are asked at once.
const AT_ONCE_MAX: usize = 16;

/// What is known of a runtime.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    pub name: String,
    pub adapter: AdapterKind,
    pub endpoint: Option<String>,
    pub said: Said,
}

/// What it said.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    Direct(Result<RuntimeView, RuntimeError>),
    /// The daemon's word: health, and why.
    Daemon {
        health: String,
        reason: String,
        version: Option<String>,
    },
}

/// Asks every runtime itself, some at once, in the order of `declared`.
pub async fn gather(declared: Vec<(Name, RuntimeSpec)>, places: &Places) -> Vec<Facts> {
    stream::iter(declared)
        .map(|(name, spec)| async move {
            let said = Said::Direct(ask(&name, &spec, places).await);
            Facts { name: name.to_string(), adapter: spec.adapter, endpoint: spec.endpoint, said }
        })
        .buffered(AT_ONCE_MAX)
        .collect()
        .await
}

async fn ask(name: &Name, spec: &RuntimeSpec, places: &Places) -> Result<RuntimeView, RuntimeError> {
    if spec.adapter == AdapterKind::Builtin {
        // It is part of this program; asking it would open its folder in the state directory.
        return Ok(RuntimeView { version: Some(env!("CARGO_PKG_VERSION").to_owned()), ..RuntimeView::default() });
    }
    let adapter = connect(name, spec, places)?;
    tokio::time::timeout(ANSWER_MAX, adapter.observe()).await.unwrap_or_else(|_| {
        Err(RuntimeError::new(Fault::Timeout, format!("it did not answer within {} s", ANSWER_MAX.as_secs())))
    })
}

/// Judges.
#[must_use]
pub fn judge(all: &[Facts]) -> Vec<Finding> {
    if all.is_empty() {
        return vec![Finding::skipped("runtimes", "none is declared; `arcology discover` finds those that run")];
    }
    all.iter().map(one).collect()
}

fn one(facts: &Facts) -> Finding {
    let check = format!("runtime {}", facts.name);
    let kind = facts.adapter.as_str();
    if !facts.adapter.is_driven() {
        return Finding::skipped(check, format!("{kind} is not driven by this version"));
    }
    match &facts.said {
        Said::Direct(Ok(view)) => match &view.degraded {
            None => Finding::ok(check, in_words(kind, view)),
            Some(why) => Finding::warn(check, format!("{}: {why}", in_words(kind, view)), page(facts.adapter)),
        },
        Said::Direct(Err(error)) => Finding::fail(check, error.to_string(), mend(error.fault, facts)),
        Said::Daemon { health, reason, version } => {
            let version = version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
            let why = if reason.is_empty() { String::new() } else { format!(": {reason}") };
            let seen = format!("{kind}{version}, the daemon finds it {health}{why}");
            match health.as_str() {
                "Healthy" => Finding::ok(check, seen),
                "Progressing" => Finding::skipped(check, seen),
                "Degraded" | "Unknown" => Finding::warn(check, seen, format!("arcology why Runtime/{}", facts.name)),
                _ => Finding::fail(check, seen, format!("arcology why Runtime/{}", facts.name)),
            }
        }
    }
}

fn in_words(kind: &str, view: &RuntimeView) -> String {
    let version = view.version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
    let loaded = view.models.iter().filter(|model| model.state == ModelState::Loaded).count();
    if view.models.is_empty() {
        return format!("{kind}{version} answers");
    }
    format!("{kind}{version} answers, {}, {loaded} loaded", count(view.models.len(), "model"))
}

fn page(adapter: AdapterKind) -> String {
    format!("docs/adapters/{}.md tells what that means", adapter.as_str())
}

fn mend(fault: Fault, facts: &Facts) -> String {
    let at = facts.endpoint.as_deref().unwrap_or("its endpoint");
    match fault {
        Fault::Unreachable => {
            format!("start it, or correct `endpoint` ({at}); `arcology discover` tells what runs where")
        }
        Fault::Refused => {
            "put its key into the file that `auth.tokenFrom.file` names, in the folder given by --credentials"
                .to_owned()
        }
        Fault::Timeout | Fault::Busy => format!("see what it does: it is there at {at}, and too busy to answer"),
        Fault::NotFound => format!("another program may listen at {at}; `arcology discover` tells what it is"),
        Fault::BadInput | Fault::OutOfMemory | Fault::RuntimeError => page(facts.adapter),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::act::doctor::Status;

    fn facts(said: Said) -> Facts {
        Facts {
            name: "swap".into(),
            adapter: AdapterKind::LlamaSwap,
            endpoint: Some("http://127.0.0.1:1".into()),
            said,
        }
    }

    #[test]
    fn a_runtime_is_judged_by_what_it_or_the_daemon_says() {
        let failed = |fault| Said::Direct(Err(RuntimeError::new(fault, "x")));
        let degraded = RuntimeView { degraded: Some("half".into()), ..RuntimeView::default() };
        let daemon = |health: &str| Said::Daemon { health: health.into(), reason: "r".into(), version: None };
        for (said, expected) in [
            (Said::Direct(Ok(RuntimeView::default())), Status::Ok),
            (Said::Direct(Ok(degraded)), Status::Warn),
            (failed(Fault::Unreachable), Status::Fail),
            (failed(Fault::Refused), Status::Fail),
            (daemon("Healthy"), Status::Ok),
            (daemon("Unknown"), Status::Warn),
            (daemon("Missing"), Status::Fail),
        ] {
            let found = one(&facts(said.clone()));
            assert_eq!((found.status, found.mend.is_some()), (expected, expected >= Status::Warn), "{said:?}");
        }
        assert_eq!(judge(&[])[0].status, Status::Skipped);
        let later = Facts { adapter: AdapterKind::Ray, ..facts(failed(Fault::BadInput)) };
        assert_eq!(one(&later).status, Status::Skipped);
    }

    #[test]
    fn who_does_not_answer_is_told_with_where_it_was_looked_for() {
        let found = one(&facts(Said::Direct(Err(RuntimeError::new(Fault::Unreachable, "refused")))));
        assert!(found.mend.is_some_and(|mend| mend.contains("http://127.0.0.1:1")));
    }
}
