//! The envelope of every list: a bounded page, how to get the next one, and which revision it was made for.

use serde::Serialize;

use crate::core::Timestamp;
use crate::tell::web::facts::Facts;

/// How many items a list holds when nothing else is asked for.
pub const LIMIT_DEFAULT: usize = 50;
/// The most items one answer holds.
pub const LIMIT_MAX: usize = 1_000;

/// A bounded page of a list.
#[derive(Clone, Debug, Serialize)]
pub struct List<T> {
    pub items: Vec<T>,
    /// Hand it back as `?cursor=` to get the next page; null on the last one.
    pub next: Option<String>,
    /// The applied revision, `main@sha1:…`.
    pub revision: Option<String>,
    pub generated_at: Timestamp,
}

impl<T> List<T> {
    pub fn new(items: Vec<T>, next: Option<String>, facts: &Facts) -> Self {
        Self { items, next, revision: facts.revision_text(), generated_at: facts.now }
    }
}

/// The part of `all` that follows `cursor`, in the order of `key`, and the cursor of the part after it.
///
/// The cursor is the key of the last item that was shown, so that a list that changes between two pages neither
/// repeats nor skips what stayed in it.
pub fn cut<T>(
    mut all: Vec<T>,
    limit: usize,
    cursor: Option<&str>,
    key: impl Fn(&T) -> String,
) -> (Vec<T>, Option<String>) {
    all.sort_by_cached_key(&key);
    if let Some(cursor) = cursor {
        all.retain(|item| key(item).as_str() > cursor);
    }
    let next = all.get(limit.max(1)).is_some().then(|| key(&all[limit.max(1) - 1]));
    all.truncate(limit.max(1));
    (all, next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_without_gaps_or_repeats_even_when_the_list_changes() {
        let key = |n: &u32| format!("{n:04}");
        let (first, next) = cut((0..5).rev().collect(), 2, None, key);
        assert_eq!(first, [0, 1]);
        let (second, next) = cut(vec![0, 1, 2, 3, 4, 7], 2, next.as_deref(), key);
        assert_eq!(second, [2, 3]);
        let (last, next) = cut(vec![4, 7], 2, next.as_deref(), key);
        assert_eq!((last, next), (vec![4, 7], None));
    }
}
