//! What a revision may remove, what is held, and what lets it go.

use arcology::declare::world::{Changes, Standing, World};

use super::{Engine, Tree, documents, host, key, keys, manifest};

/// Hosts `h0`, `h1`… each in a file of its own below `folder`.
fn hosts(tree: &mut Tree, folder: &str, count: usize) {
    for n in 0..count {
        tree.write(&format!("{folder}/{folder}{n}.yaml"), &host(&format!("{folder}{n}")));
    }
}

fn removed(changes: &Changes) -> Vec<String> {
    changes.removed.iter().map(|object| object.document.key.to_string()).collect()
}

fn reason(engine: &Engine, name: &str) -> String {
    match &engine.object(name).standing {
        Standing::PruneHeld { reason } => reason.clone(),
        other => panic!("{name} is not held but {other:?}"),
    }
}

fn warning(world: &World) -> String {
    let told: Vec<_> = world.diagnostics.iter().filter(|diagnostic| &*diagnostic.code == "ARC401").collect();
    assert_eq!(told.len(), 1, "{told:?}");
    format!("{} [{}] ({})", told[0].message, told[0].path, told[0].help.clone().unwrap_or_default())
}

#[test]
fn a_single_file_may_be_deleted() {
    let mut engine = Engine::default();
    let mut tree = Tree::default();
    hosts(&mut tree, "a", 4);
    engine.apply(&tree);
    tree.remove("a/a1.yaml");
    let assembly = engine.apply(&tree);
    assert_eq!(removed(&assembly.changes), ["Host/a1"]);
    assert!(assembly.world.diagnostics.is_empty());
    assert!(!engine.in_force.contains_key(&key("Host/a1")));
}

#[test]
fn a_revision_without_objects_holds_even_a_single_one() {
    let mut engine = Engine::default();
    let mut tree = Tree::default();
    hosts(&mut tree, "a", 1);
    engine.apply(&tree);
    let assembly = engine.apply(&Tree::default());
    assert_eq!(assembly.changes.held, keys(&["Host/a0"]));
    insta::assert_snapshot!(
        warning(&assembly.world),
        @r#"1 object is gone from Git but held in force: the revision declares no object at all (Host/a0) [a/a0.yaml] (if they are to go, say so: git commit --allow-empty -m "Confirm the removal" --trailer "Prune: confirm"; if not, restore their manifests)"#
    );
    let assembly = engine.apply(&Tree::default());
    assert!(assembly.changes.is_empty(), "held once and for all");
    assert_eq!(assembly.world.diagnostics.len(), 1, "and told each time");
    assert_eq!(removed(&engine.confirm(&Tree::default()).changes), ["Host/a0"]);
    assert!(engine.in_force.is_empty());
}

#[test]
fn a_folder_that_lost_all_of_its_several_objects_is_held() {
    let mut engine = Engine::default();
    let mut tree = Tree::default();
    hosts(&mut tree, "a", 2);
    hosts(&mut tree, "b", 1);
    hosts(&mut tree, "c", 9);
    engine.apply(&tree);
    for path in ["a/a0.yaml", "a/a1.yaml", "b/b0.yaml"] {
        tree.remove(path);
    }
    let assembly = engine.apply(&tree);
    assert_eq!(removed(&assembly.changes), ["Host/b0"], "the only object of a folder may go");
    assert_eq!(assembly.changes.held, keys(&["Host/a0", "Host/a1"]));
    assert_eq!(reason(&engine, "Host/a0"), "nothing is left of the folder `a/`, which had 2 objects");
}

#[test]
fn a_folder_whose_files_are_only_broken_or_moved_is_not_lost() {
    let mut engine = Engine::default();
    let mut tree = Tree::default();
    hosts(&mut tree, "a", 3);
    hosts(&mut tree, "c", 9);
    engine.apply(&tree);
    tree.remove("a/a0.yaml");
    tree.write("a/a1.yaml", "}{");
    tree.remove("a/a2.yaml");
    tree.write("c/a2.yaml", &host("a2"));
    let changes = engine.apply(&tree).changes;
    assert_eq!(removed(&changes), ["Host/a0"]);
    assert_eq!(changes.quarantined, keys(&["Host/a1"]));
}

#[test]
fn more_removals_than_the_budget_allows_hold_all_of_them() {
    let mut engine = Engine::default();
    let mut tree = Tree::default();
    hosts(&mut tree, "a", 7);
    tree.write("p.yaml", &manifest("Policy", "all", "pruneBudget: 2"));
    engine.apply(&tree);
    for n in 0..3 {
        tree.remove(&format!("a/a{n}.yaml"));
    }
    let assembly = engine.apply(&tree);
    assert_eq!(assembly.changes.held, keys(&["Host/a0", "Host/a1", "Host/a2"]));
    assert_eq!(reason(&engine, "Host/a0"), "the revision removes 3 objects of 8, and pruneBudget (2) allows 2");

    // What is held does not count against the next commit.
    tree.remove("a/a3.yaml");
    tree.remove("a/a4.yaml");
    let assembly = engine.apply(&tree);
    assert_eq!(removed(&assembly.changes), ["Host/a3", "Host/a4"]);
    assert_eq!(engine.in_force.len(), 6, "a0, a1 and a2 held, a5, a6 and the policy current");

    let assembly = engine.confirm(&tree);
    assert_eq!(removed(&assembly.changes), ["Host/a0", "Host/a1", "Host/a2"]);
    assert!(assembly.world.diagnostics.is_empty());
}

