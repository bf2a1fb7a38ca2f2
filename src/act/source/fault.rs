//! What can stand at the place of a manifest and not be read as one, and how that is told.

use crate::core::text;
use crate::declare::manifest::code::{SUBMODULE, SYMLINK, UNREADABLE};
use crate::declare::manifest::{ParsedFile, parse};

use super::code;
use super::options::{DEPTH_MAX, MANIFESTS_MAX};

/// Why something is not read. One of these costs its own file or folder and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    Link,
    Submodule,
    NotUtf8,
    LeadsOut,
    Slash,
    Control,
    NameTooLong,
    TooDeep,
    /// A file stands where a folder of manifests belongs.
    NoFolder,
    /// A pipe, socket or device.
    NoFile,
    /// The system refuses to open it.
    Unreadable,
    /// The parser panicked.
    ParserFailed,
    /// It comes after as many files as are read.
    OneOfTooMany,
}

impl Fault {
    fn code(self) -> &'static str {
        match self {
            Self::Link => SYMLINK,
            Self::Submodule => SUBMODULE,
            Self::NotUtf8 | Self::LeadsOut | Self::Slash | Self::Control | Self::NameTooLong => {
                code::UNUSABLE_NAME.code
            }
            Self::TooDeep => code::FOLDERS_TOO_DEEP.code,
            Self::NoFolder | Self::NoFile => code::NOT_A_FILE.code,
            Self::Unreadable | Self::ParserFailed => UNREADABLE,
            Self::OneOfTooMany => code::TOO_MANY_FILES.code,
        }
    }

    fn message(self) -> String {
        match self {
            Self::Link => "this is a symbolic link, and links are not followed".into(),
            Self::Submodule => "this is a submodule, and submodules are not read".into(),
            Self::NotUtf8 => "the name is not UTF-8".into(),
            Self::LeadsOut => "the name means a place outside of its folder".into(),
            Self::Slash => "the name has a slash or backslash in it".into(),
            Self::Control => "the name has a control character in it".into(),
            Self::NameTooLong => "the name is longer than 255 bytes".into(),
            Self::TooDeep => format!("this folder is more than {} deep", text::count(DEPTH_MAX, "level")),
            Self::NoFolder => "this is a file, and a folder of manifests belongs here".into(),
            Self::NoFile => "this is a pipe, socket or device, and a file belongs here".into(),
            Self::Unreadable => "the system does not let this be read".into(),
            Self::ParserFailed => "reading this file failed inside arcology".into(),
            Self::OneOfTooMany => {
                format!("at most {MANIFESTS_MAX} manifest files are read, in the order of their paths")
            }
        }
    }

    fn help(self) -> &'static str {
        match self {
            Self::Link => "commit the file itself in place of the link",
            Self::Submodule => "commit its files here, or follow its repository with an arcology of its own",
            Self::NotUtf8 | Self::LeadsOut | Self::Slash | Self::Control | Self::NameTooLong => {
                "rename it with `git mv`; letters, digits, `-`, `_` and `.` always work"
            }
            Self::TooDeep => "move it up",
            Self::NoFolder => "remove the file, or move it into a folder of this name",
            Self::NoFile => "move it out of the manifest folders",
            Self::Unreadable => "mend its owner and mode",
            Self::ParserFailed => "this is a mistake in arcology: please report it with the file",
            Self::OneOfTooMany => "move what is no manifest elsewhere, or split the repository",
        }
    }

    /// The file as the manifest wing knows files that were not read.
    pub fn file(self, path: &str) -> ParsedFile {
        parse::unreadable(path, self.code(), self.message(), Some(self.help().into()))
    }
}
