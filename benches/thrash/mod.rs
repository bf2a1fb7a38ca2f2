//! Swap thrash: seeded work, the ways in which others schedule it, and the best that could have been done.
//!
//! Nothing here is part of the program. It is a folder of its own so that tests can hold it to what it claims.

pub mod belady;
pub mod fifo_lru;
pub mod optimum;
pub mod workload;
