//! What is asked of a server: method, path, body, and how long it may take.

use std::time::Duration;

/// What is asked of a server.
#[derive(Debug)]
pub struct Request {
    pub(super) method: reqwest::Method,
    pub(super) path: String,
    /// Its type and its bytes.
    pub(super) body: Option<(String, Vec<u8>)>,
    pub(super) total: Option<Duration>,
    pub(super) accept: &'static str,
}

/// One part of a form.
#[derive(Clone, Copy, Debug)]
pub enum Part<'a> {
    Field {
        name: &'a str,
        value: &'a str,
    },
    /// A file; its name is reduced to what can stand between quotes.
    File {
        name: &'a str,
        file_name: &'a str,
        bytes: &'a [u8],
    },
}

impl Request {
    #[must_use]
    pub fn get(path: impl Into<String>) -> Self {
        Self {
            method: reqwest::Method::GET,
            path: path.into(),
            body: None,
            total: None,
            accept: "application/json, */*;q=0.5",
        }
    }

    /// A POST without a body.
    #[must_use]
    pub fn post(path: impl Into<String>) -> Self {
        Self { method: reqwest::Method::POST, ..Self::get(path) }
    }

    #[must_use]
    pub fn delete(path: impl Into<String>) -> Self {
        Self { method: reqwest::Method::DELETE, ..Self::get(path) }
    }

    #[must_use]
    pub fn json(mut self, body: &serde_json::Value) -> Self {
        self.body = Some(("application/json".to_owned(), body.to_string().into_bytes()));
        self
    }

    /// A form with files (RFC 7578).
    #[must_use]
    pub fn form(mut self, parts: &[Part<'_>]) -> Self {
        let boundary = boundary_for(parts);
        let mut body = Vec::new();
        for part in parts {
            body.extend_from_slice(format!("--{boundary}\r\n").as_bytes());
            match part {
                Part::Field { name, value } => {
                    let head = format!("Content-Disposition: form-data; name=\"{}\"\r\n\r\n", quotable(name));
                    body.extend_from_slice(head.as_bytes());
                    body.extend_from_slice(value.as_bytes());
                }
                Part::File { name, file_name, bytes } => {
                    let (name, file_name) = (quotable(name), quotable(file_name));
                    let head = format!(
                        "Content-Disposition: form-data; name=\"{name}\"; filename=\"{file_name}\"\r\n\
                         Content-Type: application/octet-stream\r\n\r\n"
                    );
                    body.extend_from_slice(head.as_bytes());
                    body.extend_from_slice(bytes);
                }
            }
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        self.body = Some((format!("multipart/form-data; boundary={boundary}"), body));
        self
    }

    /// Sets a time limit of its own, in place of the client's.
    #[must_use]
    pub fn within(mut self, total: Duration) -> Self {
        self.total = Some(total);
        self
    }

    /// Asks for server-sent events.
    #[must_use]
    pub fn events(mut self) -> Self {
        self.accept = "text/event-stream";
        self
    }

    /// Asks for bytes of any type.
    #[must_use]
    pub fn bytes(mut self) -> Self {
        self.accept = "*/*";
        self
    }
}

/// A line that no part holds: made longer until that is so.
fn boundary_for(parts: &[Part<'_>]) -> String {
    let mut boundary = "arcology-form".to_owned();
    let holds =
        |bytes: &[u8], boundary: &str| bytes.windows(boundary.len()).any(|window| window == boundary.as_bytes());
    while parts.iter().any(|part| match part {
        Part::Field { value, .. } => holds(value.as_bytes(), &boundary),
        Part::File { bytes, .. } => holds(bytes, &boundary),
    }) {
        boundary.push('x');
    }
    boundary
}

/// Text that can stand between quotes in a header.
fn quotable(text: &str) -> String {
    text.chars().map(|c| if c == '"' || c == '\\' || c.is_control() { '_' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_holds_its_parts_and_no_part_can_end_it() {
        let bytes = b"--arcology-form--\r\nxx";
        let file = Part::File { name: "file", file_name: "a\"\r\n.wav", bytes };
        let request = Request::post("/x").form(&[Part::Field { name: "model", value: "tiny" }, file]);
        let (kind, body) = request.body.unwrap();
        assert_eq!(kind, "multipart/form-data; boundary=arcology-formx");
        assert_eq!(
            String::from_utf8(body).unwrap(),
            "--arcology-formx\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\ntiny\r\n\
             --arcology-formx\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a___.wav\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n--arcology-form--\r\nxx\r\n--arcology-formx--\r\n"
        );
    }
}
