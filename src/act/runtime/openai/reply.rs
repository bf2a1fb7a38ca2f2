//! A chat's answer as it comes in: pieces of text, thoughts, numbers, and errors in the middle. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::act::runtime::adapter::{Fault, RuntimeError};
use crate::act::runtime::fault;
use crate::act::runtime::sse::Item;

/// The longest answer that is kept.
pub(super) const TEXT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What has come in so far.
#[derive(Debug, Default)]
pub(super) struct Reply {
    pub text: String,
    /// Pieces of text; most servers send one a token.
    pub pieces: u32,
    /// The server said `[DONE]`, or gave a reason to stop.
    is_whole: bool,
    is_cut: bool,
    usage: Value,
    timings: Value,
    metrics: Value,
}

/// What one item of the stream brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Brought {
    Text,
    /// Thinking aloud, or a proxy telling how the loading goes: shown, never kept.
    Aside(String),
    Nothing,
    End,
}

impl Reply {
    /// Takes the next item.
    ///
    /// # Errors
    /// When it tells of a failure, cannot be read, or makes the answer too long.
    pub(super) fn take(&mut self, item: &Item, asked: &str) -> Result<Brought, RuntimeError> {
        let (data, is_stray) = match item {
            Item::Event { data, .. } => (data.trim(), false),
            Item::Stray(line) => (line.as_str(), true),
        };
        if data == "[DONE]" {
            self.is_whole = true;
            return Ok(Brought::End);
        }
        let Ok(value) = serde_json::from_str::<Value>(data) else {
            let words = crate::core::text::shorten(data, 200);
            return Err(RuntimeError::new(Fault::RuntimeError, format!("{asked}: an event is no JSON")).saying(&words));
        };
        if let Some(error) = fault::in_stream(&value, asked) {
            return Err(error);
        }
        if is_stray {
            // `error: {…}` has lost its name; a stray line is an error whatever it holds.
            let message = format!("{asked}: it failed while it answered");
            return Err(RuntimeError::new(Fault::RuntimeError, message).saying(data));
        }
        self.chunk(&value, "delta", asked)
    }

    /// Takes an answer that came whole, as from a server that does not stream.
    ///
    /// # Errors
    /// When it is no chat answer.
    pub(super) fn take_whole(&mut self, value: &Value, asked: &str) -> Result<(), RuntimeError> {
        if let Some(error) = fault::in_stream(value, asked) {
            return Err(error);
        }
        if self.chunk(value, "message", asked)? != Brought::Text {
            let message = format!("{asked}: the answer is no chat completion");
            return Err(RuntimeError::new(Fault::RuntimeError, message));
        }
        self.is_whole = true;
        Ok(())
    }

    fn chunk(&mut self, value: &Value, key: &str, asked: &str) -> Result<Brought, RuntimeError> {
        for (kept, name) in [(&mut self.usage, "usage"), (&mut self.timings, "timings"), (&mut self.metrics, "metrics")]
        {
            if let Some(told @ Value::Object(_)) = value.get(name) {
                kept.clone_from(told);
            }
        }
        if let Some(told) = value.get("prompt_progress").and_then(prompt_progress) {
            return Ok(Brought::Aside(told));
        }
        let Some(choice) = value.get("choices").and_then(|choices| choices.get(0)) else { return Ok(Brought::Nothing) };
        if let Some(reason) = choice.get("finish_reason").and_then(Value::as_str) {
            self.is_whole = true;
            self.is_cut |= reason == "length";
        }
        let said = |name: &str| choice.get(key)?.get(name)?.as_str().filter(|text| !text.is_empty());
        if let Some(text) = said("content") {
            if self.text.len() + text.len() > TEXT_BYTES_MAX {
                let message = format!("{asked}: the answer is longer than {TEXT_BYTES_MAX} bytes");
                return Err(RuntimeError::new(Fault::RuntimeError, message));
            }
            self.text.push_str(text);
            self.pieces += 1;
            return Ok(Brought::Text);
        }
        Ok(said("reasoning_content").map_or(Brought::Nothing, |aside| Brought::Aside(aside.to_owned())))
    }

    /// Checks, at the end of the stream, that the answer is all there.
    ///
    /// # Errors
    /// When it broke off, or holds no text.
    pub(super) fn check(&self, asked: &str) -> Result<(), RuntimeError> {
        let wrong = |fault, what: &str| Err(RuntimeError::new(fault, format!("{asked}: {what}")));
        if !self.is_whole {
            return wrong(Fault::Unreachable, "the answer broke off before its end");
        }
        if self.text.trim().is_empty() {
            let why =
                if self.is_cut { "all its tokens went into thinking; allow more" } else { "it answered with no text" };
            return wrong(Fault::RuntimeError, why);
        }
        Ok(())
    }

