//! What manifests no longer ask for is undone: from the last spec, once, and only by what was seen since.

use super::*;

#[test]
fn a_model_that_is_no_longer_named_is_undone_once() {
    let mut scene = Scene::of(&loadout("{host: desk, models: [{model: small, state: loaded}]}"))
        .sees(&[("s", Unloaded), ("o", Loaded)]);
    let plan = scene.desk();
    scene.obey(&plan);
    scene.commit(&loadout("{host: desk, models: []}"));
    let plan = scene.desk();
    assert_eq!(deeds(&plan), ["unload s on swap"], "what it loaded, and not what somebody else loaded");
    scene.obey(&plan);
    assert!(deeds(&scene.desk()).is_empty());
    assert_eq!(scene.desk().status.sync, Sync::InSync);
}

#[test]
fn a_removed_loadout_is_undone_from_its_last_spec_and_then_forgotten() {
    let mut scene =
        Scene::of(&loadout("{host: desk, models: [{model: small, state: loaded}]}")).sees(&[("s", Unloaded)]);
    let plan = scene.desk();
    scene.obey(&plan);
    scene.commit(BASE);
    let gone = scene.desk();
    assert_eq!(deeds(&gone), ["unload s on swap"]);
    assert!(gone.status.reason.contains("gone"), "{}", gone.status.reason);
    scene.obey(&gone);
    assert!(plan_object(&scene.inputs(), &key("Loadout/desk")).is_none());
    assert!(super::plan(&scene.inputs()).intents.is_empty());
}

#[test]
fn what_another_loadout_holds_too_is_left_to_it() {
    let mut scene = Scene::of(&loadout("{host: desk, models: [{model: small, state: loaded}]}")).sees(&[("s", Loaded)]);
    let plan = scene.desk();
    assert_eq!(plan.bookkeeping.len(), 1, "what is there as asked is adopted");
    scene.obey(&plan);
    let target = scene.inventory[&key("Loadout/desk")][0].target.clone();
    let handed_over = loadout("{host: desk, models: [{model: small, state: loaded}]}")
        .replace("kind: Loadout\nmetadata: {name: desk}", "kind: Loadout\nmetadata: {name: second}");
    scene.inventory.insert(key("Loadout/second"), vec![holding(target)]);
    scene.commit(&handed_over);
    let gone = scene.desk();
    assert!(gone.intents.is_empty());
    assert_eq!(gone.bookkeeping.len(), 1);
}

#[test]
fn two_removed_loadouts_that_hold_the_same_do_not_leave_it_to_each_other() {
    let mut scene = Scene::of(&loadout("{host: desk, models: [{model: small, state: loaded}]}")).sees(&[("s", Loaded)]);
    let plan = scene.desk();
    scene.obey(&plan);
    scene.commit(BASE);
    let holdings = scene.inventory[&key("Loadout/desk")].clone();
    let other = Arc::clone(&scene.removed[&key("Loadout/desk")]);
    scene.inventory.insert(key("Loadout/second"), holdings);
    scene.removed.insert(key("Loadout/second"), other);
    assert_eq!(deeds(&scene.desk()), ["unload s on swap"]);
}

#[test]
fn a_removed_runtime_waits_until_what_was_loaded_on_it_is_undone() {
    let mut scene = Scene::of(&loadout("{host: desk, models: [{model: small, state: loaded}]}")).sees(&[("s", Loaded)]);
    let plan = scene.desk();
    scene.obey(&plan);
    let target = scene.inventory[&key("Loadout/desk")][0].target.clone();
    scene.inventory.insert(key("Runtime/swap"), vec![holding(target)]);
    scene.commit(BASE.split("---\n").next().unwrap());
    let runtime = plan_object(&scene.inputs(), &key("Runtime/swap")).unwrap();
    assert!(runtime.intents.is_empty() && runtime.bookkeeping.is_empty(), "it does nothing itself");
    let gone = scene.desk();
    assert_eq!(deeds(&gone), ["unload s on swap"]);
    scene.obey(&gone);
    let runtime = plan_object(&scene.inputs(), &key("Runtime/swap")).unwrap();
    assert_eq!(runtime.bookkeeping.len(), 1, "now it may go");
}

#[test]
fn a_look_that_is_older_than_a_load_does_not_say_that_it_came_to_nothing() {
    let mut scene =
        Scene::of(&loadout("{host: desk, models: [{model: small, state: loaded}]}")).sees(&[("s", Unloaded)]);
    let plan = scene.desk();
    scene.obey(&plan);
    scene.commit(BASE);
    // The load was given up when the commit came, and the newest look is from before it began.
    scene.look_at(&[("s", Unloaded)], earlier(1));
    let waits = scene.desk();
    assert_eq!((waits.bookkeeping.len(), waits.status.sync), (0, Sync::Unknown));
    scene.look(&[("s", Loaded)]);
    assert_eq!(deeds(&scene.desk()), ["unload s on swap"]);
    // A clock that was set back does not hide what is seen.
    scene.look_at(&[("s", Unloaded)], earlier(1));
    for holdings in scene.inventory.values_mut() {
        holdings[0].since = crate::core::clock::after(now(), Duration::from_secs(3_600));
    }
    assert_eq!(scene.desk().bookkeeping.len(), 1);
}

#[test]
fn what_was_let_go_and_not_seen_since_is_unknown_and_the_look_that_saw_it_loaded_is_enough() {
    let mut scene = Scene::of(&loadout("{host: desk, models: [{model: small, state: loaded}]}")).sees(&[("s", Loaded)]);
    let plan = scene.desk();
    scene.obey(&plan);
    scene.commit(&loadout("{host: desk, models: []}"));
    scene.look_at(&[("s", Loaded)], earlier(1));
    assert_eq!(scene.desk().status.sync, Sync::Unknown, "not in sync: it may still be there");
    let target = scene.inventory[&key("Loadout/desk")][0].target.clone();
    let since = held_since(&target, scene.inputs().runtimes, now());
    assert_eq!(since, earlier(1), "the look that saw it loaded");
    for holdings in scene.inventory.values_mut() {
        holdings[0].since = since;
    }
    assert_eq!(deeds(&scene.desk()), ["unload s on swap"]);
    scene.look_at(&[("s", Unloaded)], earlier(1));
    assert_eq!(held_since(&target, scene.inputs().runtimes, now()), now(), "no look saw it yet");
}

#[test]
fn what_became_of_an_action_that_stands_open_is_told_from_what_is_seen_and_by_nothing_else() {
    use super::unfinished::{Seen, seen};
    let model = |at: &str| Target::Model { runtime: name(at), model: None, served_as: "s".into() };
    let table = [
        (Loaded, Verb::Load, Seen::Done),
        (Loaded, Verb::Unload, Seen::NotDone),
        (Unloaded, Verb::Load, Seen::NotDone),
        (Unloaded, Verb::Unload, Seen::Done),
        (ModelState::Loading, Verb::Load, Seen::Unknown),
        (ModelState::Unloading, Verb::Unload, Seen::Unknown),
        (ModelState::Unknown, Verb::Load, Seen::Unknown),
    ];
    for (state, verb, wanted) in table {
        let scene = Scene::of(BASE).sees(&[("s", state)]);
        assert_eq!(seen(&scene.inputs(), verb, &model("swap")), wanted, "{state:?} {verb:?}");
    }
    let scene = Scene::of(BASE);
    assert_eq!(seen(&scene.inputs(), Verb::Load, &model("swap")), Seen::Unknown, "nobody looked yet");
    assert_eq!(seen(&scene.inputs(), Verb::Load, &model("gone")), Seen::NotDone, "nobody will ever look");
}
