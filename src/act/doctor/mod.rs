//! Looking over a machine before something goes wrong: one check a file, each a list of facts and a judgement of them.
//!
//! A check gathers facts with bounded, harmless reads and judges them in a pure function, which is what the tests try.
//! Nothing is changed: no folder is made, no file written, no model loaded. No secret is read, but for the tokens that
//! runtimes are asked with, which their own clients read and show nowhere. How findings are shown is left to `tell`, as
//! is talking to the daemon: what it said is handed in.

pub mod ask;
pub mod clock;
pub mod daemon;
pub mod finding;
pub mod git;
pub mod limits;
pub mod machine;
pub mod page;
pub mod repository;
pub mod runtimes;
pub mod sandbox;
pub mod state;

pub use finding::{Finding, Status, worst};
