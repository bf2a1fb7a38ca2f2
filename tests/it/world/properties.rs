//! What holds for any sequence of edits.

use std::collections::BTreeMap;
use std::sync::Arc;

use arcology::core::{Kind, ObjectKey};
use arcology::declare::manifest::kind::policy::PruneBudget;
use arcology::declare::manifest::{Document, ParsedFile};
use arcology::declare::world::{Assembly, Object, Standing, check};
use proptest::prelude::*;

use super::{Engine, Tree, documents, manifest};

/// Files that edits are about; few, so that edits meet.
const FILES: [&str; 6] = ["a/1.yaml", "a/2.yaml", "a/3.yaml", "b/1.yaml", "b/2.yaml", "top.yaml"];

/// Names of each kind that edits are about.
const NAMES: [&str; 3] = ["x", "y", "z"];

/// One document of a file.
#[derive(Clone, Debug)]
enum Piece {
    Host {
        name: usize,
        vram: usize,
    },
    Runtime {
        name: usize,
        host: usize,
        gpu: bool,
    },
    Model {
        name: usize,
        runtime: usize,
        vram: usize,
    },
    Loadout {
        name: usize,
        host: usize,
        model: usize,
    },
    Task {
        name: usize,
        after: Option<usize>,
    },
    Policy {
        name: usize,
        host: Option<usize>,
        budget: usize,
    },
    /// A document with a readable name and an unknown field.
    Misspelt {
        name: usize,
    },
    /// A Loadout whose state is no state, and whose model may not be there.
    Hurt {
        name: usize,
        host: usize,
        model: usize,
    },
    /// A document that cannot be read at all.
    Garbage,
}

fn piece() -> impl Strategy<Value = Piece> {
    let name = 0..NAMES.len();
    let n = name.clone();
    prop_oneof![
        4 => (n.clone(), 1..3usize).prop_map(|(name, vram)| Piece::Host { name, vram }),
        4 => (n.clone(), n.clone(), any::<bool>()).prop_map(|(name, host, gpu)| Piece::Runtime { name, host, gpu }),
        3 => (n.clone(), n.clone(), 0..3usize).prop_map(|(name, runtime, vram)| Piece::Model { name, runtime, vram }),
        2 => (n.clone(), n.clone(), n.clone()).prop_map(|(name, host, model)| Piece::Loadout { name, host, model }),
        3 => (n.clone(), prop::option::of(n.clone())).prop_map(|(name, after)| Piece::Task { name, after }),
        1 => (n.clone(), prop::option::of(n.clone()), 0..4usize)
            .prop_map(|(name, host, budget)| Piece::Policy { name, host, budget }),
        2 => n.clone().prop_map(|name| Piece::Misspelt { name }),
        2 => (n.clone(), n.clone(), n.clone()).prop_map(|(name, host, model)| Piece::Hurt { name, host, model }),
        1 => Just(Piece::Garbage),
    ]
}

fn written(piece: &Piece) -> String {
    let at = |n: usize| NAMES[n];
    match piece {
        Piece::Host { name, vram } => {
            manifest("Host", at(*name), &format!("address: 10.0.0.1, gpus: [{{id: g, vramGb: {vram}}}]"))
        }
        Piece::Runtime { name, host, gpu } => {
            let gpu = if *gpu { ", gpu: g" } else { "" };
            manifest("Runtime", at(*name), &format!("host: {}, adapter: builtin{gpu}", at(*host)))
        }
        Piece::Model { name, runtime, vram } => {
            let spec = format!("type: other, servedBy: [{{runtime: {}}}], vramGb: {vram}", at(*runtime));
            manifest("Model", at(*name), &spec)
        }
        Piece::Loadout { name, host, model } => {
            let spec = format!("host: {}, models: [{{model: {}, state: loaded}}]", at(*host), at(*model));
            manifest("Loadout", at(*name), &spec)
        }
        Piece::Task { name, after } => {
            let after = after.map(|after| format!(", dependencies: [{}]", at(after))).unwrap_or_default();
            manifest("Task", at(*name), &format!("capability: text.stats{after}"))
        }
        Piece::Policy { name, host, budget } => {
            let selector = host.map(|host| format!("selector: {{hosts: [{}]}}, ", at(host))).unwrap_or_default();
            manifest("Policy", at(*name), &format!("{selector}pruneBudget: {budget}"))
        }
        Piece::Misspelt { name } => manifest("Host", at(*name), "adress: 10.0.0.1"),
        Piece::Hurt { name, host, model } => {
            let spec = format!("host: {}, models: [{{model: {}, state: loadd}}]", at(*host), at(*model));
            manifest("Loadout", at(*name), &spec)
        }
        Piece::Garbage => "}{\n".to_owned(),
    }
}

