//! The bytes of a file into text, or why it is none.

use super::code;
use super::diagnostic::{Diagnostic, SourceSpan};
use super::limit::FILE_BYTES_MAX;
use super::source::{Finding, Source};
use super::split;

/// The text of a file.
///
/// # Errors
/// When it is too large, not UTF-8, or holds a NUL byte.
pub fn of<'a>(path: &str, bytes: &'a [u8]) -> Result<&'a str, Box<Diagnostic>> {
    if bytes.len() > FILE_BYTES_MAX {
        return Err(Box::new(too_large(path, u64::try_from(bytes.len()).unwrap_or(u64::MAX))));
    }
    let whole = std::str::from_utf8(bytes);
    let good = match whole {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(),
    };
    let flaw = match (whole, good.find('\0')) {
        (Ok(text), None) => return Ok(text),
        (_, Some(at)) => Finding::new(code::NOT_TEXT, end_of(&good[..at]), "the file holds a NUL byte".into())
            .label("text has no such character")
            .help("this looks like a binary file; manifests are text"),
        (Err(_), None) => not_utf8(good, bytes),
    };
    Err(Box::new(Source { path: path.into(), first_line: 1, text: good }.diagnostic(flaw, None)))
}

/// A file of `bytes_total` bytes, which is too many.
#[must_use]
pub fn too_large(path: &str, bytes_total: u64) -> Diagnostic {
    let message = format!("the file has {bytes_total} bytes; at most {FILE_BYTES_MAX} are read");
    let span = SourceSpan { line: 1, column: 1, start: 0, end: 0 };
    let finding = Finding::new(code::FILE_TOO_LARGE, span, message)
        .help("a manifest holds no data: keep large content in a file that the manifest names, or split it");
    Source { path: path.into(), first_line: 1, text: "" }.diagnostic(finding, None)
}

/// `good` is what stands before the first byte that is no UTF-8.
fn not_utf8(good: &str, bytes: &[u8]) -> Finding {
    let utf16 = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
    let help = if utf16 { "the file looks like UTF-16; save it as UTF-8" } else { "save the file as UTF-8" };
    let byte = bytes.get(good.len()).copied().unwrap_or_default();
    Finding::new(code::NOT_UTF8, end_of(good), format!("the byte 0x{byte:02x} is not UTF-8"))
        .label("the first byte that is not text")
        .help(help)
}

/// The place just behind a text. A byte order mark has no width.
fn end_of(text: &str) -> SourceSpan {
    let breaks = split::lines(text).filter(|line| line.ends_with(['\n', '\r'])).count();
    let last = text.rfind(['\n', '\r']).map_or(0, |at| at + 1);
    let before = text[last..].chars().filter(|c| *c != '\u{feff}').count();
    let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    SourceSpan { line: narrow(breaks + 1), column: narrow(before + 1), start: text.len(), end: text.len() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bad_byte_is_named_with_its_line_and_column() {
        for (bytes, code, place) in [
            (&b"a: 1\nb: caf\xe9\n"[..], code::NOT_UTF8, (2, 7)),
            (b"\xff\xfea\0", code::NOT_UTF8, (1, 1)),
            ("é\r\né".as_bytes().split_last().unwrap().1, code::NOT_UTF8, (2, 1)),
            (b"a: 1\r\nb\0", code::NOT_TEXT, (2, 2)),
            ("\u{feff}a\0".as_bytes(), code::NOT_TEXT, (1, 2)),
        ] {
            let diagnostic = of("a.yaml", bytes).unwrap_err();
            assert_eq!(&*diagnostic.code, code);
            assert_eq!((diagnostic.span.line, diagnostic.span.column), place, "{bytes:?}");
        }
    }

    #[test]
    fn a_file_of_exactly_the_largest_size_is_read() {
        assert!(of("a.yaml", &vec![b' '; FILE_BYTES_MAX]).is_ok());
        assert_eq!(&*of("a.yaml", &vec![b' '; FILE_BYTES_MAX + 1]).unwrap_err().code, code::FILE_TOO_LARGE);
    }
}
