//! The codes of what is found in a repository before any manifest is read: ARC5xx.
//!
//! A code never changes its meaning; a retired one is not used again. Each has a page in `docs/errors/`.

use crate::declare::manifest::code::Code;

macro_rules! codes {
    ($($name:ident = $code:literal, $title:literal;)*) => {
        $(
            #[doc = $title]
            pub const $name: Code = Code {
                code: $code,
                title: $title,
                page: include_str!(concat!("../../../docs/errors/", $code, ".md")),
            };
        )*
        /// Every code of this room, by number.
        pub const CODES: &[Code] = &[$($name),*];
    };
}

codes! {
    UNUSABLE_NAME = "ARC501", "file name that cannot be used";
    TOO_MANY_FILES = "ARC502", "too many manifest files";
    FOLDERS_TOO_DEEP = "ARC503", "folders nested too deeply";
    NOT_A_FILE = "ARC504", "neither a file nor a folder where one belongs";
}

/// The code written `ARC501`, in any case.
#[must_use]
pub fn find(code: &str) -> Option<&'static Code> {
    CODES.iter().find(|known| known.code.eq_ignore_ascii_case(code))
}