/// An edit of a revision: a file rewritten, or deleted when there is nothing to write; and whether it is confirmed.
type Edit = (usize, Vec<Piece>, bool);

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let pieces = prop_oneof![1 => Just(Vec::new()), 4 => prop::collection::vec(piece(), 1..5)];
    prop::collection::vec((0..FILES.len(), pieces, prop::bool::weighted(0.1)), 1..12)
}

fn apply(tree: &mut Tree, (file, pieces, _): &Edit) {
    if pieces.is_empty() {
        tree.files.remove(FILES[*file]);
    } else {
        tree.write(FILES[*file], &documents(&pieces.iter().map(written).collect::<Vec<_>>()));
    }
}

/// The same values in allocations of their own.
fn cloned(in_force: &BTreeMap<ObjectKey, Arc<Object>>) -> BTreeMap<ObjectKey, Arc<Object>> {
    let fresh = |object: &Object| Object { document: Arc::new((*object.document).clone()), ..object.clone() };
    in_force.iter().map(|(key, object)| (key.clone(), Arc::new(fresh(object)))).collect()
}

fn is_held(object: &Object) -> bool {
    matches!(object.standing, Standing::PruneHeld { .. })
}

fn top(path: &str) -> &str {
    path.split_once('/').map_or("", |(top, _)| top)
}

/// The names that a revision declares without contest, and how.
fn declared(tree: &Tree) -> BTreeMap<ObjectKey, Vec<Arc<Document>>> {
    let mut declared: BTreeMap<ObjectKey, Vec<Arc<Document>>> = BTreeMap::new();
    for document in tree.files.values().flat_map(|file| &file.documents) {
        declared.entry(document.key.clone()).or_default().push(Arc::clone(document));
    }
    declared
}

/// Whether the revision has anything under this name, or has something unreadable where it came from.
fn is_mentioned(tree: &Tree, object: &Object) -> bool {
    let key = &object.document.key;
    let named = |file: &ParsedFile| {
        let broken = file.broken.iter().any(|broken| broken.key.as_ref() == Some(key));
        broken || file.documents.iter().any(|document| document.key == *key)
    };
    let unreadable = |file: &ParsedFile| file.broken.iter().any(|broken| broken.key.is_none());
    let files = &tree.files;
    files.values().any(|file| named(file))
        || files.get(&object.document.place.path).is_some_and(|file| unreadable(file))
}

/// The smallest number of removals that any policy for every host allows, or a half when none says.
fn budget<'d>(documents: impl Iterator<Item = &'d Document>, total: usize) -> usize {
    use arcology::declare::manifest::Spec;
    let said = documents.filter_map(|document| match &document.spec {
        Spec::Policy(spec) if spec.selector.is_none() => spec.prune_budget,
        _ => None,
    });
    said.map(|budget| budget.allowed(total)).max().unwrap_or_else(|| PruneBudget::default().allowed(total))
}

