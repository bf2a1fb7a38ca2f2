//! What a type of artifact may be shown as, and under which content type its bytes are handed out.
//!
//! Artifacts are made by runtimes from what others wrote: their bytes are never run. Text of any kind, HTML and SVG
//! included, is shown as escaped text; only image, sound and video types that cannot hold a script are given to the
//! browser as such.

use crate::core::Digest;
use crate::core::text::shorten;
use crate::remember::vault::Vault;

use super::view::vault::Preview;

/// How much of a text is shown.
pub const TEXT_BYTES_MAX: u64 = 64 * 1_024;

/// How an artifact of a type may be handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Shown as text, handed out as text.
    Text,
    /// The same, indented where it can be read.
    Json,
    Image(&'static str),
    Audio(&'static str),
    Video(&'static str),
    /// Shown as text, handed out only as a file to keep: a browser would run it.
    Markup,
    /// Handed out only as a file to keep.
    Opaque,
}

/// The manner of a short type, such as `md`.
#[must_use]
pub fn manner(kind: &str) -> Manner {
    match kind.to_ascii_lowercase().as_str() {
        "md" | "markdown" | "txt" | "text" | "log" | "csv" | "tsv" | "yaml" | "yml" | "toml" | "jsonl" | "srt"
        | "vtt" => Manner::Text,
        "json" => Manner::Json,
        "png" => Manner::Image("image/png"),
        "jpg" | "jpeg" => Manner::Image("image/jpeg"),
        "gif" => Manner::Image("image/gif"),
        "webp" => Manner::Image("image/webp"),
        "wav" => Manner::Audio("audio/wav"),
        "mp3" => Manner::Audio("audio/mpeg"),
        "ogg" | "oga" | "opus" => Manner::Audio("audio/ogg"),
        "flac" => Manner::Audio("audio/flac"),
        "m4a" => Manner::Audio("audio/mp4"),
        "mp4" => Manner::Video("video/mp4"),
        "webm" => Manner::Video("video/webm"),
        "html" | "htm" | "xhtml" | "svg" | "xml" | "js" | "css" => Manner::Markup,
        _ => Manner::Opaque,
    }
}

impl Manner {
    /// The content type of the raw bytes, and whether the browser may show them itself.
    #[must_use]
    pub fn content_type(self) -> (&'static str, bool) {
        match self {
            Self::Text => ("text/plain; charset=utf-8", true),
            Self::Json => ("application/json", true),
            Self::Image(mime) | Self::Audio(mime) | Self::Video(mime) => (mime, true),
            Self::Markup | Self::Opaque => ("application/octet-stream", false),
        }
    }
}

/// The preview of an artifact of `bytes` bytes. Blocks.
#[must_use]
pub fn of(vault: &Vault, digest: Digest, kind: &str, bytes: u64) -> Preview {
    let src = format!("/artifacts/{}/raw", digest.hex());
    if let Err(error) = vault.open_file(digest) {
        return Preview::Gone { why: error.to_string() };
    }
    match manner(kind) {
        Manner::Image(_) => Preview::Image { src },
        Manner::Audio(_) => Preview::Audio { src },
        Manner::Video(_) => Preview::Video { src },
        Manner::Opaque => Preview::Download,
        shown @ (Manner::Text | Manner::Json | Manner::Markup) => match vault.read(digest, 0, TEXT_BYTES_MAX) {
            Ok(read) => text(&read, bytes > TEXT_BYTES_MAX, shown == Manner::Json),
            Err(error) => Preview::Gone { why: shorten(&error.to_string(), 300) },
        },
    }
}

/// The beginning of a text; JSON that is whole is indented. What is not text is left to be downloaded.
fn text(read: &[u8], cut: bool, json: bool) -> Preview {
    if read.contains(&0) {
        return Preview::Download;
    }
    let pretty = || {
        let value = serde_json::from_slice::<serde_json::Value>(read).ok()?;
        serde_json::to_string_pretty(&value).ok()
    };
    let indented = if json && !cut { pretty() } else { None };
    Preview::Text { text: indented.unwrap_or_else(|| String::from_utf8_lossy(read).into_owned()), cut }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_browser_could_run_is_handed_out_to_be_shown() {
        for kind in ["html", "HTM", "svg", "xml", "xhtml", "js", "css", "pdf", "exe", "", "image/svg+xml"] {
            assert_eq!(manner(kind).content_type(), ("application/octet-stream", false), "{kind}");
        }
        for kind in ["md", "txt", "json", "png", "wav", "webm"] {
            let (mime, shown) = manner(kind).content_type();
            assert!(shown && !mime.contains("html") && !mime.contains("xml"), "{kind}");
        }
    }

    #[test]
    fn json_is_indented_only_when_it_is_whole_and_bytes_that_are_no_text_are_not_shown() {
        let shown = |read: &[u8], cut| match text(read, cut, true) {
            Preview::Text { text, .. } => text,
            other => panic!("{other:?}"),
        };
        assert_eq!(shown(br#"{"a":[1]}"#, false), "{\n  \"a\": [\n    1\n  ]\n}");
        assert_eq!(shown(br#"{"a":[1"#, true), "{\"a\":[1");
        assert!(matches!(text(b"a\0b", false, false), Preview::Download));
    }
}
