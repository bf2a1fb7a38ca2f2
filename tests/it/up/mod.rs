//! The real binary, run as a person runs it: a state repository, `arcology up`, commits, and what surfaces then say.

mod comfyui;
mod crash;
mod cuts;
mod documents;
pub mod harness;
mod hostile;
mod isolation;
mod leases;
mod runtimes;
mod scheduler;
mod steps;
