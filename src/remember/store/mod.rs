//! The store: SQLite in WAL mode, one writer with group commit, many readers, typed rows.

pub mod row;
