//! The loop: takes revisions from the source, observes runtimes, carries plans out, and publishes the picture.
//!
//! Parts, each a task of its own, agreeing through [`shared::Shared`] alone:
//! [`source_loop`] puts revisions in force; [`observe`] watches runtimes, [`measure`] the machine; the controller calls
//! [`carry_out`] for one object at a time, with what [`unfinished`] actions left; [`intake`] takes tasks in and [`dispatch`]
//! runs them; [`publish`] tells surfaces. [`recover`] makes the start from the store.

pub mod carry_out;
pub mod dispatch;
pub mod handle;
pub mod inputs_of;
pub mod intake;
pub mod leases;
pub mod measure;
pub mod memory;
pub mod observe;
pub mod picture;
pub mod publish;
pub mod recover;
pub mod run_task;
pub mod shared;
pub mod source_loop;
pub mod start;
pub mod tokens;
pub mod unfinished;

pub use handle::Handle;
pub use start::{Engine, Options, StartError};
