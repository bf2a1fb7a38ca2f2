//! What our own models take of a GPU, and what is left for others.

use super::super::gpu_use::{foreign_on, loaded_on};
use super::*;
use crate::decide::host_view::GpuView;

fn desk() -> Scene {
    Scene::of(BASE).sees(&[("s", Loaded), ("l", Unloaded), ("stranger", Loaded)])
}

fn on(scene: &Scene) -> crate::decide::reconcile::gpu_use::Loaded {
    loaded_on(&scene.inputs(), &name("desk"), &name("gpu0"))
}

/// What belongs to others when the driver says this much is used.
fn foreign(mut scene: Scene, used_gb: f64, simulated: bool) -> Option<f64> {
    let view = GpuView { used_gb, total_gb: 24.0, simulated, ..GpuView::default() };
    let seen = Observed::seen(view, "NVML", now(), Duration::from_secs(15));
    scene.gpus.insert((name("desk"), name("gpu0")), seen);
    foreign_on(&scene.inputs(), &name("desk"), &name("gpu0"))
}

#[test]
fn what_is_loaded_is_summed_and_what_has_no_size_is_named() {
    let loaded = on(&desk());
    assert_eq!((loaded.gb, loaded.models), (6.0, 2));
    assert_eq!(loaded.unsized_models, ["stranger on swap"]);
    assert!(loaded.unseen.is_empty());
    let elsewhere = loaded_on(&desk().inputs(), &name("desk"), &name("gpu1"));
    assert_eq!(elsewhere, Default::default(), "another GPU holds nothing of it");
}

#[test]
fn the_larger_of_declared_and_reported_counts() {
    for (reported, counted) in [(4.0, 6.0), (7.5, 7.5)] {
        let mut scene = desk();
        let mut view = scene.inputs().fresh_view(&name("swap")).unwrap().clone();
        view.models[0].vram_gb = Some(reported);
        scene.runtimes.insert(name("swap"), Observed::seen(view, "swap", now(), Duration::from_secs(15)));
        assert_eq!(on(&scene).gb, counted, "{reported}");
    }
}

#[test]
fn foreign_use_is_what_no_loaded_model_explains_and_never_below_nothing() {
    assert_eq!(foreign(desk(), 9.5, false), Some(3.5));
    assert_eq!(foreign(desk(), 2.0, false), Some(0.0));
}

#[test]
fn foreign_use_is_not_known_without_a_measurement_or_while_a_runtime_was_not_seen() {
    assert_eq!(foreign(desk(), 9.5, true), None, "nothing was measured");
    assert_eq!(foreign_on(&desk().inputs(), &name("desk"), &name("gpu0")), None, "nothing was seen");
    let unseen = Scene::of(BASE);
    assert_eq!(on(&unseen).unseen, [name("swap")]);
    assert_eq!(foreign(unseen, 9.5, false), None, "it may all be ours");
}
