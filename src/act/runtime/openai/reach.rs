//! From a declared Runtime to what its adapter needs first: a client with its limits, and its own options.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::act::http::{Client, Options};
use crate::act::runtime::adapter::{Fault, RuntimeError};
use crate::act::runtime::connect::Places;
use crate::core::Name;
use crate::declare::manifest::kind::options as declared;
use crate::declare::manifest::kind::runtime::{AdapterKind, RuntimeSpec};

/// A client of the server that `spec` declares, which reads answers of up to `body_bytes_max` bytes.
///
/// # Errors
/// Bad input when there is no endpoint, or none that can be used.
pub fn client(name: &Name, spec: &RuntimeSpec, places: &Places, body_bytes_max: usize) -> Result<Client, RuntimeError> {
    let endpoint = spec.endpoint.as_deref().ok_or_else(|| {
        let message = format!("runtime `{name}` needs an endpoint, such as http://127.0.0.1:8080");
        RuntimeError::new(Fault::BadInput, message)
    })?;
    let options = Options {
        connect: spec.timeouts.connect.get(),
        total: spec.timeouts.connect.get(),
        body_bytes_max,
        token_file: spec.auth.as_ref().map(|auth| places.credentials_dir.join(auth.token_from.file.as_str())),
    };
    Ok(Client::new(endpoint, options)?)
}

/// The adapter's own options.
///
/// # Errors
/// Bad input when they are not what the adapter has.
pub fn options<T: DeserializeOwned + JsonSchema>(name: &Name, spec: &RuntimeSpec) -> Result<T, RuntimeError> {
    declared::read(&spec.options).map_err(|why| {
        RuntimeError::new(Fault::BadInput, format!("the options of runtime `{name}` cannot be used: {why}"))
    })
}

/// Refuses a capability that `adapter` is not made for.
///
/// # Errors
/// Bad input that names those it is made for.
pub fn made_for(adapter: AdapterKind, capability: &str, all: &[&str]) -> Result<(), RuntimeError> {
    if all.contains(&capability) {
        return Ok(());
    }
    let (name, all) = (adapter.as_str(), all.join(", "));
    Err(RuntimeError::new(
        Fault::BadInput,
        format!("the adapter `{name}` is not made for `{capability}`, but for {all}"),
    ))
}
