//! What a Runtime is declared to offer, beside what it says of itself.

use super::*;

fn swap(scene: &Scene) -> ObjectStatus {
    plan_object(&scene.inputs(), &key("Runtime/swap")).unwrap().status
}

#[test]
fn a_model_that_the_runtime_does_not_know_is_drift_of_the_runtime_with_its_name() {
    let status = swap(&Scene::of(BASE).sees(&[("s", Loaded), ("l2", Unloaded)]));
    assert_eq!(status.sync, Sync::Drifted(Drift::Missing));
    let fields: Vec<&str> = status.fields.iter().map(|field| field.field.as_str()).collect();
    assert!(fields.contains(&"models[large]") && !fields.contains(&"models[small]"), "{fields:?}");
    let large = status.fields.iter().find(|field| field.field == "models[large]").unwrap();
    assert!(
        large
            .observed
            .starts_with("model \"l\" is declared here, and the runtime does not know it; it knows \"s\", \"l2\""),
        "{}",
        large.observed
    );
    assert_eq!(status.health, Health::Healthy, "it works; it only has not what is declared");
}

#[test]
fn a_runtime_that_is_not_seen_or_does_not_tell_all_is_not_accused() {
    let mut scene = Scene::of(BASE);
    assert_eq!(swap(&scene).sync, Sync::Unknown);
    let view = RuntimeView { partial: true, ..RuntimeView::default() };
    scene.runtimes.insert(name("swap"), Observed::seen(view, "swap", now(), Duration::from_secs(15)));
    assert_eq!(swap(&scene).sync, Sync::InSync);
    let model = plan_object(&scene.inputs(), &key("Model/small")).unwrap().status;
    assert_eq!(model.sync, Sync::Unknown);
    assert!(model.reason.contains("does not tell all its models"), "{}", model.reason);
}

#[test]
fn a_declared_capability_that_the_running_program_has_not_is_drift_with_why() {
    let mut scene = Scene::of(BASE);
    let why = "`tesseract` is not installed";
    let lacks = ["text.generate", "ocr.pdf"].map(|name| (name.to_owned(), why.to_owned())).into();
    let view = RuntimeView { partial: true, lacks, ..RuntimeView::default() };
    scene.runtimes.insert(name("swap"), Observed::seen(view, "swap", now(), Duration::from_secs(15)));
    let status = swap(&scene);
    assert_eq!(status.sync, Sync::Drifted(Drift::Missing));
    let [field] = status.fields.as_slice() else { panic!("only what is declared can be missing: {:?}", status.fields) };
    assert_eq!(
        (field.field.as_str(), field.observed.as_str()),
        (
            "capabilities[text.generate]",
            "capability \"text.generate\" is declared here, and `tesseract` is not installed"
        )
    );
}
