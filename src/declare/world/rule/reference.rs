//! Every name that an object mentions leads to an object.

use crate::core::Kind;
use crate::core::text::nearest;

use super::super::candidate::{Candidate, Found, Subject};
use super::super::problem::Problem;
use super::super::{code, reference};
use super::Report;

/// Names listed in a label before it only says how many there are.
const NAMES_LISTED_MAX: usize = 6;

/// Reports every reference that leads nowhere.
pub fn check(subject: Subject<'_>, world: &Candidate<'_>, report: &mut Report) {
    reference::each(subject.document, &mut |path, kind, name| match world.find(kind, name) {
        Found::Present(_) => {}
        Found::Broken(place) => report.error(
            subject,
            &code::BROKEN_REFERENCE,
            Problem::at(path, format_args!("{kind} `{name}` is broken, and no earlier version of it is in force"))
                .label(format_args!("declared at {place}"))
                .help(format_args!("mend {kind}/{name} first; there may be nothing else wrong here")),
        ),
        Found::Removed(place) => report.error(
            subject,
            &code::UNKNOWN_REFERENCE,
            Problem::at(path, format_args!("{kind} `{name}` is no longer declared"))
                .label(format_args!("stood at {place} until this revision"))
                .help(format_args!("declare {kind}/{name} again, or remove what refers to it")),
        ),
        Found::Unknown => report.error(
            subject,
            &code::UNKNOWN_REFERENCE,
            Problem::at(path, format_args!("unknown {kind} `{name}`"))
                .label(what_exists(&world.names_for_help(kind), kind))
                .help(what_to_do(world, kind, name)),
        ),
    });
}

fn what_exists(names: &[&str], kind: Kind) -> String {
    match names {
        [] => format!("no such {kind}"),
        some if some.len() <= NAMES_LISTED_MAX => format!("declared: {}", some.join(", ")),
        many => format!("none of the {} that are declared", many.len()),
    }
}

fn what_to_do(world: &Candidate<'_>, kind: Kind, name: &str) -> String {
    if let Some(near) = nearest(name, world.names_for_help(kind)) {
        return format!("did you mean `{near}`?");
    }
    if let Some(other) = Kind::ALL.into_iter().find(|other| world.get(*other, name).is_some()) {
        return format!("`{name}` is a {other}; a {kind} is needed here");
    }
    match world.unreadable_places().next() {
        Some(place) => format!("declare {kind}/{name}; or, if it is in {place}, mend that document first"),
        None => format!("declare {kind}/{name}, or remove what refers to it"),
    }
}
