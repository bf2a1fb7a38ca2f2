//! What becomes current, what stays on its last good version, and what is told about it.

use std::sync::Arc;

use arcology::declare::manifest::code::SYMLINK;
use arcology::declare::manifest::parse;
use arcology::declare::world::{Changes, Standing};

use super::{Engine, Tree, codes, commit, documents, host, key, keys, manifest};

fn house() -> Tree {
    let runtime = manifest("Runtime", "inside", "host: desk, adapter: builtin");
    let model = manifest("Model", "lead", "type: other, servedBy: [{runtime: inside}]");
    let loadout = manifest("Loadout", "desk", "host: desk, models: [{model: lead, state: loaded}]");
    Tree::new([
        ("manifests/host.yaml", host("desk")),
        ("manifests/rest.yaml", documents(&[runtime, model])),
        ("manifests/loadout.yaml", loadout),
    ])
}

#[test]
fn a_first_revision_adds_everything_with_its_commit() {
    let mut engine = Engine::default();
    let assembly = engine.apply(&house());
    assert_eq!(assembly.changes.added, keys(&["Host/desk", "Runtime/inside", "Model/lead", "Loadout/desk"]));
    let model = engine.object("Model/lead");
    assert_eq!((model.generation, &model.asked_by), (1, &Some(commit(1))));
    assert_eq!(model.revision, assembly.world.revision);
    assert!(model.is_current());
    assert!(assembly.world.diagnostics.is_empty());
}

#[test]
fn applying_a_revision_again_changes_nothing_and_reuses_every_object() {
    let mut engine = Engine::default();
    engine.apply(&house());
    let before = engine.in_force.clone();
    // Parsed anew, so that nothing is equal merely by being the same allocation.
    let assembly = engine.apply(&house());
    assert!(assembly.changes.is_empty(), "{:?}", assembly.changes);
    assert!(before.iter().all(|(key, object)| Arc::ptr_eq(object, &engine.in_force[key])));
}

#[test]
fn a_changed_spec_is_a_new_generation_and_a_comment_is_not() {
    let mut engine = Engine::default();
    let mut tree = house();
    engine.apply(&tree);

    tree.write("manifests/host.yaml", &format!("# the one under the table\n{}", host("desk")));
    let assembly = engine.apply(&tree);
    assert_eq!(assembly.changes, Changes { touched: keys(&["Host/desk"]), ..Changes::default() });
    assert_eq!(engine.object("Host/desk").generation, 1);

    tree.write("manifests/host.yaml", &manifest("Host", "desk", "address: 10.0.0.2"));
    let assembly = engine.apply(&tree);
    assert_eq!(assembly.changes, Changes { changed: keys(&["Host/desk"]), ..Changes::default() });
    let object = engine.object("Host/desk");
    assert_eq!((object.generation, &object.asked_by), (2, &Some(commit(3))));
}

#[test]
fn moving_an_object_to_another_file_is_no_change_of_it() {
    let mut engine = Engine::default();
    let mut tree = house();
    engine.apply(&tree);
    tree.remove("manifests/host.yaml");
    tree.write("elsewhere/host.yaml", &host("desk"));
    let assembly = engine.apply(&tree);
    assert_eq!(assembly.changes, Changes { touched: keys(&["Host/desk"]), ..Changes::default() });
    let object = engine.object("Host/desk");
    assert_eq!(&*object.document.place.path, "elsewhere/host.yaml");
    assert_eq!((object.generation, &object.asked_by), (1, &Some(commit(1))), "the same text was asked for by commit 1");
}

#[test]
fn a_broken_document_keeps_its_last_good_version_and_mending_it_restores_it() {
    let mut engine = Engine::default();
    let mut tree = house();
    engine.apply(&tree);
    let before = engine.object("Host/desk").document.clone();

    tree.write("manifests/host.yaml", &manifest("Host", "desk", "adress: 10.0.0.1"));
    let assembly = engine.apply(&tree);
    assert_eq!(assembly.changes.quarantined, keys(&["Host/desk"]));
    assert_eq!(engine.object("Host/desk").document, before);
    let Standing::LastGood { diagnostics } = &engine.object("Host/desk").standing else { panic!("not quarantined") };
    assert!(!diagnostics.is_empty());
    assert!(assembly.world.broken.is_empty(), "something of it is in force");
    assert!(engine.object("Runtime/inside").is_current(), "what refers to it uses the last good version");

    assert!(engine.apply(&tree).changes.is_empty(), "the same broken revision again is nothing new");

    let assembly = engine.apply(&house());
    assert_eq!(assembly.changes.mended, keys(&["Host/desk"]));
    assert!(assembly.changes.changed.is_empty());
    assert_eq!(engine.object("Host/desk").generation, 1);
}

