//! The verbs, one a file: what each takes, and what it does with it.

pub mod cancel;
pub mod completions;
pub mod confine;
pub mod discover;
pub mod doctor;
pub mod explain;
pub mod get;
pub mod init;
pub mod lease;
pub mod plan;
pub mod reconcile;
pub mod reference;
pub mod reroute;
pub mod retry;
pub mod schema;
pub mod simulate;
pub mod soak;
pub mod status;
pub mod submit;
pub mod up;
pub mod validate;
pub mod why;
