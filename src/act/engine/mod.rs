//! The loop: takes revisions from the source, observes runtimes, carries plans out, and publishes the picture.

pub mod picture;
