//! What people declare: manifests as text, and the world they add up to.
//!
//! Pure: bytes and values in, values and diagnostics out. Reading files and Git is `act::source`'s job.

pub mod manifest;
pub mod world;