#[test]
fn the_stricter_of_the_budgets_before_and_after_holds() {
    for (before, after) in [("pruneBudget: 1", "pruneBudget: 100"), ("pruneBudget: 100", "pruneBudget: 1")] {
        let mut engine = Engine::default();
        let mut tree = Tree::default();
        hosts(&mut tree, "a", 7);
        tree.write("p.yaml", &manifest("Policy", "all", before));
        engine.apply(&tree);
        tree.write("p.yaml", &manifest("Policy", "all", after));
        tree.remove("a/a0.yaml");
        tree.remove("a/a1.yaml");
        let changes = engine.apply(&tree).changes;
        assert_eq!(changes.held, keys(&["Host/a0", "Host/a1"]), "{before} {after}");
        assert_eq!(changes.changed, keys(&["Policy/all"]));
    }
}

#[test]
fn removing_the_policy_that_limits_removals_does_not_lift_the_limit() {
    let mut engine = Engine::default();
    let mut tree = Tree::default();
    hosts(&mut tree, "a", 7);
    tree.write("p.yaml", &manifest("Policy", "all", "pruneBudget: 1"));
    engine.apply(&tree);
    tree.remove("p.yaml");
    tree.remove("a/a0.yaml");
    assert_eq!(engine.apply(&tree).changes.held, keys(&["Host/a0", "Policy/all"]));
    tree.remove("a/a1.yaml");
    tree.remove("a/a2.yaml");
    assert_eq!(engine.apply(&tree).changes.held, keys(&["Host/a1", "Host/a2"]), "the held policy is in force");
}

#[test]
fn a_budget_of_none_holds_every_removal() {
    let mut engine = Engine::default();
    let mut tree = Tree::default();
    hosts(&mut tree, "a", 7);
    tree.write("p.yaml", &manifest("Policy", "all", "pruneBudget: 0"));
    engine.apply(&tree);
    tree.remove("a/a0.yaml");
    assert_eq!(engine.apply(&tree).changes.held, keys(&["Host/a0"]));
}

#[test]
fn a_held_object_that_comes_back_is_current_again_with_its_generation() {
    let mut engine = Engine::default();
    let mut tree = Tree::default();
    hosts(&mut tree, "a", 3);
    engine.apply(&tree);
    engine.apply(&Tree::default());
    let changes = engine.apply(&tree).changes;
    assert_eq!(changes.mended, keys(&["Host/a0", "Host/a1", "Host/a2"]));
    assert!(changes.changed.is_empty() && changes.added.is_empty());
    assert_eq!(engine.object("Host/a0").generation, 1);

    engine.apply(&Tree::default());
    tree.write("a/a0.yaml", &manifest("Host", "a0", "address: 10.0.0.7"));
    assert_eq!(engine.apply(&tree).changes.changed, keys(&["Host/a0"]));
    assert_eq!(engine.object("Host/a0").generation, 2);
}

#[test]
fn what_a_held_object_refers_to_stays_with_it_and_goes_with_it() {
    let mut engine = Engine::default();
    let mut tree = Tree::default();
    hosts(&mut tree, "keep", 20);
    tree.write("manifests/host.yaml", &host("desk"));
    let builtin = "host: desk, adapter: builtin";
    tree.write("runtimes/r.yaml", &documents(&[manifest("Runtime", "r", builtin), manifest("Runtime", "s", builtin)]));
    engine.apply(&tree);
    tree.remove("manifests/host.yaml");
    tree.remove("runtimes/r.yaml");
    let changes = engine.apply(&tree).changes;
    assert_eq!(changes.held, keys(&["Runtime/r", "Runtime/s"]));
    assert_eq!(changes.retained, keys(&["Host/desk"]));
    assert_eq!(engine.object("Host/desk").standing, Standing::Retained { by: key("Runtime/r") });
    assert!(engine.apply(&tree).changes.is_empty());
    assert_eq!(removed(&engine.confirm(&tree).changes), ["Host/desk", "Runtime/r", "Runtime/s"]);
}

#[test]
fn confirming_lets_nothing_go_that_a_broken_object_still_needs_or_that_cannot_be_read() {
    let mut engine = Engine::default();
    let mut tree = Tree::default();
    tree.write("a/host.yaml", &host("desk"));
    tree.write("b/runtime.yaml", &manifest("Runtime", "r", "host: desk, adapter: builtin"));
    tree.write("c/other.yaml", &host("other"));
    engine.apply(&tree);
    tree.remove("a/host.yaml");
    tree.write("b/runtime.yaml", &manifest("Runtime", "r", "hosst: desk, adapter: builtin"));
    tree.write("c/other.yaml", "}{");
    let changes = engine.confirm(&tree).changes;
    assert!(changes.removed.is_empty());
    assert_eq!(changes.retained, keys(&["Host/desk"]));
    assert_eq!(changes.quarantined, keys(&["Host/other", "Runtime/r"]));
}

#[test]
fn many_held_objects_are_told_in_one_warning_that_names_some() {
    let mut engine = Engine::default();
    let mut tree = Tree::default();
    hosts(&mut tree, "a", 9);
    engine.apply(&tree);
    let message = warning(&engine.apply(&Tree::default()).world);
    assert!(message.starts_with(
        "9 objects are gone from Git but held in force: the revision declares no object at all \
         (Host/a0, Host/a1, Host/a2, Host/a3, Host/a4, and 4 more)"
    ));
}
