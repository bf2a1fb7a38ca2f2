//! The shapes in which Ollama answers. Read loosely: versions differ, and unknown fields are passed over.

use serde::Deserialize;

/// The longest model name that is believed.
const NAME_CHARS_MAX: usize = 512;

/// `GET /api/version`.
#[derive(Debug, Deserialize)]
pub(super) struct Version {
    pub version: String,
}

/// `GET /api/tags`: what is installed.
#[derive(Debug, Deserialize)]
pub(super) struct Tags {
    pub models: Vec<Installed>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Installed {
    pub name: String,
    #[serde(default)]
    pub size: u64,
    /// A model of somebody else's machine, which only looks installed.
    #[serde(default)]
    pub remote_model: Option<String>,
    #[serde(default)]
    pub remote_host: Option<String>,
}

impl Installed {
    pub(super) fn is_local(&self) -> bool {
        let is_told = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
        is_name(&self.name) && !is_told(&self.remote_model) && !is_told(&self.remote_host)
    }
}

/// `GET /api/ps`: what is loaded.
#[derive(Debug, Deserialize)]
pub(super) struct Loaded {
    pub models: Vec<Running>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Running {
    pub name: String,
    #[serde(default)]
    pub size: u64,
    #[serde(default)]
    pub size_vram: u64,
    #[serde(default)]
    pub expires_at: String,
    #[serde(default)]
    pub context_length: u32,
}

/// Whether `name` can be shown and asked for.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().count() <= NAME_CHARS_MAX && !name.chars().any(char::is_control)
}

/// Whether two names mean the same model: a missing tag is `latest`, and case does not count.
pub(super) fn is_same(a: &str, b: &str) -> bool {
    let split = |name: &str| -> (String, String) {
        let at = name.rfind('/').map_or(0, |at| at + 1);
        match name[at..].split_once(':') {
            Some((_, tag)) => (name[..name.len() - tag.len() - 1].to_lowercase(), tag.to_lowercase()),
            None => (name.to_lowercase(), "latest".to_owned()),
        }
    };
    split(a) == split(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quirk_4_a_missing_tag_is_latest_and_case_does_not_count() {
        for (a, b, same) in [
            ("llama3.2", "llama3.2:latest", true),
            ("Llama3.2:3B", "llama3.2:3b", true),
            ("hf.co/Org/repo", "hf.co/org/repo:latest", true),
            ("host:5000/repo", "host:5000/repo:latest", true),
            ("llama3.2", "llama3.2:3b", false),
            ("a/b:c", "b:c", false),
        ] {
            assert_eq!(is_same(a, b), same, "{a} {b}");
        }
    }
}
