//! The control socket: the only place that mutates. HTTP and JSON over a Unix socket, each call audited.
//!
//! [`socket`] makes the socket file and says who is on the other end; [`routes`] holds the verbs, with
//! those about one task in `task` and those about leases in `lease`. Reading is the same
//! JSON as the page's, so that the command line needs no second contract.

mod lease;
pub mod peer;
pub mod routes;
pub mod socket;
mod task;

pub use routes::{ControlState, router};
pub use socket::{bind, serve};
