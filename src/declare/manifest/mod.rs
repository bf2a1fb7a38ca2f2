//! From the bytes of a manifest file to typed documents and diagnostics.
//!
//! Flow: [`parse::file`] turns bytes into text (`text`), splits it into documents (`split`), and decodes each in one
//! pass (`envelope`, `yaml`). Ranges (`range`) and the rules of the kind (`rule`) follow. Only when something is wrong
//! is a document read again as a tree with positions (`tree`), to tell every problem at its place (`diagnose`, `check`);
//! a problem costs only the document that has it. What a document refers to is checked later, by
//! [`crate::declare::world`].

mod canonical;
mod check;
pub mod code;
mod diagnose;
pub mod diagnostic;
pub mod document;
mod envelope;
#[doc(hidden)]
pub mod exercise;
mod header;
pub mod kind;
pub mod limit;
pub mod locate;
pub mod parse;
pub mod path;
mod range;
mod rule;
pub mod salvage;
pub mod schema;
mod secret;
mod source;
mod split;
mod submit;
mod text;
mod tree;
mod yaml;

pub use diagnostic::{Diagnostic, Severity};
pub use document::{Broken, Document, ParsedFile, Place, Spec};
pub use salvage::Salvaged;

/// The only `apiVersion` this version of the program reads.
pub const API_VERSION: &str = "arcology/v1alpha1";