#[test]
fn a_document_nobody_can_name_keeps_what_came_from_its_file_and_stands_nowhere_else() {
    let mut engine = Engine::default();
    let mut tree = house();
    engine.apply(&tree);
    // The runtime moved out of the file in the same commit that broke the file.
    tree.write("manifests/rest.yaml", "}{");
    tree.write("manifests/moved.yaml", &manifest("Runtime", "inside", "host: desk, adapter: builtin"));
    let assembly = engine.apply(&tree);
    assert_eq!(assembly.changes.quarantined, keys(&["Model/lead"]));
    assert!(assembly.changes.removed.is_empty());
    assert!(engine.object("Runtime/inside").is_current());
    assert!(engine.object("Loadout/desk").is_current());
    assert!(assembly.world.broken.is_empty(), "it stands for Model/lead");

    tree.write("manifests/more.yaml", "}{");
    let world = engine.apply(&tree).world;
    assert_eq!(world.broken.len(), 1, "nothing came from that file before");
    assert_eq!(world.broken[0].key, None);
}

#[test]
fn what_has_no_last_good_version_is_broken_and_breaks_what_refers_to_it() {
    let mut engine = Engine::default();
    let mut tree = house();
    engine.apply(&tree);
    tree.write(
        "manifests/new.yaml",
        &documents(&[
            manifest("Runtime", "new", "host: dekk, adapter: builtin"),
            manifest("Model", "new", "type: other, servedBy: [{runtime: new}]"),
        ]),
    );
    tree.write(
        "manifests/loadout.yaml",
        &manifest("Loadout", "desk", "host: desk, models: [{model: new, state: loaded}]"),
    );
    let world = engine.apply(&tree).world;
    let broken: Vec<_> = world.broken.iter().filter_map(|broken| broken.key.clone()).collect();
    assert_eq!(broken, keys(&["Runtime/new", "Model/new"]));
    assert_eq!(codes(&world), ["ARC302", "ARC301", "ARC302"], "each problem once, in the order of the files");
    let Standing::LastGood { diagnostics } = &engine.object("Loadout/desk").standing else { panic!("not quarantined") };
    assert_eq!(diagnostics[0].message, "Model `new` is broken, and no earlier version of it is in force");
}

#[test]
fn of_two_documents_of_one_name_neither_is_used_whatever_the_order_of_files() {
    let mut engine = Engine::default();
    engine.apply(&house());
    for other in ["manifests/a.yaml", "manifests/z.yaml"] {
        let mut tree = house();
        tree.write(other, &manifest("Host", "desk", "address: 10.9.9.9"));
        let world = engine.apply(&tree).world;
        assert_eq!(codes(&world), ["ARC303"]);
        let (first, second) = ("manifests/host.yaml".min(other), "manifests/host.yaml".max(other));
        assert_eq!(&*world.diagnostics[0].path, second);
        assert_eq!(world.diagnostics[0].label.as_deref(), Some(&*format!("also declared at {first}:1")));
        assert_eq!(engine.object("Host/desk").generation, 1);
        assert!(matches!(engine.object("Host/desk").standing, Standing::LastGood { .. }));
    }
    let mut engine = Engine::default();
    let twice = Tree::new([("a.yaml", documents(&[host("desk"), host("desk"), host("desk")]))]);
    let world = engine.apply(&twice).world;
    assert_eq!(world.broken.len(), 1, "nothing of it is in force");
    assert_eq!(codes(&world), ["ARC303", "ARC303"], "told at each but the first");
}

#[test]
fn a_good_and_a_broken_document_of_one_name_are_told_and_neither_is_used() {
    let mut engine = Engine::default();
    engine.apply(&house());
    let mut tree = house();
    tree.write("manifests/z.yaml", &manifest("Host", "desk", "adress: 10.9.9.9"));
    let world = engine.apply(&tree).world;
    assert!(codes(&world).contains(&"ARC303"));
    assert!(matches!(engine.object("Host/desk").standing, Standing::LastGood { .. }));
}

