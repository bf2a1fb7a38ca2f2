//! The scheduler beside what it is measured against: an exact search, the fewest loads, and what other servers do.

#[path = "../../../benches/thrash/mod.rs"]
mod thrash;

mod bounds;
