//! The paths of ComfyUI that are used, and which of them may be used to look.

use crate::act::http::encode_segment;

/// What may be asked without changing anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// What one prompt came to; `{}` while it is unknown or has not ended.
    History {
        id: String,
    },
    /// The model files in one folder.
    Models {
        folder: String,
    },
    Queue,
    SystemStats,
    /// An output file.
    View {
        name: String,
        subfolder: String,
        kind: String,
    },
}

impl Look {
    /// Its path and query.
    #[must_use]
    pub fn path(&self) -> String {
        match self {
            Self::History { id } => format!("/history/{}", encode_segment(id)),
            Self::Models { folder } => format!("/models/{}", encode_segment(folder)),
            Self::Queue => "/queue".to_owned(),
            Self::SystemStats => "/system_stats".to_owned(),
            Self::View { name, subfolder, kind } => {
                let [name, subfolder, kind] = [name, subfolder, kind].map(|part| encode_segment(part));
                format!("/view?filename={name}&subfolder={subfolder}&type={kind}")
            }
        }
    }
}

/// Queues a prompt.
pub const PROMPT: &str = "/prompt";
/// Takes prompts out of the queue.
pub const QUEUE: &str = "/queue";
/// Ends the prompt that runs. Never without an id: it would end anybody's.
pub const INTERRUPT: &str = "/interrupt";
/// Has memory given up, between prompts.
pub const FREE: &str = "/free";
/// Keeps a file that a workflow reads.
pub const UPLOAD: &str = "/upload/image";

/// Ends one prompt, wherever it is; newer versions only.
#[must_use]
pub fn cancel(id: &str) -> String {
    format!("/api/jobs/{}/cancel", encode_segment(id))
}

/// The WebSocket of one client.
#[must_use]
pub fn socket(client: &str) -> String {
    format!("/ws?clientId={}", encode_segment(client))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_and_folders_stand_for_themselves() {
        let look = Look::View { name: "a b&c.png".into(), subfolder: "x/y".into(), kind: "output".into() };
        assert_eq!(look.path(), "/view?filename=a%20b%26c.png&subfolder=x%2Fy&type=output");
        assert_eq!(Look::Models { folder: "../queue".into() }.path(), "/models/..%2Fqueue");
    }
}
