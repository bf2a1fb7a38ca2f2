//! The read-only page and JSON API: GET and HEAD, loopback only, rendered on the server.
//!
//! Flow: a route takes one [`facts::Facts`] (the picture, and the statuses at one instant) and rows of the store; a
//! pure function makes a contract struct ([`api`]) or a view struct ([`view`]) of them; [`render`] turns a view into
//! HTML. Nothing here asks a runtime, and nothing writes.
//!
//! | part | owns |
//! | --- | --- |
//! | [`server`] | listening on loopback, limits of connections |
//! | [`guard`] | methods, `Host`, time, headers of every answer |
//! | [`route`] | which address shows what |
//! | [`facts`], [`outlook`], [`attention`] | what an answer is made from, what is to be expected, and what comes first |
//! | [`api`], [`view`], [`render`] | JSON contracts; pages as values; HTML |
//! | [`problem`], [`query`], [`preview`] | what went wrong; parameters; artifacts as they may be shown |

pub mod api;
pub mod attention;
pub mod facts;
pub mod guard;
pub mod outlook;
pub mod preview;
pub mod problem;
pub mod query;
pub mod render;
pub mod route;
pub mod server;
pub mod state;
pub mod view;

pub use route::{api_router, is_api, no_api};
pub use server::{BindError, bind, serve};
pub use state::{Explainer, LiveLogs, WebState};
