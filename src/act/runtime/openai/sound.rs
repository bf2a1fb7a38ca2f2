//! What format a sound really has: some servers answer WAV whatever they were asked for. Pure.

/// The short type of a sound file, by its first bytes; none when it is none of those that are known.
#[must_use]
pub fn kind_of(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E', ..] => Some("wav"),
        [b'I', b'D', b'3', ..] => Some("mp3"),
        // ADTS begins like MPEG audio, but its layer bits are zero.
        [0xFF, second, ..] if second & 0xF6 == 0xF0 => Some("aac"),
        [0xFF, second, ..] if second & 0xE0 == 0xE0 => Some("mp3"),
        [b'f', b'L', b'a', b'C', ..] => Some("flac"),
        [b'O', b'g', b'g', b'S', ..] => Some("opus"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sounds_are_known_by_their_first_bytes() {
        for (bytes, kind) in [
            (&b"RIFF\0\0\0\0WAVEfmt "[..], Some("wav")),
            (b"ID3\x04", Some("mp3")),
            (&[0xFF, 0xFB, 0x90], Some("mp3")),
            (&[0xFF, 0xF1, 0x50], Some("aac")),
            (b"fLaC", Some("flac")),
            (b"OggS", Some("opus")),
            (b"{\"error\"", None),
            (b"RIFF", None),
            (b"", None),
        ] {
            assert_eq!(kind_of(bytes), kind, "{bytes:?}");
        }
    }
}
