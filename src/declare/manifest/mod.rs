//! From the bytes of a manifest file to typed documents and diagnostics.
//!
//! Flow: [`parse::file`] splits a file into documents, reads each header, then the kind's spec; a problem costs only
//! the document that has it. What a document refers to is checked later, by [`crate::declare::world`].

mod canonical;
mod check;
pub mod code;
mod diagnose;
pub mod diagnostic;
pub mod document;
mod envelope;
mod header;
pub mod kind;
pub mod limit;
pub mod locate;
pub mod parse;
pub mod path;
mod range;
mod rule;
pub mod schema;
mod secret;
mod source;
mod split;
mod submit;
mod tree;
mod yaml;

pub use diagnostic::{Diagnostic, Severity};
pub use document::{Broken, Document, ParsedFile, Place, Spec};

/// The only `apiVersion` this version of the program reads.
pub const API_VERSION: &str = "arcology/v1alpha1";
