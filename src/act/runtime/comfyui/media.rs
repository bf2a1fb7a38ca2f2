//! What an output really is, and what it is called here. Pure.

use crate::act::runtime::openai::sound;

/// Short types whose first bytes are known: a file that ends so and does not begin so is broken.
const KNOWN: &[&str] = &["avif", "flac", "gif", "jpeg", "jpg", "mov", "mp3", "mp4", "png", "wav", "webm", "webp"];
/// The longest ending of a file name that is kept as a short type.
const ENDING_CHARS_MAX: usize = 8;

/// The short type of the file `name` with these bytes.
///
/// # Errors
/// When it is not what its name says, nor anything else that is known.
pub(super) fn kind(name: &str, bytes: &[u8]) -> Result<String, String> {
    let ending = ending(name);
    if let Some(kind) = begins_as(bytes) {
        // One container, two names.
        let is_same = matches!((kind, ending.as_str()), ("webm", "mkv") | ("mp4", "m4a" | "m4v") | ("opus", "ogg"));
        return Ok(if is_same { ending } else { kind.to_owned() });
    }
    if KNOWN.contains(&ending.as_str()) || bytes.is_empty() {
        return Err(format!("it is no {ending} in its {} bytes", bytes.len()));
    }
    Ok(ending)
}

fn ending(name: &str) -> String {
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).unwrap_or_default();
    let is_plain = !ending.is_empty() && ending.len() <= ENDING_CHARS_MAX;
    if is_plain && ending.bytes().all(|byte| byte.is_ascii_alphanumeric()) { ending } else { "bin".to_owned() }
}

fn begins_as(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1A, b'\n', ..] => Some("png"),
        [0xFF, 0xD8, 0xFF, ..] => Some("jpg"),
        [b'G', b'I', b'F', b'8', ..] => Some("gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("webp"),
        [_, _, _, _, b'f', b't', b'y', b'p', b'a', b'v', b'i', ..] => Some("avif"),
        [_, _, _, _, b'f', b't', b'y', b'p', b'q', b't', ..] => Some("mov"),
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => Some("mp4"),
        [0x1A, 0x45, 0xDF, 0xA3, ..] => Some("webm"),
        _ => sound::kind_of(bytes),
    }
}

/// What an output of this short type is called, without number and ending.
pub(super) fn stem(kind: &str) -> &'static str {
    match kind {
        "avif" | "bmp" | "exr" | "gif" | "jpeg" | "jpg" | "png" | "svg" | "tiff" | "webp" => "image",
        "avi" | "m4v" | "mkv" | "mov" | "mp4" | "webm" => "video",
        "aac" | "flac" | "m4a" | "mp3" | "ogg" | "opus" | "wav" => "audio",
        "txt" => "text",
        _ => "output",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_is_what_it_begins_as_and_a_broken_one_is_told() {
        for (name, bytes, expected) in [
            ("a.png", &b"\x89PNG\r\n\x1a\n"[..], Ok("png")),
            ("a.png", b"\xff\xd8\xff\xe0", Ok("jpg")),
            ("a.gif", b"GIF89a", Ok("gif")),
            ("a.webp", b"RIFF\0\0\0\0WEBP", Ok("webp")),
            ("a.mp4", b"\0\0\0\x20ftypisom", Ok("mp4")),
            ("a.m4a", b"\0\0\0\x20ftypM4A ", Ok("m4a")),
            ("a.mkv", b"\x1a\x45\xdf\xa3", Ok("mkv")),
            ("a.wav", b"RIFF\0\0\0\0WAVE", Ok("wav")),
            ("a.glb", b"glTF", Ok("glb")),
            ("a.../x", b"?", Ok("bin")),
            ("a.png", b"<html>", Err(())),
            ("a.glb", b"", Err(())),
        ] {
            assert_eq!(kind(name, bytes).map_err(|_| ()), expected.map(str::to_owned), "{name}");
        }
        assert_eq!([stem("jpg"), stem("webm"), stem("flac"), stem("glb")], ["image", "video", "audio", "output"]);
    }
}
