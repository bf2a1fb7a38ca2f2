//! The planner under any wish and any sight: carrying its plans out ends, and never asks too much of a GPU.

use proptest::prelude::*;

use super::*;

fn state() -> impl Strategy<Value = ModelState> {
    prop_oneof![Just(Loaded), Just(Unloaded)]
}

fn desired() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("loaded"), Just("onDemand"), Just("unloaded")]
}

fn unlisted() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("onDemand"), Just("unloaded"), Just("ignore")]
}

proptest! {
    /// Whatever is asked and seen: doing what the plan says, as often as it says something, ends in sync with
    /// nothing left to do, or in a hold that says why. Applying the same again changes nothing.
    #[test]
    fn carrying_plans_out_converges(
        asked in proptest::collection::vec(desired(), 3),
        seen in proptest::collection::vec(state(), 3),
        unlisted in unlisted(),
        listed in proptest::collection::vec(any::<bool>(), 3),
    ) {
        let models: Vec<String> = ["small", "large", "other"].iter().zip(&asked).zip(&listed)
            .filter(|(_, listed)| **listed)
            .map(|((model, state), _)| format!("{{model: {model}, state: {state}}}"))
            .collect();
        let yaml = loadout(&format!("{{host: desk, unlisted: {unlisted}, models: [{}]}}", models.join(", ")));
        let mut scene = Scene::of(&yaml);
        // All three loaded together do not fit, which validation refuses; nothing to converge to then.
        prop_assume!(scene.world.broken.is_empty());
        scene.look(&[("s", seen[0]), ("l", seen[1]), ("o", seen[2])]);
        let mut rounds = 0;
        loop {
            let plan = scene.desk();
            if plan.intents.is_empty() && plan.bookkeeping.is_empty() {
                prop_assert!(plan.status.sync == Sync::InSync || plan.status.hold.is_some(), "{:?}", plan.status);
                break;
            }
            scene.obey(&plan);
            rounds += 1;
            prop_assert!(rounds < 8, "it never settles: {:?}", scene.desk());
        }
        let again = scene.desk();
        prop_assert!(again.intents.is_empty());
    }

    /// A plan never loads more than the GPU holds, going by the sums that it knows.
    #[test]
    fn loads_never_exceed_the_gpu(seen in proptest::collection::vec(state(), 3)) {
        let yaml = loadout("{host: desk, models: [{model: large, state: loaded}, {model: other, state: loaded}]}");
        let mut scene = Scene::of(&yaml);
        scene.look(&[("s", seen[0]), ("l", seen[1]), ("o", seen[2])]);
        let before: f64 = [6.0, 16.0, 5.0].iter().zip(&seen).filter(|(_, state)| **state == Loaded).map(|(gb, _)| gb).sum();
        for _ in 0..4 {
            let plan = scene.desk();
            scene.obey(&plan);
            let view = scene.inputs().fresh_view(&name("swap")).unwrap();
            let used: f64 = view.models.iter().filter(|model| model.state == Loaded)
                .map(|model| match model.name.as_str() { "s" => 6.0, "l" => 16.0, _ => 5.0 }).sum();
            prop_assert!(used <= 23.0_f64.max(before), "{used}");
        }
    }
}
