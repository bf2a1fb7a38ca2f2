//! Pages of lists: newest first, bounded, with an opaque cursor that new rows do not disturb.

use super::error::Error;

/// How many items a page holds when nobody says.
pub const PAGE_ITEMS: u32 = 50;
/// How many items a page holds at most.
pub const PAGE_ITEMS_MAX: u32 = 500;

/// Which part of a list is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Brought into `1..=PAGE_ITEMS_MAX` when used.
    pub limit: u32,
    /// The `next` of an earlier page; none for the newest.
    pub cursor: Option<String>,
}

impl Default for Page {
    fn default() -> Self {
        Self { limit: PAGE_ITEMS, cursor: None }
    }
}

impl Page {
    /// A page as asked for by a person or a script, who may leave out both.
    #[must_use]
    pub fn new(limit: Option<u32>, cursor: Option<String>) -> Self {
        Self { limit: limit.unwrap_or(PAGE_ITEMS), cursor }
    }
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing<T> {
    /// Newest first.
    pub items: Vec<T>,
    /// The cursor of the next page; none when this is the last.
    pub next: Option<String>,
}

/// The lists that have cursors. A cursor of one is no cursor of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum List {
    Audit,
    Tasks,
    Artifacts,
    Locks,
}

impl List {
    fn letter(self) -> char {
        match self {
            Self::Audit => 'a',
            Self::Tasks => 't',
            Self::Artifacts => 'f',
            Self::Locks => 'l',
        }
    }
}

/// A page in the terms of a query: rows with a `seq` below `before`, one more than `limit` to see whether there is more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    list: List,
    pub(super) before: i64,
    limit: usize,
}

impl Window {
    pub(super) fn of(list: List, page: &Page) -> Result<Self, Error> {
        let limit = page.limit.clamp(1, PAGE_ITEMS_MAX) as usize;
        let before = page.cursor.as_deref().map_or(Ok(i64::MAX), |cursor| {
            let digits =
                cursor.strip_prefix(list.letter()).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
            digits
                .and_then(|digits| i64::from_str_radix(digits, 16).ok())
                .ok_or_else(|| Error::BadCursor(crate::core::text::shorten(cursor, 40)))
        })?;
        Ok(Self { list, before, limit })
    }

    /// How many rows to ask for: one more than are shown.
    pub(super) fn fetch(&self) -> i64 {
        i64::try_from(self.limit).unwrap_or(i64::MAX).saturating_add(1)
    }

    /// The page made of the rows that were found, each with its `seq`.
    pub(super) fn listing<T>(&self, mut rows: Vec<(i64, T)>) -> Listing<T> {
        let more = rows.len() > self.limit;
        rows.truncate(self.limit);
        let next = rows.last().filter(|_| more).map(|(seq, _)| format!("{}{seq:x}", self.list.letter()));
        Listing { items: rows.into_iter().map(|(_, item)| item).collect(), next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_out_of_range_is_brought_into_it() {
        for (asked, fetched) in [(0, 2), (1, 2), (500, 501), (9_999, 501)] {
            let window = Window::of(List::Tasks, &Page { limit: asked, cursor: None }).unwrap();
            assert_eq!(window.fetch(), fetched, "{asked}");
        }
    }

    #[test]
    fn the_last_page_has_no_next_and_the_others_lead_on() {
        let window = Window::of(List::Tasks, &Page { limit: 2, cursor: None }).unwrap();
        assert_eq!(window.listing(vec![(9, 'a'), (8, 'b')]).next, None);
        let listing = window.listing(vec![(31, 'a'), (30, 'b'), (29, 'c')]);
        assert_eq!(listing.items, ['a', 'b']);
        let next = Window::of(List::Tasks, &Page { limit: 2, cursor: listing.next }).unwrap();
        assert_eq!(next.before, 30);
    }

    #[test]
    fn what_is_no_cursor_of_this_list_is_refused() {
        for cursor in ["", "t", "a1", "t-1", "t+1", "tzz", "tffffffffffffffff", "1", "t1 ", "é1"] {
            let page = Page { limit: 1, cursor: Some(cursor.to_owned()) };
            assert!(matches!(Window::of(List::Tasks, &page), Err(Error::BadCursor(_))), "{cursor}");
        }
    }
}