/// Nothing is lost that should not be, checked against a plain reading of the rules.
fn check_removals(before: &BTreeMap<ObjectKey, Arc<Object>>, tree: &Tree, confirmed: bool, after: &Assembly) {
    let removed = &after.changes.removed;
    for object in removed {
        assert!(!is_mentioned(tree, object), "{} is in the revision and was removed", object.document.key);
        assert!(!after.world.objects.contains_key(&object.document.key));
    }
    let kept =
        |key: &ObjectKey| after.world.objects.contains_key(key) || removed.iter().any(|o| o.document.key == *key);
    assert!(before.keys().all(kept), "an object vanished without a word");
    if confirmed || removed.is_empty() {
        return;
    }
    assert!(removed.iter().all(|object| !is_held(object)), "a held object went without confirmation");
    assert!(tree.files.values().any(|file| !file.documents.is_empty() || !file.broken.is_empty()), "pruned to nothing");
    let counted: Vec<_> = before.values().filter(|object| !is_held(object)).collect();
    let budget_before = budget(before.values().map(|object| &*object.document), counted.len());
    let budget_after = budget(after.world.objects.values().map(|object| &*object.document), counted.len());
    assert!(removed.len() <= budget_before.min(budget_after), "{} removed", removed.len());
    for object in removed {
        let folder = top(&object.document.place.path);
        let had = counted.iter().filter(|other| top(&other.document.place.path) == folder).count();
        let mut left = tree.files.values().filter(|file| !file.documents.is_empty() || !file.broken.is_empty());
        assert!(had < 2 || left.any(|file| top(&file.path) == folder), "the folder {folder} was emptied");
    }
}

/// Every object in force is the revision's version or one that was in force before.
fn check_versions(before: &BTreeMap<ObjectKey, Arc<Object>>, tree: &Tree, after: &Assembly) {
    let declared = declared(tree);
    for (key, object) in &after.world.objects {
        let newest = declared.get(key).filter(|all| all.len() == 1).map(|all| &all[0]);
        match &object.standing {
            Standing::Current => assert_eq!(Some(&object.document), newest, "{key}"),
            Standing::LastGood { diagnostics } => {
                assert!(!diagnostics.is_empty(), "{key} is quarantined without a reason");
                assert_eq!(object.document, before[key].document, "{key}");
            }
            Standing::Retained { by } => {
                assert!(after.world.objects.contains_key(by));
                assert_eq!(object.document, before[key].document, "{key}");
            }
            Standing::PruneHeld { .. } => assert_eq!(object.document, before[key].document, "{key}"),
        }
        let old = before.get(key);
        let grown = old.map_or(1, |old| old.generation + u64::from(old.document.digest != object.document.digest));
        assert_eq!(object.generation, grown, "{key}");
    }
}

