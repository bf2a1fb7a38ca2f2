//! Git: opening, watching, fetching, verifying, and reading exactly what changed.