    /// The numbers that the server told. Llama-server's `timings` are its own measurements and go before `usage`,
    /// as do vLLM's `metrics`.
    pub(super) fn figures(&self) -> BTreeMap<String, f64> {
        let sources = [
            ("prompt_tokens", &self.usage, "prompt_tokens"),
            ("tokens", &self.usage, "completion_tokens"),
            ("prompt_tokens_evaluated", &self.timings, "prompt_n"),
            ("cached_tokens", &self.timings, "cache_n"),
            ("tokens", &self.timings, "predicted_n"),
            ("prompt_tokens_per_s", &self.timings, "prompt_per_second"),
            ("tokens_per_s", &self.timings, "predicted_per_second"),
            ("prompt_ms", &self.timings, "prompt_ms"),
            ("generation_ms", &self.timings, "predicted_ms"),
            ("queue_ms", &self.metrics, "queue_time_ms"),
            ("generation_ms", &self.metrics, "generation_time_ms"),
            ("tokens_per_s", &self.metrics, "tokens_per_second"),
        ];
        let mut figures = BTreeMap::new();
        for (name, source, key) in sources {
            // -1 stands for unknown.
            if let Some(value) = source.get(key).and_then(Value::as_f64).filter(|value| *value >= 0.0) {
                figures.insert(name.to_owned(), value);
            }
        }
        if self.is_cut {
            figures.insert("cut_at_token_limit".to_owned(), 1.0);
        }
        figures
    }
}

/// How far llama-server has read the prompt, which it tells in chunks of their own when it is asked to.
fn prompt_progress(told: &Value) -> Option<String> {
    let number = |key: &str| told.get(key).and_then(Value::as_u64);
    Some(format!("{} of {} tokens of the prompt read", number("processed")?, number("total")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(data: &str) -> Item {
        Item::Event { name: String::new(), data: data.to_owned() }
    }

    fn feed(items: &[Item]) -> Result<Reply, RuntimeError> {
        let mut reply = Reply::default();
        for item in items {
            reply.take(item, "cannot run")?;
        }
        reply.check("cannot run").map(|()| reply)
    }

    const HELLO: &str = r#"{"choices":[{"index":0,"delta":{"content":"Hel"},"finish_reason":null}],"usage":null}"#;
    const LO: &str = r#"{"choices":[{"delta":{"content":"lo"}}]}"#;
    const STOP: &str = r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#;
    const NUMBERS: &str = r#"{"choices":[],"usage":{"prompt_tokens":31,"completion_tokens":9},
        "timings":{"predicted_n":10,"predicted_per_second":96.5,"draft_n":-1,"cache_n":-1}}"#;

    #[test]
    fn pieces_are_joined_and_the_servers_numbers_kept() {
        let reply = feed(&[event(HELLO), event(LO), event(STOP), event(NUMBERS), event("[DONE]")]).unwrap();
        assert_eq!(reply.text, "Hello");
        let figures: Vec<_> = reply.figures().into_iter().collect();
        assert_eq!(
            figures,
            [("prompt_tokens".to_owned(), 31.0), ("tokens".to_owned(), 10.0), ("tokens_per_s".to_owned(), 96.5)]
        );
    }

    #[test]
    fn thoughts_and_loading_messages_are_no_part_of_the_answer() {
        let aside = r#"{"choices":[{"delta":{"reasoning_content":"llama-swap loading model: a"}}]}"#;
        let mut reply = Reply::default();
        let brought = reply.take(&event(aside), "x").unwrap();
        assert_eq!(brought, Brought::Aside("llama-swap loading model: a".to_owned()));
        assert_eq!(reply.text, "");
    }

    #[test]
    fn half_an_answer_an_empty_one_and_an_error_inside_are_failures() {
        let stray =
            Item::Stray(r#"{"src":"llama-swap","error":{"message":"model unloaded","type":"server_error"}}"#.into());
        for (items, fault, says) in [
            (vec![event(HELLO)], Fault::Unreachable, "broke off"),
            (vec![event(STOP), event("[DONE]")], Fault::RuntimeError, "no text"),
            (
                vec![event(HELLO), event(r#"{"error":{"message":"out of memory","code":500}}"#)],
                Fault::OutOfMemory,
                "memory",
            ),
            (vec![event(HELLO), stray], Fault::RuntimeError, "model unloaded"),
            (vec![event(HELLO), Item::Stray("{\"code\":1}".into())], Fault::RuntimeError, "while it answered"),
            (vec![event("<html>")], Fault::RuntimeError, "no JSON"),
            (vec![event(r#"{"choices":[{"delta":{},"finish_reason":"length"}]}"#)], Fault::RuntimeError, "thinking"),
        ] {
            let error = feed(&items).unwrap_err();
            assert!(error.fault == fault && error.to_string().contains(says), "{items:?}: {error}");
        }
    }

    #[test]
    fn an_answer_that_came_whole_is_read_too() {
        let mut reply = Reply::default();
        let whole = serde_json::json!({"choices": [{"message": {"content": "Hi"}, "finish_reason": "length"}]});
        reply.take_whole(&whole, "x").unwrap();
        assert_eq!((reply.text.as_str(), reply.figures()["cut_at_token_limit"]), ("Hi", 1.0));
        assert!(Reply::default().take_whole(&serde_json::json!({"responseMessage": "hi"}), "x").is_err());
    }
}
