//! The codes of what is found between objects: ARC3xx references and the world, ARC4xx pruning.
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
    UNKNOWN_REFERENCE = "ARC301", "a name that nothing is declared under";
    BROKEN_REFERENCE = "ARC302", "a reference to an object that is broken";
    DUPLICATE = "ARC303", "two documents of one name";
    PRUNE_HELD = "ARC401", "objects gone from Git are held in force";
    RETAINED = "ARC402", "an object gone from Git is still needed";
}

/// The code written `code`, such as `ARC301`.
#[must_use]
pub fn find(code: &str) -> Option<&'static Code> {
    CODES.iter().find(|candidate| candidate.code == code)
}
