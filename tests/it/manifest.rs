//! Manifests as files: what is said about broken ones, what is true of all of them.

mod corpus;
mod invalid;
mod locate;
mod pages;
mod properties;
