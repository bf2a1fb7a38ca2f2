//! Annotations under `arcology/` change how an object is treated, so one that means nothing is an error.

use super::super::code::ANNOTATION;
use super::super::document::{
    ANNOTATION_PRUNE, ANNOTATION_SUSPEND, ANNOTATION_SUSPEND_REASON, ANNOTATION_SUSPEND_UNTIL, ANNOTATIONS,
};
use super::super::path::Path;
use super::super::source::quoted;
use super::{Complaint, Subject};
use crate::core::Timestamp;
use crate::core::text::nearest;

pub fn check(subject: &Subject<'_>, complaints: &mut Vec<Complaint>) {
    let annotations = &subject.metadata.annotations;
    let path = |key: &str| Path::new("metadata").key("annotations").key(key);
    for (key, value) in annotations.iter().filter(|(key, _)| key.starts_with("arcology/")) {
        if !ANNOTATIONS.contains(&key.as_str()) {
            let help = match nearest(key, ANNOTATIONS) {
                Some(name) => format!("did you mean `{name}`?"),
                None => format!("those that mean something are {}", ANNOTATIONS.join(", ")),
            };
            let message = format!("the annotation {} means nothing", quoted(key));
            complaints
                .push(Complaint::new(ANNOTATION, path(key), message).at_key().label("unknown annotation").help(help));
        } else if let Some(expected) = expected(key, value) {
            let message = format!("the annotation `{key}` cannot be {}", quoted(value));
            complaints.push(Complaint::new(ANNOTATION, path(key), message).label(format!("expected {expected}")));
        }
    }
    let suspended = annotations.get(ANNOTATION_SUSPEND).is_some_and(|value| value == "true");
    for key in [ANNOTATION_SUSPEND_REASON, ANNOTATION_SUSPEND_UNTIL] {
        if annotations.contains_key(key) && !suspended {
            let message = format!("the annotation `{key}` says something about a suspension, but there is none");
            complaints.push(
                Complaint::new(ANNOTATION, path(key), message)
                    .at_key()
                    .warning()
                    .label("has no effect")
                    .help(format!("add `{ANNOTATION_SUSPEND}: \"true\"`, or remove this line")),
            );
        }
    }
}

/// What the annotation takes, when `value` is not it.
fn expected(key: &str, value: &str) -> Option<&'static str> {
    let (fits, expected) = match key {
        ANNOTATION_PRUNE => (["disabled", "enabled"].contains(&value), "disabled or enabled"),
        ANNOTATION_SUSPEND => (["true", "false"].contains(&value), "\"true\" or \"false\""),
        ANNOTATION_SUSPEND_UNTIL => {
            (value.parse::<Timestamp>().is_ok(), "a moment in time such as 2026-11-21T15:00:00Z")
        }
        _ => (true, ""),
    };
    (!fits).then_some(expected)
}
