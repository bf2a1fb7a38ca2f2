//! The read-only page and JSON API: GET and HEAD, loopback only, rendered on the server.
//!
//! Flow: a route takes one [`facts::Facts`] (the picture, and the statuses at one instant) and rows of the store; a
//! pure function makes a contract struct ([`api`]) or a view struct ([`view`]) of them; [`render`] turns a view into
//! HTML. Nothing here asks a runtime, and nothing writes.

pub mod api;
pub mod attention;
pub mod facts;
pub mod render;
pub mod view;
