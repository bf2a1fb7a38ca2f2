//! The verbs, one a file: what each takes, and what it does with it.

pub mod completions;
pub mod explain;
pub mod get;
pub mod init;
pub mod plan;
pub mod reconcile;
pub mod reference;
pub mod schema;
pub mod status;
pub mod submit;
pub mod up;
pub mod validate;
pub mod why;
