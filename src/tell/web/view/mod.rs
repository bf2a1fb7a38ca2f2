//! What a page shows, as values: one file a page. Pure functions of facts and rows; templates only lay them out.

pub mod audit;
pub mod control;
pub mod diagnostic;
pub mod drift;
pub mod frame;
pub mod home;
pub mod href;
pub mod hud;
pub mod lock;
pub mod locks;
pub mod message;
pub mod model;
pub mod object;
pub mod part;
pub mod queue;
pub mod runtime;
pub mod task;
pub mod timeline;
pub mod vault;
pub mod why;
