//! Capabilities: what a runtime can do, and what goes in and comes out.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What flows along an edge of a blueprint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DataType {
    Text,
    Pdf,
    Image,
    Audio,
    Video,
    Vector,
    Json,
    /// Any file.
    File,
}

impl DataType {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Pdf => "pdf",
            Self::Image => "image",
            Self::Audio => "audio",
            Self::Video => "video",
            Self::Vector => "vector",
            Self::Json => "json",
            Self::File => "file",
        }
    }
}

/// A capability with its types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capability {
    pub name: &'static str,
    pub accepts: &'static [DataType],
    pub gives: DataType,
}

const fn capability(name: &'static str, accepts: &'static [DataType], gives: DataType) -> Capability {
    Capability { name, accepts, gives }
}

/// Every capability that can be named. Others come with `kind: Capability` later.
pub const ALL: &[Capability] = &[
    capability("audio.convert", &[DataType::Audio], DataType::Audio),
    capability("audio.transcribe", &[DataType::Audio], DataType::Text),
    capability("audio.tts", &[DataType::Text], DataType::Audio),
    capability("doc.extract", &[DataType::Pdf, DataType::Text, DataType::File], DataType::Text),
    capability("image.gen", &[DataType::Text, DataType::Image], DataType::Image),
    capability("ocr.image", &[DataType::Image], DataType::Text),
    capability("ocr.pdf", &[DataType::Pdf], DataType::Text),
    capability("text.embed", &[DataType::Text], DataType::Vector),
    capability("text.generate", &[DataType::Text, DataType::Json], DataType::Text),
    capability("text.stats", &[DataType::Text], DataType::Json),
    capability("text.summarize", &[DataType::Text], DataType::Text),
    capability("train.run", &[DataType::File, DataType::Json], DataType::File),
    capability("video.gen", &[DataType::Text, DataType::Image], DataType::Video),
];

/// The capability called `name`.
#[must_use]
pub fn find(name: &str) -> Option<&'static Capability> {
    ALL.iter().find(|capability| capability.name == name)
}

#[cfg(test)]
mod tests {
    #[test]
    fn capabilities_are_sorted_and_unique_so_that_lists_of_them_read_well() {
        assert!(super::ALL.windows(2).all(|pair| pair[0].name < pair[1].name));
    }
}
