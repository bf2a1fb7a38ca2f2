//! Arcology: GitOps for the AI runtimes on your own machines.
//!
//! A guided tour of the house, from the bottom up. A wing uses only wings below it; `tests/it/house/wings.rs` checks.
//!
//! - [`core`]: words every wing uses: names, digests, times, observed values.
//! - [`declare`]: what people declare: manifests, diagnostics, the world they add up to. Pure.
//! - [`decide`]: what follows from it: plans, sync, health, holds, costs. Pure.
//! - [`remember`]: what must survive a restart: the SQLite store and the artifact vault.
//! - [`act`]: what touches the outside: Git, runtimes, the queue of reconciliations, the engine that carries plans out.
//! - [`tell`]: what people and scripts see: command line, control socket, page, JSON API.
//! - [`daemon`]: starts and stops what `arcology up` runs.

pub mod act;
pub mod core;
pub mod daemon;
pub mod decide;
pub mod declare;
pub mod remember;
pub mod tell;
