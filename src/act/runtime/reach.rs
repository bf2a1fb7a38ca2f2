//! From a declared Runtime to what its adapter needs first: a client with its limits, its own options, a look, and the words
//! for what is not there.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use crate::act::http::{Answer, Client, Options, Request};
use crate::core::Name;
use crate::core::text::nearest;
use crate::declare::manifest::kind::options as declared;
use crate::declare::manifest::kind::runtime::{AdapterKind, RuntimeSpec};

use super::adapter::{Fault, RuntimeError};
use super::connect::Places;
use super::fault;

/// A client of the server that `spec` declares, which reads answers of up to `body_bytes_max` bytes.
///
/// # Errors
/// Bad input when there is no endpoint, or none that can be used.
pub fn client(name: &Name, spec: &RuntimeSpec, places: &Places, body_bytes_max: usize) -> Result<Client, RuntimeError> {
    let endpoint = spec.endpoint.as_deref().ok_or_else(|| {
        let port = if spec.adapter == AdapterKind::Ollama { 11_434 } else { 8_080 };
        let message = format!("runtime `{name}` needs an endpoint, such as http://127.0.0.1:{port}");
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
    Err(not_made_for(adapter, capability, all))
}

/// That `adapter` is not made for `capability`, but for `all`.
#[must_use]
pub fn not_made_for(adapter: AdapterKind, capability: &str, all: &[&str]) -> RuntimeError {
    let (name, all) = (adapter.as_str(), all.join(", "));
    RuntimeError::new(Fault::BadInput, format!("the adapter `{name}` is not made for `{capability}`, but for {all}"))
}

/// Reads what `path` tells, with the time limit of looks. It is for the caller to take only paths that change nothing.
///
/// # Errors
/// When there is no answer, or one that says no.
pub async fn look(client: &Client, path: &str) -> Result<Answer, RuntimeError> {
    let answer = client.send(Request::get(path)).await?;
    if answer.status == 200 { Ok(answer) } else { Err(fault::of_answer(&answer, &format!("cannot read {path}"))) }
}

/// That `who` has no model called `wanted`, with the one of `known` that is most like it.
#[must_use]
pub fn no_model<'a>(who: &str, wanted: &str, known: impl Iterator<Item = &'a str>) -> RuntimeError {
    let hint = nearest(wanted, known).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    RuntimeError::new(Fault::NotFound, format!("{who} has no model `{wanted}`{hint}"))
}
