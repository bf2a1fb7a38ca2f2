//! The fewest loads with which models can be used in a given order: eviction alone, made with knowledge of all that comes.
//!
//! Models have different sizes, so "the one that is used furthest ahead" (Belady, "A study of replacement algorithms for a
//! virtual-storage computer", 1966) is not the best choice any more; what is loaded is searched through instead, exactly,
//! over every set of models that fits. Time plays no part: a bound from below for every way of doing the same order.

use std::collections::BTreeMap;

/// `uses` in order, as indices into `sizes` (at most 16 models, in GB); none: everything has to go. `room` in GB.
pub fn fewest_loads(uses: &[Option<usize>], sizes: &[f64], room: f64) -> u64 {
    assert!(sizes.len() <= 16, "sets of models are kept as 16 bits");
    let fits = |set: u16| {
        (0..sizes.len()).filter(|model| set & (1 << model) != 0).map(|model| sizes[model]).sum::<f64>() <= room
    };
    // What is loaded, and the fewest loads that lead to it.
    let mut best = BTreeMap::from([(0_u16, 0_u64)]);
    for wanted in uses {
        let mut next: BTreeMap<u16, u64> = BTreeMap::new();
        for (set, loads) in best {
            let Some(wanted) = wanted else {
                let entry = next.entry(0).or_insert(loads);
                *entry = loads.min(*entry);
                continue;
            };
            let bit = 1 << wanted;
            if set & bit != 0 {
                let entry = next.entry(set).or_insert(loads);
                *entry = loads.min(*entry);
                continue;
            }
            // Every part of what is there that leaves room; keeping more costs nothing, keeping less never helps.
            let mut kept = set;
            loop {
                if fits(kept | bit) {
                    let entry = next.entry(kept | bit).or_insert(loads + 1);
                    *entry = (loads + 1).min(*entry);
                }
                if kept == 0 {
                    break;
                }
                kept = (kept - 1) & set;
            }
        }
        best = next;
    }
    best.into_values().min().unwrap_or(0)
}
