//! Plain programs as a runtime: the adapter `exec`. Declared commands run one after the other in a folder of their own, in a
//! sandbox where the machine has one, and their files are the result.
//!
//! Pure: [`arguments`] (from placeholders to what is handed over), [`sandbox`] (how a command is wrapped), [`verdict`] (what
//! an end means), [`report`] (what a line says of progress). Everything else touches the machine, each in one way.

mod adapter;
mod arguments;
pub mod confine;
mod family;
mod folder;
mod gather;
mod level;
mod probe;
mod process;
mod report;
mod run;
mod sandbox;
mod supervise;
mod verdict;

pub use adapter::Exec;
pub use level::Abi;
pub use probe::{Protection, Tools};
