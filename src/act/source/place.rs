//! Names and paths of manifest files: which entries matter, and how a hostile name is written down.

use crate::core::Digest;

use super::fault::Fault;

/// Extensions of manifest files.
const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];
/// Bytes of one path component.
const NAME_BYTES_MAX: usize = 255;

/// Whether a file of this name is read as a manifest. Files of other names are data, such as golden-set cases.
pub(super) fn is_manifest_name(name: &[u8]) -> bool {
    let dot = name.iter().rposition(|byte| *byte == b'.');
    dot.is_some_and(|dot| dot > 0 && EXTENSIONS.iter().any(|extension| name[dot + 1..] == *extension.as_bytes()))
}

/// Whether a link of this name could stand for a manifest or for a folder of them.
pub(super) fn is_suspicious_link(name: &[u8]) -> bool {
    is_manifest_name(name) || !name.contains(&b'.')
}

/// Whether a `.json` file at `path` may hold golden-set cases instead of a manifest.
pub(super) fn may_be_data(path: &str) -> bool {
    path.starts_with("goldensets/") && path.ends_with(".json")
}

/// The name as text, or the reason why it cannot be used and a way to write it down that no other name shares.
pub(super) fn name(bytes: &[u8]) -> Result<&str, (String, Fault)> {
    let text = std::str::from_utf8(bytes).map_err(|_| (escaped(bytes), Fault::NotUtf8))?;
    let fault = if text.is_empty() || text == "." || text == ".." || text.eq_ignore_ascii_case(".git") {
        Fault::LeadsOut
    } else if text.contains(['/', '\\']) {
        Fault::Slash
    } else if text.chars().any(char::is_control) {
        Fault::Control
    } else if text.len() > NAME_BYTES_MAX {
        Fault::NameTooLong
    } else {
        return Ok(text);
    };
    Err((escaped(bytes), fault))
}

/// Printable ASCII as it is, everything else as `\xNN`, shortened. A usable name never has a backslash in it, so that
/// an escaped one never hides it.
fn escaped(bytes: &[u8]) -> String {
    let kept = &bytes[..bytes.len().min(NAME_BYTES_MAX)];
    let text: String = kept
        .iter()
        .map(|byte| match byte {
            b'/' | b'\\' => format!("\\x{byte:02x}"),
            b' '..=b'~' => char::from(*byte).to_string(),
            _ => format!("\\x{byte:02x}"),
        })
        .collect();
    match text.as_str() {
        "" => "\\x".into(),
        "." => "\\x2e".into(),
        ".." => "\\x2e\\x2e".into(),
        _ if kept.len() < bytes.len() => format!("{text}…{}", &Digest::of(bytes).hex()[..8]),
        _ => text,
    }
}

/// The components of a path inside a repository; none when it could lead anywhere else.
pub(super) fn components(path: &str) -> Option<Vec<&str>> {
    let components: Vec<_> = path.split('/').collect();
    let fine = |component: &&str| name(component.as_bytes()).is_ok();
    (components.iter().all(fine) && path.len() < 4_096).then_some(components)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_yml_and_json_are_manifests_and_nothing_else_is() {
        for yes in ["a.yaml", "a.yml", "a.json", "a.b.yaml"] {
            assert!(is_manifest_name(yes.as_bytes()), "{yes}");
        }
        for no in ["a.jsonl", "a.csv", ".yaml", "yaml", "a.yaml~", "README.md", "a.YAML.bak"] {
            assert!(!is_manifest_name(no.as_bytes()), "{no}");
        }
    }

    #[test]
    fn hostile_names_are_written_down_so_that_no_two_are_alike() {
        let cases: [(&[u8], &str); 6] = [
            (b"..", "\\x2e\\x2e"),
            (b"a\xff.yaml", "a\\xff.yaml"),
            (b"a\n.yaml", "a\\x0a.yaml"),
            (b"a\\xff.yaml", "a\\x5cxff.yaml"),
            (b".GIT", ".GIT"),
            (b"a/b.yaml", "a\\x2fb.yaml"),
        ];
        for (bytes, expected) in cases {
            assert_eq!(name(bytes).unwrap_err().0, expected);
        }
        assert_eq!(name("modèle.yaml".as_bytes()).unwrap(), "modèle.yaml");
    }

    #[test]
    fn a_path_that_leads_out_of_the_repository_has_no_components() {
        for bad in ["", "/etc/passwd", "../x", "a/../b", "a//b", "a/./b", ".git/config", "a/\0"] {
            assert!(components(bad).is_none(), "{bad}");
        }
        assert_eq!(components("samples/board.pdf").unwrap(), ["samples", "board.pdf"]);
    }
}
