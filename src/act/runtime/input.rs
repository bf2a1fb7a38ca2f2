//! What a task is to work on, as text: the same rules for every runtime.

use std::time::Duration;

use super::adapter::{Fault, Invocation, RuntimeError};
use super::document::{self, TEXT_BYTES_MAX};
use super::stop::Stop;

/// The texts of an invocation: what it says itself, then the text of each of its files.
///
/// # Errors
/// When there is none, when they are too long together, or when a file has no text.
pub fn texts_of(invocation: &Invocation, stop: &Stop) -> Result<Vec<String>, RuntimeError> {
    let mut texts: Vec<String> = invocation.text.iter().cloned().collect();
    for file in &invocation.files {
        texts.push(document::extract(file, stop).map_err(|e| e.of(&file.name))?.text);
    }
    if texts.is_empty() {
        return Err(nothing_given(&invocation.capability));
    }
    let bytes: usize = texts.iter().map(String::len).sum();
    if bytes > TEXT_BYTES_MAX {
        let message = format!("the text has {bytes} bytes, more than the limit of {TEXT_BYTES_MAX}");
        return Err(RuntimeError::new(Fault::BadInput, message));
    }
    Ok(texts)
}

/// The texts of an invocation as one, with blank lines between.
///
/// # Errors
/// As [`texts_of`].
pub fn text_of(invocation: &Invocation, stop: &Stop) -> Result<String, RuntimeError> {
    Ok(texts_of(invocation, stop)?.join("\n\n"))
}

/// [`text_of`], on a thread for blocking work, because a PDF may take its time.
///
/// # Errors
/// As [`texts_of`].
pub async fn read(invocation: Invocation, limit: Duration) -> Result<String, RuntimeError> {
    let (stop, waiting) = Stop::after(limit);
    let read = tokio::task::spawn_blocking(move || text_of(&invocation, &stop)).await;
    drop(waiting);
    read.unwrap_or_else(|e| Err(RuntimeError::new(Fault::RuntimeError, format!("reading the input broke off: {e}"))))
}

/// The failure of a task that was given nothing to work on.
#[must_use]
pub fn nothing_given(capability: &str) -> RuntimeError {
    RuntimeError::new(Fault::BadInput, format!("{capability} needs a text or a file, and was given neither"))
}
