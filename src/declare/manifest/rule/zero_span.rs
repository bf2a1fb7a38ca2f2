//! Intervals and time limits of a runtime are longer than zero: it would be asked without pause, or never in time.

use super::super::code::OUT_OF_RANGE;
use super::super::document::Spec;
use super::{Complaint, Subject, spec};

pub fn check(subject: &Subject<'_>, complaints: &mut Vec<Complaint>) {
    let Spec::Runtime(runtime) = subject.spec else { return };
    let timeouts = spec("timeouts");
    for (path, span) in [
        (spec("observeEvery"), runtime.observe_every),
        (timeouts.key("connect"), runtime.timeouts.connect),
        (timeouts.key("load"), runtime.timeouts.load),
        (timeouts.key("run"), runtime.timeouts.run),
    ] {
        if span.get().is_zero() {
            let message = format!("`{path}` is zero");
            complaints.push(Complaint::new(OUT_OF_RANGE, path, message).label("expected a length of time above zero"));
        }
    }
}
