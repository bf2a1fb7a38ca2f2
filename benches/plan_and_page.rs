//! The plan for everything, and the page that shows it, over worlds that are in memory already.

use std::collections::BTreeMap;
use std::sync::Arc;

use arcology::act::engine::picture::Picture;
use arcology::core::{Name, Observed, Timestamp};
use arcology::decide::view::RuntimeView;
use arcology::tell::web::api::drift::DriftFilter;
use arcology::tell::web::facts::Facts;
use arcology::tell::web::render::{Template, html};
use arcology::tell::web::view;

use crate::cold_start::plan;
use crate::look::opened;
use crate::measure::{Times, row};
use crate::repository::Repository;

const ROUNDS: usize = 50;

pub fn run() {
    for manifests in [100, 1_000, 10_000] {
        let repository = Repository::of(manifests, "http://127.0.0.1:9");
        let (_, world) = opened(&repository);
        row(format!("{manifests} objects: the plan for everything"), Times::measure(ROUNDS, || plan(&world)));
        let views: BTreeMap<Name, Observed<RuntimeView>> = BTreeMap::new();
        let picture = Arc::new(Picture { world: Arc::new(world), views: Arc::new(views), ..Picture::default() });
        let now = Timestamp::now();
        let page = || {
            let facts = Facts::at(Arc::clone(&picture), now);
            let page = view::drift::page(&facts, &DriftFilter::default(), view::drift::ROWS_DEFAULT, None);
            html(Template::Drift, &page).expect("the template is right")
        };
        row("  /drift, its 200 first rows", Times::measure(ROUNDS, page));
        let facts = Facts::at(Arc::clone(&picture), now);
        let rendered = || {
            let page = view::drift::page(&facts, &DriftFilter::default(), 1_000, None);
            html(Template::Drift, &page).expect("the template is right")
        };
        row("  /drift, rendering up to 1,000 rows alone", Times::measure(ROUNDS / 5, rendered));
    }
}
