//! What a PDF may cost before it is parsed: a few bytes of PDF can become a large object in memory, and a few packed
//! bytes a large stream. The parser bounds each stream; this file bounds them all together.

use std::cell::Cell;

use lopdf::{DecompressError, Object, ObjectId};

use super::Error;

/// Objects that a document may hold, counted generously; each costs some 150 bytes once parsed.
const TOKENS_MAX: usize = 4_000_000;
/// Bytes that one packed stream may become.
pub(super) const STREAM_BYTES_MAX: usize = 8 * 1024 * 1024;

thread_local! {
    /// What is left for the object streams of the document that this thread parses. A thread-local, because the parser
    /// takes a plain function as its filter.
    static TOKENS_LEFT: Cell<usize> = const { Cell::new(0) };
}

/// Checks the bytes of a document and sets up [`admit`] for the parse that follows on this thread.
///
/// # Errors
/// When it is encrypted or too dense.
pub(super) fn check(bytes: &[u8]) -> Result<(), Error> {
    if names_encryption(bytes) {
        return Err(Error::Encrypted);
    }
    let left = TOKENS_MAX.checked_sub(tokens(bytes)).ok_or(Error::TooDense)?;
    TOKENS_LEFT.set(left);
    Ok(())
}

/// The parser's filter: lets an object stream through only while the budget lasts. The parser uses what comes back of
/// the members of object streams, and of the others only whether something does; streams, the large ones, are never
/// members, so nothing of them is copied.
pub(super) fn admit(id: ObjectId, object: &mut Object) -> Option<(ObjectId, Object)> {
    let Object::Stream(stream) = &*object else { return Some((id, object.clone())) };
    if stream.dict.get_type().is_ok_and(|kind| kind == b"ObjStm") {
        let cost = match stream.get_plain_content_with_limit(STREAM_BYTES_MAX) {
            Ok(content) => tokens(&content),
            Err(lopdf::Error::Decompress(DecompressError::MemoryLimitExceeded { .. })) => usize::MAX,
            Err(_) => return None,
        };
        let left = TOKENS_LEFT.get().checked_sub(cost);
        TOKENS_LEFT.set(left.unwrap_or(0));
        left?;
    }
    Some((id, Object::Null))
}

/// Whether the last parse on this thread ran out of its budget, so that the document is not all there.
pub(super) fn is_spent() -> bool {
    TOKENS_LEFT.get() == 0
}

/// How many objects the bytes can hold at most, near enough: each starts after a space or with a delimiter.
pub(super) fn tokens(bytes: &[u8]) -> usize {
    let mut after_space = true;
    let mut count = 0;
    for byte in bytes {
        let is_space = matches!(byte, b' ' | b'\n' | b'\r' | b'\t' | 0x0c | 0);
        count += usize::from(matches!(byte, b'[' | b'(' | b'<' | b'/') || (after_space && !is_space));
        after_space = is_space;
    }
    count
}

/// Whether a name `/Encrypt` stands anywhere, also one written with `#` escapes. The parser's path for encrypted
/// documents has no budget, and what is protected is not read against its owner's will.
fn names_encryption(bytes: &[u8]) -> bool {
    const NAME: &[u8] = b"Encrypt";
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| *byte == b'/') {
        rest = &rest[at + 1..];
        let mut name = rest;
        let spelled = NAME.iter().all(|wanted| next_of_name(&mut name) == Some(*wanted));
        if spelled && name.first().is_none_or(|byte| !byte.is_ascii_alphanumeric()) {
            return true;
        }
    }
    false
}

fn next_of_name(name: &mut &[u8]) -> Option<u8> {
    let (&first, rest) = name.split_first()?;
    *name = rest;
    if first != b'#' {
        return Some(first);
    }
    let digits = std::str::from_utf8(name.get(..2)?).ok()?;
    *name = &name[2..];
    u8::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encryption_is_seen_also_when_its_name_is_escaped() {
        for (bytes, expected) in [
            (&b"trailer << /Encrypt 5 0 R >>"[..], true),
            (b"/#45ncr#79pt 1 0 R", true),
            (b"/EncryptMetadata true /Enc", false),
            (b"/", false),
            (b"/#4", false),
        ] {
            assert_eq!(names_encryption(bytes), expected, "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn a_file_of_tiny_objects_is_too_dense_and_one_of_large_streams_is_not() {
        assert_eq!(check(&b"0 ".repeat(TOKENS_MAX + 1)), Err(Error::TooDense));
        assert_eq!(check(&b"[".repeat(TOKENS_MAX + 1)), Err(Error::TooDense));
        assert_eq!(check(&vec![b'x'; 20_000_000]), Ok(()));
    }
}
