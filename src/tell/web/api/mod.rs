//! The JSON contracts of `/api/v1`: structs whose keys people and scripts depend on, and pure functions that fill them.

pub mod artifact;
pub mod drift;
pub mod host;
pub mod list;
pub mod lock;
pub mod model;
pub mod object;
pub mod openapi;
pub mod resources;
pub mod runtime;
pub mod status;
pub mod task;
pub mod why;
