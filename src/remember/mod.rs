//! What must survive a restart: the store and the vault. Losing them loses history, never desired state.

pub mod store;
pub mod vault;
