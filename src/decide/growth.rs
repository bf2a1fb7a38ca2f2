//! What a model really took of a GPU: how much more the driver tells to be in use after a load than before it.
//!
//! Pure bookkeeping over looks at one GPU. Who looks, and who is told, is the engine's. A difference counts only when
//! exactly one model came, none went, and two looks in a row agree on what is loaded: a look may be older than the word of
//! the runtime. Memory that others took during the load is counted too, so a figure is good until the next load of the model
//! gives another.

use std::collections::{BTreeMap, BTreeSet};

use super::scheduler::{GpuId, ModelAt};

/// Less than this is noise of the driver, not a model, in GB.
const NOISE_GB: f64 = 0.05;

/// A GPU at one moment at which nothing came or went.
#[derive(Clone, Debug, PartialEq)]
pub struct Look {
    /// Memory in use by anybody, in GB, as the driver tells.
    pub used_gb: f64,
    /// The models that runtimes there report loaded.
    pub loaded: BTreeSet<ModelAt>,
}

/// The newest looks at every GPU.
#[derive(Debug, Default)]
pub struct Growth {
    gpus: BTreeMap<GpuId, Known>,
}

#[derive(Debug)]
struct Known {
    /// The newest look on which two agreed.
    sure: Look,
    /// What the newest look of all saw loaded.
    newest: BTreeSet<ModelAt>,
}

impl Growth {
    /// Takes a look, and says which model was loaded since the last sure one and what it took, in GB. No look means that
    /// something there cannot be seen: then nothing is known until it is seen again.
    pub fn look(&mut self, gpu: &GpuId, look: Option<Look>) -> Option<(ModelAt, f64)> {
        let Some(look) = look.filter(|look| look.used_gb.is_finite()) else {
            self.gpus.remove(gpu);
            return None;
        };
        let Some(known) = self.gpus.get_mut(gpu) else {
            let newest = look.loaded.clone();
            self.gpus.insert(gpu.clone(), Known { sure: look, newest });
            return None;
        };
        if known.newest != look.loaded {
            known.newest = look.loaded;
            return None;
        }
        let before = std::mem::replace(&mut known.sure, look);
        let now = &known.sure;
        let mut came = now.loaded.difference(&before.loaded);
        let one = came.next().filter(|_| came.next().is_none() && before.loaded.is_subset(&now.loaded))?;
        let took = now.used_gb - before.used_gb;
        (took > NOISE_GB).then(|| (one.clone(), took))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::Name;

    fn at(model: &str) -> ModelAt {
        ModelAt { runtime: Name::new("swap").unwrap(), served_as: model.into() }
    }

    /// Looks one after the other: memory in use and what is loaded; none: not seen. What is said after the last.
    fn said(looks: &[Option<(f64, &[&str])>]) -> Option<(String, f64)> {
        let gpu = GpuId { host: Name::new("desk").unwrap(), gpu: Name::new("gpu0").unwrap() };
        let mut growth = Growth::default();
        let mut last = None;
        for look in looks {
            let look = look.map(|(used_gb, loaded)| Look { used_gb, loaded: loaded.iter().map(|it| at(it)).collect() });
            last = growth.look(&gpu, look);
        }
        last.map(|(at, gb)| (at.served_as.to_string(), gb))
    }

    #[test]
    fn the_difference_around_a_load_is_what_the_model_took() {
        let (none, chat, both): (&[&str], &[&str], &[&str]) = (&[], &["chat"], &["chat", "coder"]);
        let chat_took = Some(("chat".to_owned(), 8.0));
        for (looks, expected) in [
            (vec![Some((1.0, none)), Some((9.0, chat)), Some((9.0, chat))], chat_took.clone()),
            // The runtime's word came before the driver's: the second look counts.
            (vec![Some((1.0, none)), Some((1.0, chat)), Some((9.0, chat))], chat_took),
            (vec![Some((1.0, none)), Some((9.0, chat))], None),
            // Told once.
            (vec![Some((1.0, none)), Some((9.0, chat)), Some((9.0, chat)), Some((9.0, chat))], None),
            // Two came: nobody knows which took what.
            (vec![Some((1.0, none)), Some((23.0, both)), Some((23.0, both))], None),
            // One came and one went.
            (vec![Some((9.0, chat)), Some((15.0, &["coder"])), Some((15.0, &["coder"]))], None),
            // Nothing was seen for a while.
            (vec![Some((1.0, none)), None, Some((9.0, chat)), Some((9.0, chat))], None),
            // Less than nothing, or not a number.
            (vec![Some((9.0, none)), Some((9.01, chat)), Some((9.01, chat))], None),
            (vec![Some((1.0, none)), Some((f64::NAN, chat)), Some((9.0, chat))], None),
            // Work that nobody loaded for.
            (vec![Some((1.0, chat)), Some((4.0, chat)), Some((4.0, chat))], None),
        ] {
            assert_eq!(said(&looks), expected, "{looks:?}");
        }
    }
}
