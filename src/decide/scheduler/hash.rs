//! How the maps on the way of every decision find their entries: by foldhash, several times quicker than the standard hash.
//!
//! Nobody goes through such a map in its own order, so no decision depends on a hash.

use std::collections::HashMap;
use std::sync::Arc;

use super::id::TaskSeq;

/// A map by task. We alone give out the numbers, so the seed is a fixed one.
pub(super) type ByTask<T> = HashMap<TaskSeq, T, foldhash::fast::FixedState>;

/// A map by what is a hash already.
pub(super) type ByHash<T> = HashMap<u64, T, foldhash::fast::FixedState>;

/// A map by the id of a task. Ids come from outside, so every process has a seed of its own.
pub(super) type ById<T> = HashMap<Arc<str>, T, ForeignText>;

/// The hash of what clients write.
pub(super) type ForeignText = foldhash::fast::RandomState;
