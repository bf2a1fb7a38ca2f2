//! What a failed run asked and was answered, as llama-swap kept it. Only where the options ask for it: it holds prompts.

use serde::Deserialize;

use crate::act::http::Client;
use crate::act::runtime::adapter::Progress;
use crate::core::text::shorten;

use super::paths::{Look, look};

/// The most of a body that is told, in characters.
const BODY_CHARS_MAX: usize = 1_500;

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Capture {
    req_body: Option<String>,
    resp_body: Option<String>,
}

/// Tells `progress` what the request `id` asked and was answered. Nothing when it is no longer kept.
pub(super) async fn tell(client: &Client, id: u64, progress: &Progress) {
    let Ok(answer) = look(client, Look::Captures, &format!("/{id}")).await else { return };
    let Ok(capture) = answer.json::<Capture>() else { return };
    for (what, body) in [("was asked", capture.req_body), ("answered", capture.resp_body)] {
        if let Some(text) = body.as_deref().and_then(decode).filter(|text| !text.trim().is_empty()) {
            progress.say(&format!("llama-swap kept what {what}: {}", shorten(text.trim(), BODY_CHARS_MAX)));
        }
    }
}

/// Text from base64 (RFC 4648, section 4). None when it is none.
fn decode(base64: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(base64.len() / 4 * 3);
    let (mut held, mut bits) = (0_u32, 0_u32);
    for byte in base64.trim_end_matches('=').bytes() {
        let six = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        held = (held << 6 | u32::from(six)) & 0xFFFF;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(held >> bits & 0xFF).ok()?);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_comes_out_as_text_or_not_at_all() {
        let long = "eyJtb2RlbCI6ICJhIiwgInN0cmVhbSI6IGZhbHNlfQ==";
        for (base64, text) in [("", ""), ("aGk=", "hi"), ("aGk", "hi"), (long, r#"{"model": "a", "stream": false}"#)] {
            assert_eq!(decode(base64).as_deref(), Some(text));
        }
        for bad in ["a_-b", "a b", "//8="] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }
}
