//! The store and the vault from outside: what comes back after a restart, a crash, damage or a refusal.

mod crash;
mod model;
mod refusals;
mod restore;
mod rows;
