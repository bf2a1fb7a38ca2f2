//! What stands around every page: where one is, what is applied, when the page was made, and what is wrong everywhere.

use serde::Serialize;

use crate::core::{Kind, Timestamp};
use crate::tell::web::facts::Facts;

use super::part::{CommitView, Mark, Stamp, Tone, full};

/// The frame of a page.
#[derive(Clone, Debug, Serialize)]
pub struct Frame {
    pub title: String,
    pub nav: Vec<NavItem>,
    /// The address of this page, filters included: what "reload" leads to.
    pub here: String,
    pub made_at: String,
    pub made_iso: String,
    pub version: &'static str,
    pub branch: Option<String>,
    /// What is applied: the commit, and since when.
    pub applied: Option<CommitView>,
    pub applied_at: Option<Stamp>,
    /// Troubles that make everything on the page less certain, in words.
    pub banners: Vec<Banner>,
}

/// A trouble that concerns every page.
#[derive(Clone, Debug, Serialize)]
pub struct Banner {
    pub mark: Mark,
    pub message: String,
    pub href: &'static str,
}

/// An entry of the navigation.
#[derive(Clone, Debug, Serialize)]
pub struct NavItem {
    pub text: &'static str,
    pub href: &'static str,
    pub current: bool,
}

/// The parts of the page that the navigation names.
const NAV: [(&str, &str); 7] = [
    ("Status", "/"),
    ("Objects", "/drift"),
    ("Locks", "/locks"),
    ("Tasks", "/tasks"),
    ("Models", "/models"),
    ("Vault", "/vault"),
    ("Audit", "/audit"),
];

impl Frame {
    /// `section` is the address of the navigation's entry that the page belongs to; `here` is its own.
    pub fn new(facts: &Facts, title: impl Into<String>, section: &str, here: impl Into<String>) -> Self {
        let (picture, now) = (&facts.picture, facts.now);
        Self {
            title: title.into(),
            nav: nav(section),
            here: here.into(),
            made_at: full(now),
            made_iso: now.to_string(),
            version: env!("CARGO_PKG_VERSION"),
            branch: facts.revision().map(|revision| revision.branch.clone()),
            applied: facts.revision().map(|revision| CommitView::of(&revision.commit, now)),
            applied_at: Stamp::maybe(picture.source.applied_at, now),
            banners: banners(facts),
        }
    }

    /// The frame of a page that says what went wrong, where no facts are at hand.
    pub fn bare(title: impl Into<String>, now: Timestamp) -> Self {
        Self {
            title: title.into(),
            nav: nav(""),
            here: "/".into(),
            made_at: full(now),
            made_iso: now.to_string(),
            version: env!("CARGO_PKG_VERSION"),
            branch: None,
            applied: None,
            applied_at: None,
            banners: Vec::new(),
        }
    }
}

fn nav(section: &str) -> Vec<NavItem> {
    NAV.into_iter().map(|(text, href)| NavItem { text, href, current: href == section }).collect()
}

fn banners(facts: &Facts) -> Vec<Banner> {
    let source = facts.picture.source.problem.as_ref().map(|problem| Banner {
        mark: Mark::new(Tone::Bad, "source not ready"),
        message: format!("{}: {}", problem.reason, problem.message),
        href: "/#source",
    });
    let store = facts.picture.store_problem.as_ref().map(|problem| Banner {
        mark: Mark::new(Tone::Bad, "store not writable"),
        message: problem.clone(),
        href: "/readyz",
    });
    let made = facts.picture.made_at.filter(|_| facts.picture.started_at.is_some());
    let starting = made.is_none().then(|| Banner {
        mark: Mark::new(Tone::Unknown, "starting"),
        message: "Arcology has not looked at anything yet; nothing below is known.".into(),
        href: "/readyz",
    });
    source.into_iter().chain(store).chain(starting).collect()
}

/// What a filter form offers.
#[derive(Clone, Debug, Serialize)]
pub struct Choice {
    pub value: String,
    pub text: String,
    pub chosen: bool,
}

/// The choices of a filter, the one that means "all" first.
#[must_use]
pub fn choices<'a>(all: &str, values: impl IntoIterator<Item = &'a str>, chosen: Option<&str>) -> Vec<Choice> {
    let first = Choice { value: String::new(), text: all.to_owned(), chosen: chosen.is_none() };
    let rest = values.into_iter().map(|value| Choice {
        value: value.to_owned(),
        text: value.to_owned(),
        chosen: chosen == Some(value),
    });
    std::iter::once(first).chain(rest).collect()
}

/// The names of all kinds, for filters.
pub fn kind_names() -> impl Iterator<Item = &'static str> {
    Kind::ALL.into_iter().map(Kind::as_str)
}
