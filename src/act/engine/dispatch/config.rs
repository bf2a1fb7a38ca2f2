//! The world in force in the scheduler's shape, with models under the names by which runtimes report them.
//!
//! A manifest may name a model by an alias; observations never do. Which aliases there are only the runtime knows.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::core::observed::Reading;
use crate::core::{Name, Observed, Timestamp};
use crate::decide::scheduler::{Config, ModelAt};
use crate::decide::view::RuntimeView;
use crate::declare::world::World;

/// What the scheduler takes from a world, as far as runtimes were seen.
#[must_use]
pub fn of(world: &World, views: &BTreeMap<Name, Observed<RuntimeView>>, now: Timestamp) -> Arc<Config> {
    let mut config = Config::of(world);
    let real = |at: &ModelAt| {
        let view = views.get(&at.runtime).and_then(|seen| match seen.read(now) {
            // An old answer about names is as good as a new one.
            Reading::Fresh { value, .. } | Reading::Stale { value, .. } => Some(value),
            Reading::Unknown { .. } => None,
        });
        let name = view.map_or(&*at.served_as, |view| view.real_name(&at.served_as));
        ModelAt { runtime: at.runtime.clone(), served_as: name.into() }
    };
    for model in config.models.values_mut() {
        for at in &mut model.served {
            *at = real(at);
        }
    }
    config.pins = std::mem::take(&mut config.pins).into_iter().map(|(at, pin)| (real(&at), pin)).collect();
    Arc::new(config)
}