#[test]
fn what_a_last_good_version_needs_stays_until_that_is_mended() {
    let mut engine = Engine::default();
    let mut tree = house();
    tree.write("manifests/more.yaml", &documents(&["a", "b", "c", "d", "e"].map(host)));
    engine.apply(&tree);
    // The loadout is broken; the model it needs is gone, and so is the runtime that the model needs.
    tree.write("manifests/loadout.yaml", &manifest("Loadout", "desk", "hosst: desk"));
    tree.remove("manifests/rest.yaml");
    let assembly = engine.apply(&tree);
    assert_eq!(assembly.changes.retained, keys(&["Runtime/inside", "Model/lead"]));
    assert_eq!(engine.object("Model/lead").standing, Standing::Retained { by: key("Loadout/desk") });
    assert_eq!(engine.object("Runtime/inside").standing, Standing::Retained { by: key("Model/lead") });
    assert_eq!(codes(&assembly.world).iter().filter(|code| **code == "ARC402").count(), 2);
    assert!(engine.apply(&tree).changes.is_empty());

    tree.write("manifests/loadout.yaml", &manifest("Loadout", "desk", "host: desk"));
    let removed: Vec<_> =
        engine.apply(&tree).changes.removed.iter().map(|object| object.document.key.clone()).collect();
    assert_eq!(removed, keys(&["Runtime/inside", "Model/lead"]));
}

#[test]
fn a_new_reference_to_what_is_only_retained_leads_nowhere() {
    let mut engine = Engine::default();
    let mut tree = house();
    engine.apply(&tree);
    tree.write("manifests/loadout.yaml", &manifest("Loadout", "desk", "hosst: desk"));
    tree.write("manifests/rest.yaml", &manifest("Runtime", "inside", "host: desk, adapter: builtin"));
    tree.write("manifests/task.yaml", &manifest("Task", "t", "capability: text.summarize, target: {model: lead}"));
    let world = engine.apply(&tree).world;
    assert!(matches!(engine.object("Model/lead").standing, Standing::Retained { .. }));
    let told = world.diagnostics.iter().find(|diagnostic| &*diagnostic.code == "ARC301").unwrap();
    assert_eq!(told.message, "unknown Model `lead`");
    assert_eq!(engine.apply(&tree).world.diagnostics, world.diagnostics, "told the same the next time");
}

#[test]
fn a_broken_new_version_is_judged_against_the_last_good_one_of_what_it_needs() {
    let mut engine = Engine::default();
    let mut tree = house();
    engine.apply(&tree);
    // The new version of the model names a runtime that is not there: the loadout goes on with the old version.
    tree.write(
        "manifests/rest.yaml",
        &documents(&[
            manifest("Runtime", "inside", "host: desk, adapter: builtin"),
            manifest("Model", "lead", "type: other, servedBy: [{runtime: outside}]"),
        ]),
    );
    let assembly = engine.apply(&tree);
    assert_eq!(assembly.changes.quarantined, keys(&["Model/lead"]), "and not the loadout, which is in order");
}

#[test]
fn a_long_chain_of_tasks_behind_a_broken_one_is_told_link_by_link() {
    const LINKS: usize = 2_000;
    let mut tasks = vec![manifest("Task", "t0", "capability: text.nothing")];
    tasks.extend(
        (1..LINKS).map(|n| {
            manifest("Task", &format!("t{n}"), &format!("capability: text.stats, dependencies: [t{}]", n - 1))
        }),
    );
    let mut tree = house();
    for (n, part) in tasks.chunks(500).enumerate() {
        tree.write(&format!("tasks/{n}.yaml"), &documents(part));
    }
    let world = Engine::default().apply(&tree).world;
    assert_eq!(world.broken.len(), LINKS);
    assert_eq!(codes(&world).iter().filter(|code| **code == "ARC302").count(), LINKS - 1);
}

#[test]
fn a_folder_that_becomes_unreadable_as_a_whole_keeps_what_came_from_below_it() {
    let mut engine = Engine::default();
    let mut tree = house();
    let below = manifest("Host", "below", "address: 10.0.0.9");
    tree.write("manifests/sub/deep/host.yaml", &below);
    tree.write("manifests/subway.yaml", &manifest("Host", "subway", "address: 10.0.0.8"));
    engine.apply(&tree);
    tree.remove("manifests/sub/deep/host.yaml");
    tree.remove("manifests/subway.yaml");
    let link = parse::unreadable("manifests/sub", SYMLINK, "`manifests/sub` is a link".to_owned(), None);
    tree.files.insert("manifests/sub".into(), Arc::new(link));
    let assembly = engine.apply(&tree);
    assert!(matches!(engine.object("Host/below").standing, Standing::LastGood { .. }));
    let removed: Vec<_> = assembly.changes.removed.iter().map(|object| object.document.key.to_string()).collect();
    assert_eq!(removed, ["Host/subway"], "a name that merely begins alike came from elsewhere");
}
