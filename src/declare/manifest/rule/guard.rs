//! A guard of an experiment names a limit: a number or a length of time.

use serde_json::Value;

use super::super::code::{BAD_FORM, EXACTLY_ONE};
use super::super::document::Spec;
use super::{Complaint, Subject, spec};
use crate::core::unit::Span;

pub fn check(subject: &Subject<'_>, complaints: &mut Vec<Complaint>) {
    let Spec::Experiment(experiment) = subject.spec else { return };
    let Some(winner) = &experiment.winner else { return };
    for (index, guard) in winner.guard.iter().enumerate() {
        let path = spec("winner").key("guard").index(index);
        if guard.max.is_none() && guard.min.is_none() {
            let message = format!("`{path}` sets no limit");
            let complaint = Complaint::new(EXACTLY_ONE, path.clone(), message);
            complaints.push(complaint.label("expected `max`, `min` or both"));
        }
        for (field, limit) in [("max", &guard.max), ("min", &guard.min)] {
            if limit.as_ref().is_some_and(|limit| !is_limit(limit)) {
                let message = format!("`{}` is no limit", path.key(field));
                complaints.push(
                    Complaint::new(BAD_FORM, path.key(field), message)
                        .label("expected a number, or a length of time such as 4s"),
                );
            }
        }
    }
}

fn is_limit(value: &Value) -> bool {
    match value {
        Value::Number(_) => true,
        Value::String(text) => Span::parse(text).is_ok(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => false,
    }
}
