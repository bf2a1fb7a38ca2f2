//! From what goes wrong on the wire to the closed set of faults, with the server's own words kept.
//!
//! Servers that speak OpenAI's protocol write errors in several shapes; all of them are read here. What a status means is
//! the same for all; only whose error it is (the proxy's or the model server's behind it) is told by the caller's words.

use serde_json::Value;

use crate::act::http::{self, Answer};

use super::adapter::{Fault, RuntimeError};
use super::sse;

/// Signs of memory that ran out, in the words of CUDA, HIP, Metal, llama.cpp, PyTorch and the kernel, in lower case.
const OUT_OF_MEMORY: &[&str] = &[
    "out of memory",
    "outofmemory",
    "cudamalloc failed",
    "failed to allocate",
    "unable to allocate",
    "cannot allocate memory",
    "insufficient memory",
    "not enough memory",
    "memory exhausted",
    "bad_alloc",
    "memoryerror",
];

/// Codes of servers that answer 503 because a person has to set them up first, in the words of local-tts.
const NOT_SET_UP: &[&str] = &["engine_not_installed", "no_default_voice", "voice_not_ready"];

impl From<http::Error> for RuntimeError {
    fn from(error: http::Error) -> Self {
        let fault = match &error {
            http::Error::Connect { .. } | http::Error::Broken { .. } => Fault::Unreachable,
            http::Error::Timeout { .. } => Fault::Timeout,
            http::Error::Token { .. } => Fault::Refused,
            http::Error::Address { .. } => Fault::BadInput,
            http::Error::Redirect { .. }
            | http::Error::TooLarge { .. }
            | http::Error::NotUtf8 { .. }
            | http::Error::NotJson { .. } => Fault::RuntimeError,
        };
        Self::new(fault, error.to_string())
    }
}

impl From<sse::Error> for RuntimeError {
    fn from(error: sse::Error) -> Self {
        Self::new(Fault::RuntimeError, error.to_string())
    }
}

/// The failure that `answer` tells of, whose status is not a success; `asked` says what was asked, as in "cannot load x".
#[must_use]
pub fn of_answer(answer: &Answer, asked: &str) -> RuntimeError {
    let text = answer.without_secret(&String::from_utf8_lossy(&answer.body));
    let words = words_in(&text);
    let asked = format!("{asked}: HTTP {}", answer.status);
    if answer.status == 503 && is_not_set_up(&text) {
        return RuntimeError::new(Fault::BadInput, format!("{asked}: the server is not set up for it")).saying(&words);
    }
    let mut error = RuntimeError::new(of_status(answer.status, &words), asked);
    if answer.status == 429 || answer.status == 503 {
        error.retry_after = answer.retry_after;
    }
    error.saying(&words)
}

/// Whether an error body says that waiting does not help, whatever its status promises.
fn is_not_set_up(body: &str) -> bool {
    let parsed: Option<Value> = serde_json::from_str(body).ok();
    let code = parsed.as_ref().and_then(|value| value.pointer("/error/code")).and_then(Value::as_str);
    code.is_some_and(|code| NOT_SET_UP.contains(&code))
}

