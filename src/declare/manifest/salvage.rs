//! What can be read of a broken document, so that what it refers to is checked before its form is mended.
//!
//! The types are whole, with stand-ins where the text could not be read; every list keeps its items in their places, so
//! that a path means the same as in the text. It is its own type and hands out no [`Document`] to keep: it can be looked
//! at, and can never come in force. Who looks at it asks which places were read ([`Salvaged::reads`]) before drawing
//! conclusions from them.

use std::fmt::Display;

use crate::core::{Name, ObjectKey};

use super::canonical;
use super::check::STAND_IN;
use super::document::{Document, Place, Spec};
use super::header::Metadata;
use super::path::Path;
use super::tree::{Node, Value};

/// A broken document as far as it can be read.
#[derive(Clone, Debug, PartialEq)]
pub struct Salvaged {
    document: Document,
    key: Option<ObjectKey>,
    unread: Unread,
}

/// Which places of a document hold something else than its text says, or something that will have to change.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Unread {
    pub places: Vec<Path>,
    /// Whether something stands where it does not belong: then it may be what seems to be missing elsewhere.
    pub astray: bool,
}

impl Unread {
    /// Takes out the list or mapping around the byte `at`: what is wrong with the form of its text leaves open what
    /// its values are.
    pub fn around(&mut self, root: &Node, at: usize) {
        self.astray = true;
        self.places.push(innermost(root, at));
    }
}

/// The path of the innermost list or mapping around a byte of the text; that of the document is empty.
fn innermost(root: &Node, at: usize) -> Path {
    let mut path = Path::default();
    let mut here = root;
    loop {
        let around = |node: &Node| {
            let holds_more = matches!(node.value, Value::List(_) | Value::Map(_));
            holds_more && node.span.start <= at && at < node.span.end
        };
        let inner = match &here.value {
            Value::Scalar { .. } => None,
            Value::List(items) => {
                let found = items.iter().enumerate().find(|(_, item)| around(item));
                found.map(|(index, item)| (path.index(index), item))
            }
            Value::Map(entries) => {
                let found = entries.iter().find(|entry| around(&entry.node));
                found.map(|entry| (path.key(&entry.key), &entry.node))
            }
        };
        let Some(inner) = inner else { return path };
        (path, here) = inner;
    }
}

impl Salvaged {
    /// What was read in spite of problems at the places of `unread`. None when that is nothing.
    pub(super) fn new(
        key: Option<ObjectKey>,
        metadata: Option<Metadata>,
        spec: Spec,
        place: &Place,
        text: &str,
        unread: Unread,
    ) -> Option<Self> {
        let (labels, annotations) = metadata.map(|all| (all.labels, all.annotations)).unwrap_or_default();
        let own = key.clone().or_else(|| Some(ObjectKey::new(spec.kind(), Name::new(STAND_IN).ok()?)))?;
        let digest = canonical::digest(&canonical::value(&spec), &annotations);
        let document =
            Document { key: own, labels, annotations, spec, place: place.clone(), digest, text: text.into() };
        Self { document, key, unread }.if_any()
    }

    /// A document whose form is in order, and whose values are not at `places`.
    pub(super) fn of(document: Document, places: Vec<Path>) -> Option<Self> {
        let unread = Unread { places, astray: false };
        Self { key: Some(document.key.clone()), document, unread }.if_any()
    }

    fn if_any(self) -> Option<Self> {
        let whole = |place: &Path| place.as_str().is_empty() || place.as_str() == "spec";
        (!self.unread.places.iter().any(whole)).then_some(self)
    }

    /// The document with its stand-ins. Its name is one too when [`key`](Self::key) is none.
    #[must_use]
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// Whose document it is, when that could be read.
    #[must_use]
    pub fn key(&self) -> Option<&ObjectKey> {
        self.key.as_ref()
    }

    /// Whether what stands at `path` is what the text says, leaving aside what is inside it.
    #[must_use]
    pub fn reads(&self, path: impl Display) -> bool {
        let path = path.to_string();
        !self.unread.places.iter().any(|place| place.holds(&path))
    }

    /// Whether what stands at `path` is what the text says, with all that is inside it.
    #[must_use]
    pub fn reads_all_of(&self, path: impl Display) -> bool {
        let path = path.to_string();
        !self.unread.places.iter().any(|place| place.holds(&path) || place.is_within(&path))
    }

    /// Whether nothing stands where it does not belong. If something does, it may be what seems to be missing.
    #[must_use]
    pub fn nothing_astray(&self) -> bool {
        !self.unread.astray
    }
}

#[cfg(test)]
mod tests {
    use super::super::{parse, yaml};
    use super::*;

    fn salvaged(spec: &str) -> Option<Salvaged> {
        let header = "apiVersion: arcology/v1alpha1\nkind: Loadout\nmetadata: {name: l}\n";
        let parsed = parse::file("a.yaml", format!("{header}spec: {spec}\n").as_bytes());
        assert_eq!(parsed.broken.len(), 1, "{spec}");
        parsed.salvaged.first().map(|one| (**one).clone())
    }

    #[test]
    fn items_keep_their_places_and_what_was_not_read_is_known() {
        let one = salvaged("{host: desk, models: [5, {model: a, state: no}, {model: b, state: loaded}]}").unwrap();
        let Spec::Loadout(spec) = &one.document().spec else { panic!("a Loadout") };
        assert_eq!((spec.models[1].model.as_str(), spec.models[2].model.as_str()), ("a", "b"));
        for path in ["spec.host", "spec.models", "spec.models[1].model", "spec.models[2]"] {
            assert!(one.reads(path), "{path}");
        }
        for path in ["spec.models[0]", "spec.models[0].model", "spec.models[1].state"] {
            assert!(!one.reads(path) && !one.reads_all_of(path), "{path}");
        }
        assert!(!one.reads_all_of("spec.models") && !one.reads_all_of("spec.models[1]"));
        assert!(one.reads_all_of("spec.models[2]") && one.nothing_astray());
    }

    #[test]
    fn a_field_that_is_out_of_place_or_twice_puts_in_doubt_what_seems_to_be_missing() {
        for spec in
            ["{host: desk, x: 1}", "{host: desk, models: [{model: a, state: loaded, x: 1}]}", "{host: a, host: b}"]
        {
            assert!(salvaged(spec).is_none_or(|one| !one.nothing_astray()), "{spec}");
        }
        let beside = salvaged("{host: desk}\nmodels: []").unwrap();
        assert!(!beside.nothing_astray());
    }

    #[test]
    fn of_what_is_no_spec_at_all_nothing_is_kept() {
        for spec in ["5", "[]", "{host: a, host: b}", "{<<: {}, host: a}", "{host: desk"] {
            assert_eq!(salvaged(spec), None, "{spec}");
        }
    }

    #[test]
    fn the_innermost_list_or_mapping_around_a_place_is_found() {
        let text = "a: {b: [1, {c: 2}]}\nd:\n  - e: 5\n";
        let root = yaml::tree(text).root.unwrap();
        for (around, expected) in [("a", ""), ("b", "a"), ("1", "a.b"), ("c", "a.b[1]"), ("2", "a.b[1]"), ("5", "d[0]")]
        {
            assert_eq!(innermost(&root, text.find(around).unwrap()).as_str(), expected, "{around}");
        }
    }
}
