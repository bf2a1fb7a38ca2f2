//! Pages over many objects: complete, bounded, and made in little time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arcology::tell::web::api::drift::DriftFilter;
use arcology::tell::web::facts::{Facts, Queue};
use arcology::tell::web::render::{Template, html};
use arcology::tell::web::view;

use super::html::faults;
use super::sample::{self, at};

const OBJECTS: usize = 1_000;

/// A thousand models beside the usual world, none of them in the loadout.
fn large() -> Facts {
    let models: String = (0..OBJECTS)
        .map(|n| {
            format!(
                "---\napiVersion: arcology/v1alpha1\nkind: Model\nmetadata: {{name: model-{n}}}\n\
                 spec: {{type: llm, servedBy: [{{runtime: swap}}], capabilities: [text.generate]}}\n"
            )
        })
        .collect();
    let mut files: Vec<(String, &str)> = sample::usual().map(|(path, text)| (path.to_owned(), text)).into();
    let parts: Vec<&str> = models.split_inclusive("---\n").filter(|part| part.len() > 4).collect();
    files.extend(
        parts.iter().enumerate().map(|(n, part)| (format!("manifests/many/{n}.yaml"), part.trim_end_matches("---\n"))),
    );
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), *text)).collect();
    let mut picture = sample::normal_picture();
    picture.world = Arc::new(sample::world(&files, None, sample::revision(7, "Many models", "Ada Lovelace", -60)));
    Facts::at(Arc::new(picture), at(0))
}

#[test]
fn a_page_of_a_thousand_objects_is_whole_and_well_made() {
    let facts = large();
    assert!(facts.statuses.len() > OBJECTS);
    let page = html(Template::Drift, &view::drift::page(&facts, &DriftFilter::default(), OBJECTS, None)).unwrap();
    assert_eq!(faults(&page), Vec::<String>::new());
    assert_eq!(page.matches("<th role=\"rowheader\"").count(), OBJECTS);
    assert!(page.contains("rel=\"next\""));
    html(Template::Models, &view::model::page(&facts)).unwrap();
}

/// The bound is wide, for machines that are busy and builds that are not optimised; it finds what grows with the square.
#[test]
fn rendering_a_thousand_objects_takes_well_below_a_second_even_unoptimised() {
    let facts = large();
    let quickest = (0..3)
        .map(|_| {
            let begun = Instant::now();
            html(Template::Drift, &view::drift::page(&facts, &DriftFilter::default(), OBJECTS, None)).unwrap();
            html(Template::Home, &view::home::page(&facts, &Queue::default())).unwrap();
            begun.elapsed()
        })
        .min()
        .unwrap();
    assert!(quickest < Duration::from_secs(2), "{quickest:?}");
}