/// The failure that a JSON value within a stream tells of, when it is one.
#[must_use]
pub fn in_stream(value: &Value, asked: &str) -> Option<RuntimeError> {
    let error = value.get("error").filter(|error| !error.is_null())?;
    let words = message_in(value).unwrap_or_else(|| error.to_string());
    let status = error.get("code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok()).unwrap_or(500);
    Some(RuntimeError::new(of_status(status, &words), format!("{asked}: it failed while it answered")).saying(&words))
}

/// What a status means, given the words that came with it.
fn of_status(status: u16, words: &str) -> Fault {
    let words = words.to_lowercase();
    match status {
        401 | 403 | 407 => Fault::Refused,
        404 | 410 => Fault::NotFound,
        408 | 504 => Fault::Timeout,
        429 => Fault::Busy,
        _ if status >= 500 && OUT_OF_MEMORY.iter().any(|sign| words.contains(sign)) => Fault::OutOfMemory,
        _ if status >= 500 && words.contains("timed out") => Fault::Timeout,
        503 => Fault::Busy,
        // The server was not started for it: trying again does not help.
        501 => Fault::BadInput,
        400 | 405..=499 => Fault::BadInput,
        _ => Fault::RuntimeError,
    }
}

/// Whether a program's words tell that memory ran out.
#[must_use]
pub fn tells_of_memory(words: &str) -> bool {
    let words = words.to_lowercase();
    OUT_OF_MEMORY.iter().any(|sign| words.contains(sign))
}

/// The message in an error body: JSON of any shape in use, or the body itself.
fn words_in(body: &str) -> String {
    let parsed: Option<Value> = serde_json::from_str(body).ok();
    parsed.as_ref().and_then(message_in).unwrap_or_else(|| body.trim().to_owned())
}

/// `{"error":{"message":…}}`, `{"error":"…"}`, `{"message":…}`, `{"detail":{"message":…}}`, `{"detail":"…"}`.
fn message_in(value: &Value) -> Option<String> {
    let error = value.get("error");
    let detail = value.get("detail");
    let within = |outer: Option<&'_ Value>| outer.and_then(|outer| outer.get("message")).cloned();
    let places = [within(error), error.cloned(), value.get("message").cloned(), within(detail), detail.cloned()];
    places.into_iter().flatten().find_map(|told| told.as_str().map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_error_shape_gives_its_message() {
        for (body, expected) in [
            (
                r#"{"src":"llama-swap","error":{"message":"no router","type":"x","param":null,"code":"not_found"}}"#,
                "no router",
            ),
            (r#"{"src":"llama-swap","error":"no router"}"#, "no router"),
            (r#"{"error":"Too many requests"}"#, "Too many requests"),
            (r#"{"message":"Loading model"}"#, "Loading model"),
            (r#"{"detail":"Not Found"}"#, "Not Found"),
            (r#"{"detail":{"error":"validation_error","message":"no such voice"}}"#, "no such voice"),
            (r#"{"unknown":1}"#, r#"{"unknown":1}"#),
            ("<html>502</html>\n", "<html>502</html>"),
        ] {
            assert_eq!(words_in(body), expected, "{body}");
        }
    }

    #[test]
    fn statuses_and_words_become_faults() {
        for (status, words, expected) in [
            (400, "", Fault::BadInput),
            (401, "", Fault::Refused),
            (404, "model not found", Fault::NotFound),
            (409, "matches upstream.ignorePaths", Fault::BadInput),
            (413, "", Fault::BadInput),
            (429, "Too many requests", Fault::Busy),
            (500, "unspecific error: upstream command exited prematurely", Fault::RuntimeError),
            (500, "health check timed out after 15s", Fault::Timeout),
            (500, "CUDA error: out of memory", Fault::OutOfMemory),
            (503, "ggml_backend: failed to allocate buffer", Fault::OutOfMemory),
            (502, "bad gateway", Fault::RuntimeError),
            (503, "Loading model", Fault::Busy),
            (501, "This server does not support embeddings", Fault::BadInput),
            (504, "", Fault::Timeout),
            (418, "", Fault::BadInput),
            (204, "", Fault::RuntimeError),
        ] {
            assert_eq!(of_status(status, words), expected, "{status} {words}");
        }
    }

    #[test]
    fn a_503_that_waiting_does_not_mend_is_told_from_one_that_it_does() {
        for (body, expected) in [
            (r#"{"error":{"message":"No default voice","code":"no_default_voice"}}"#, true),
            (r#"{"error":{"message":"Loading model","type":"unavailable_error","code":503}}"#, false),
            (r#"{"error":"no_default_voice"}"#, false),
            ("no_default_voice", false),
        ] {
            assert_eq!(is_not_set_up(body), expected, "{body}");
        }
    }

    #[test]
    fn an_error_within_a_stream_is_an_error_and_a_null_one_is_not() {
        let busy = json!({"error": {"code": 429, "message": "slow down", "type": "x"}});
        assert_eq!(in_stream(&busy, "cannot run").unwrap().fault, Fault::Busy);
        let text = json!({"src": "llama-swap", "error": "model unloaded"});
        let error = in_stream(&text, "cannot run").unwrap();
        assert_eq!((error.fault, error.words.as_deref()), (Fault::RuntimeError, Some("model unloaded")));
        assert_eq!(in_stream(&json!({"error": null, "choices": []}), "x"), None);
    }
}
