//! The vault: artifacts stored once by SHA-256, readable under their own names, each with its lineage beside it.
