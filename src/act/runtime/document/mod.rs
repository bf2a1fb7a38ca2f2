//! Text out of documents: plain text, Markdown, HTML and the text layer of PDF. Bounded, and without a network.
//!
//! What a document says is taken over, not judged. Pictures of text are left to optical recognition (`ocr.pdf`).

mod entity;
pub mod html;
pub mod pdf;
mod pdf_guard;

use super::adapter::{Fault, InputFile, RuntimeError};
use super::stop::{Stop, Stopped};

/// The largest file that is read.
pub const FILE_BYTES_MAX: usize = 32 * 1024 * 1024;
/// The longest text that is taken out of one file, and that is worked on at once.
pub const TEXT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Text,
    Markdown,
    Html,
    Pdf,
}

/// The text of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extracted {
    pub format: Format,
    pub text: String,
    /// How many pages it has, where it has pages.
    pub pages: Option<usize>,
}

/// Why there is no text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("it has {bytes} bytes, more than the limit of {FILE_BYTES_MAX}")]
    FileTooLarge { bytes: usize },
    #[error("its text is longer than the limit of {TEXT_BYTES_MAX} bytes")]
    TextTooLong,
    #[error("it is not UTF-8 text: byte {at} is wrong")]
    NotUtf8 { at: usize },
    #[error("it is no text, HTML, Markdown or PDF")]
    Binary,
    #[error("the PDF has more than {} pages", pdf::PAGES_MAX)]
    TooManyPages,
    #[error("the PDF is packed too tightly to be unpacked safely")]
    TooDense,
    #[error("the PDF is encrypted; remove the protection first")]
    Encrypted,
    #[error("the PDF has no text layer; `ocr.pdf` can read pictures of text")]
    NoTextLayer,
    #[error("the PDF cannot be read: {0}")]
    BadPdf(String),
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// What `bytes` are, by their first bytes and, for what has none that tell, by the name.
#[must_use]
pub fn format_of(name: &str, bytes: &[u8]) -> Format {
    const HEAD_BYTES: usize = 1_024;
    let head = &bytes[..bytes.len().min(HEAD_BYTES)];
    if head.windows(5).any(|window| window == b"%PDF-") {
        return Format::Pdf;
    }
    let start = String::from_utf8_lossy(head).trim_start_matches(['\u{feff}', ' ', '\n', '\r', '\t']).to_lowercase();
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending).to_lowercase();
    match ending.as_str() {
        "html" | "htm" | "xhtml" => Format::Html,
        _ if start.starts_with("<!doctype html") || start.starts_with("<html") => Format::Html,
        "md" | "markdown" => Format::Markdown,
        _ => Format::Text,
    }
}

/// The text of `file`.
///
/// # Errors
/// When it is too large, no text, broken, or when told to stop.
pub fn extract(file: &InputFile, stop: &Stop) -> Result<Extracted, Error> {
    if file.bytes.len() > FILE_BYTES_MAX {
        return Err(Error::FileTooLarge { bytes: file.bytes.len() });
    }
    let format = format_of(&file.name, &file.bytes);
    let (text, pages) = match format {
        Format::Pdf => pdf::text(&file.bytes, stop).map(|(text, pages)| (text, Some(pages)))?,
        Format::Html => (html::text(decode(&file.bytes)?, stop)?, None),
        Format::Text | Format::Markdown => (decode(&file.bytes)?.replace("\r\n", "\n").replace('\r', "\n"), None),
    };
    if text.len() > TEXT_BYTES_MAX { Err(Error::TextTooLong) } else { Ok(Extracted { format, text, pages }) }
}

fn decode(bytes: &[u8]) -> Result<&str, Error> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if bytes.contains(&0) {
        return Err(Error::Binary);
    }
    std::str::from_utf8(bytes).map_err(|e| Error::NotUtf8 { at: e.valid_up_to() })
}

impl Error {
    /// The same, as a failure of the task that named `file`.
    #[must_use]
    pub fn of(self, file: &str) -> RuntimeError {
        let fault = match &self {
            Self::Stopped(_) => Fault::Timeout,
            Self::FileTooLarge { .. }
            | Self::TextTooLong
            | Self::NotUtf8 { .. }
            | Self::Binary
            | Self::TooManyPages
            | Self::TooDense
            | Self::Encrypted
            | Self::NoTextLayer
            | Self::BadPdf(_) => Fault::BadInput,
        };
        RuntimeError::new(fault, format!("cannot take the text out of `{file}`: {self}"))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn file(name: &str, bytes: &[u8]) -> InputFile {
        InputFile { name: name.to_owned(), bytes: bytes.into() }
    }

    fn read(name: &str, bytes: &[u8]) -> Result<Extracted, Error> {
        let (stop, _waiting) = Stop::after(Duration::from_secs(60));
        extract(&file(name, bytes), &stop)
    }

    #[test]
    fn formats_are_known_by_content_before_name() {
        for (name, bytes, expected) in [
            ("a.txt", &b"%PDF-1.4\n"[..], Format::Pdf),
            ("a.bin", b"\n <!DOCTYPE HTML><p>", Format::Html),
            ("a.HTM", b"text", Format::Html),
            ("notes.md", b"# x", Format::Markdown),
            ("notes", b"<p>x", Format::Text),
        ] {
            assert_eq!(format_of(name, bytes), expected, "{name}");
        }
    }

    #[test]
    fn plain_text_loses_its_byte_order_mark_and_carriage_returns_only() {
        assert_eq!(read("a.txt", b"\xef\xbb\xbfa\r\nb\rc").unwrap().text, "a\nb\nc");
    }

    #[test]
    fn what_is_no_text_is_refused_with_the_reason() {
        assert_eq!(read("a.txt", b"a\0b"), Err(Error::Binary));
        assert_eq!(read("a.txt", b"ab\xff"), Err(Error::NotUtf8 { at: 2 }));
        assert_eq!(read("a.txt", &vec![b'a'; TEXT_BYTES_MAX + 1]), Err(Error::TextTooLong));
        assert!(matches!(read("a.txt", &vec![b'a'; FILE_BYTES_MAX + 1]), Err(Error::FileTooLarge { .. })));
    }
}