/// Everything that an object in force refers to is in force too.
fn check_references(after: &Assembly) {
    for object in after.world.objects.values() {
        arcology::declare::world::reference::each(&object.document, &mut |path, kind: Kind, name| {
            let key = ObjectKey::parse(&format!("{kind}/{name}")).unwrap();
            let there = after.world.objects.contains_key(&key);
            assert!(there, "{} in force refers to {key} at {path}, which is not", object.document.key);
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn no_sequence_of_edits_loses_a_last_good_version_or_prunes_beyond_the_guards(edits in edits()) {
        let mut engine = Engine::default();
        let mut tree = Tree::default();
        for edit in &edits {
            apply(&mut tree, edit);
            let before = engine.in_force.clone();
            let after = if edit.2 { engine.confirm(&tree) } else { engine.apply(&tree) };
            check_removals(&before, &tree, edit.2, &after);
            check_versions(&before, &tree, &after);
            check_references(&after);
        }
    }

    #[test]
    fn applying_any_revision_again_changes_nothing(edits in edits()) {
        let mut engine = Engine::default();
        let mut tree = Tree::default();
        for edit in &edits {
            apply(&mut tree, edit);
            let first = engine.apply(&tree);
            let second = engine.apply(&tree);
            prop_assert!(second.changes.is_empty(), "{:?}", second.changes);
            prop_assert_eq!(&first.world.diagnostics, &second.world.diagnostics);
            prop_assert!(first.world.objects.iter().all(|(key, object)| Arc::ptr_eq(object, &second.world.objects[key])));
        }
    }

    #[test]
    fn what_is_salvaged_of_broken_documents_is_told_and_decides_nothing(edits in edits()) {
        let (mut telling, mut silent) = (Engine::default(), Engine::default());
        let mut tree = Tree::default();
        for edit in &edits {
            apply(&mut tree, edit);
            let (one, other) = (telling.apply(&tree), silent.apply(&tree.without_salvage()));
            prop_assert_eq!(&one.world.objects, &other.world.objects);
            prop_assert_eq!(&one.world.broken, &other.world.broken);
            prop_assert_eq!(&one.changes, &other.changes);
            let told = &one.world.diagnostics;
            prop_assert!(other.world.diagnostics.iter().all(|diagnostic| told.contains(diagnostic)));
        }
    }

    #[test]
    fn shared_allocations_save_work_and_change_no_outcome(edits in edits()) {
        let (mut sharing, mut copying) = (Engine::default(), Engine::default());
        let mut tree = Tree::default();
        for edit in &edits {
            apply(&mut tree, edit);
            let files = tree.files.iter().map(|(path, file)| {
                let documents = file.documents.iter().map(|document| Arc::new((**document).clone())).collect();
                (Arc::clone(path), Arc::new(ParsedFile { documents, ..(**file).clone() }))
            });
            let fresh = Tree { files: files.collect(), ..Tree::default() };
            copying.in_force = cloned(&copying.in_force);
            let (one, other) = (sharing.apply(&tree), copying.apply(&fresh));
            prop_assert_eq!(&one.world.objects, &other.world.objects);
            prop_assert_eq!(&one.world.diagnostics, &other.world.diagnostics);
            prop_assert_eq!(&one.world.broken, &other.world.broken);
            prop_assert_eq!(&one.changes, &other.changes);
        }
    }

    #[test]
    fn mending_restores_exactly_what_was(edits in edits(), garbage in prop::collection::vec(0..FILES.len(), 1..4)) {
        let mut engine = Engine::default();
        let mut tree = Tree::default();
        edits.iter().for_each(|edit| apply(&mut tree, edit));
        engine.apply(&tree);
        let before = engine.in_force.clone();
        let mut spoilt = tree.clone();
        for file in garbage {
            if spoilt.files.contains_key(FILES[file]) {
                spoilt.write(FILES[file], "}{\n");
            }
        }
        engine.apply(&spoilt);
        let after = engine.apply(&tree);
        for (key, object) in &before {
            let now = &after.world.objects[key];
            prop_assert_eq!(&now.document, &object.document);
            prop_assert_eq!(now.generation, object.generation);
            prop_assert_eq!(&now.standing, &object.standing);
        }
    }

    #[test]
    fn where_documents_stand_does_not_matter(
        pieces in prop::collection::vec((piece(), 0..FILES.len(), 0..FILES.len()), 1..14)
    ) {
        let lay = |place: &dyn Fn(&(Piece, usize, usize)) -> usize, back: bool| {
            let mut files: BTreeMap<usize, Vec<String>> = BTreeMap::new();
            let mut all: Vec<_> = pieces.iter().collect();
            if back {
                all.reverse();
            }
            all.into_iter().for_each(|one| files.entry(place(one)).or_default().push(written(&one.0)));
            Tree::new(files.iter().map(|(file, parts)| (FILES[*file], documents(parts))))
        };
        let (one, other) = (lay(&|piece| piece.1, false), lay(&|piece| piece.2, true));
        let outcome = |tree: &Tree| {
            let world = Engine::default().apply(tree).world;
            let objects: Vec<_> = world.objects.values().map(|object| (object.document.key.clone(), object.document.digest)).collect();
            let mut broken: Vec<_> = world.broken.iter().map(|broken| broken.key.clone()).collect();
            broken.sort();
            let mut codes: Vec<_> = world.diagnostics.iter().map(|told| (told.code.clone(), told.severity)).collect();
            codes.sort();
            (objects, broken, codes)
        };
        prop_assert_eq!(outcome(&one), outcome(&other));
    }

    #[test]
    fn what_validate_says_is_what_a_first_revision_is_told(edits in edits()) {
        let mut tree = Tree::default();
        edits.iter().for_each(|edit| apply(&mut tree, edit));
        prop_assert_eq!(check(&tree.files, &|_| false), Engine::default().apply(&tree).world.diagnostics);
    }
}
