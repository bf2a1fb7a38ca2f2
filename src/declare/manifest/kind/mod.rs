//! The kinds, one a file, all of one shape: a `…Spec` struct as it stands under `spec:`, in camelCase.
//!
//! Doc comments become the descriptions of the JSON Schema, so they speak to the person who writes the manifest.
//! Specs hold no positions: a position is looked up again by path when there is something to say about it.

pub mod blueprint;
pub mod capability;
pub mod experiment;
pub mod golden_set;
pub mod host;
pub mod loadout;
pub mod model;
pub mod options;
pub mod policy;
pub mod run;
pub mod runtime;
pub mod task;
