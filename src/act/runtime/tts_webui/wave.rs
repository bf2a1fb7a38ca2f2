//! WAV files from servers that begin to send before they know the length. Pure.
//!
//! RIFF: "Multimedia Programming Interface and Data Specifications 1.0", Microsoft and IBM, 1991.

/// The length that stands for "not known yet".
const NOT_KNOWN: u32 = u32::MAX;

/// `bytes` with lengths that are true, so that strict readers take it.
///
/// # Errors
/// When the file is shorter than it says, or holds no sound.
pub(super) fn mend(mut bytes: Vec<u8>) -> Result<Vec<u8>, String> {
    let mut at = 12;
    loop {
        let Some(head) = bytes.get(at..at + 8) else { return Err("its sound file has no samples".to_owned()) };
        let size = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
        let is_data = head.starts_with(b"data");
        let start = at + 8;
        let rest = bytes.len() - start;
        if is_data && size == NOT_KNOWN {
            if rest == 0 {
                return Err("its sound file has no samples".to_owned());
            }
            set(&mut bytes, at + 4, rest);
            let whole = bytes.len() - 8;
            set(&mut bytes, 4, whole);
            return Ok(bytes);
        }
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        if is_data {
            return match size {
                0 => Err("its sound file has no samples".to_owned()),
                _ if size > rest => Err(format!("its sound broke off: {rest} of {size} bytes came")),
                _ => Ok(bytes),
            };
        }
        // Chunks begin at even places.
        at = start.saturating_add(size).saturating_add(size % 2);
        if at > bytes.len() {
            return Err("its sound file broke off before its samples".to_owned());
        }
    }
}

fn set(bytes: &mut [u8], at: usize, length: usize) {
    let length = u32::try_from(length).unwrap_or(NOT_KNOWN);
    bytes[at..at + 4].copy_from_slice(&length.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave(size: u32, samples: &[u8]) -> Vec<u8> {
        let mut bytes = b"RIFF".to_vec();
        bytes.extend(size.saturating_add(36).to_le_bytes());
        bytes.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0\xc0\x5d\0\0\x80\xbb\0\0\x02\0\x10\0data");
        bytes.extend(size.to_le_bytes());
        bytes.extend(samples);
        bytes
    }

    #[test]
    fn quirk_2_lengths_that_were_not_known_become_true() {
        assert_eq!(mend(wave(u32::MAX, b"abcd")), Ok(wave(4, b"abcd")));
        assert_eq!(mend(wave(4, b"abcd")), Ok(wave(4, b"abcd")));
    }

    #[test]
    fn quirk_7_a_sound_that_is_short_or_empty_is_no_sound() {
        for (bytes, says) in [
            (wave(8, b"abcd"), "4 of 8 bytes"),
            (wave(0, b""), "no samples"),
            (wave(u32::MAX, b""), "no samples"),
            (b"RIFF\0\0\0\0WAVE".to_vec(), "no samples"),
            (b"RIFF\0\0\0\0WAVEfmt \xff\xff\xff\xff".to_vec(), "before its samples"),
        ] {
            let why = mend(bytes.clone()).unwrap_err();
            assert!(why.contains(says), "{bytes:?}: {why}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let mut whole = b"RIFF\0\0\0\0WAVE".to_vec();
            whole.extend(bytes);
            let _ = mend(whole);
        }
    }
}
