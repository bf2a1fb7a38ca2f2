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
    UNKNOWN_GPU = "ARC304", "a GPU that the host does not have";
    NOT_ON_HOST = "ARC305", "a model that no runtime of the loadout's host serves";
    COPILOT = "ARC306", "a copilot that is not among the loadout's models";
    SAME_MODEL = "ARC307", "two loadouts of a host with the same model";
    CONTRADICTION = "ARC308", "contradictory states for the same thing";
    NEVER_FITS = "ARC309", "a model that can never fit";
    TOO_MUCH_LOADED = "ARC310", "models that can never be loaded together";
    POLICY_TIE = "ARC311", "equally specific policies that set the same field";
    SELECTS_NOBODY = "ARC312", "a policy that selects nobody";
    UNKNOWN_STEP = "ARC313", "a source that the blueprint does not have";
    CYCLE = "ARC314", "steps or tasks that wait for each other";
    WRONG_DATA = "ARC315", "data of the wrong type";
    NO_LIST = "ARC316", "`each` without a list";
    NOT_OFFERED = "ARC317", "a capability that no runtime offers";
    CANNOT_DO = "ARC318", "a runtime or model that is not for this";
    NOT_SERVED = "ARC319", "a model that the task's runtime does not serve";
    RUN_INPUT = "ARC320", "inputs of a run that do not match its blueprint";
    NO_FILE = "ARC321", "a file that the revision does not have";
    NOT_MEASURED = "ARC322", "a metric that the golden set does not compute";
    NOT_DRIVEN = "ARC323", "a runtime that this version does not drive yet";
    UNUSED_CAPABILITY = "ARC324", "a capability that no runtime of the model offers";
    PRUNE_HELD = "ARC401", "objects gone from Git are held in force";
    RETAINED = "ARC402", "an object gone from Git is still needed";
}

/// The code written `ARC301`, in any case.
#[must_use]
pub fn find(code: &str) -> Option<&'static Code> {
    CODES.iter().find(|candidate| candidate.code.eq_ignore_ascii_case(code))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::Arc;

    use super::*;
    use crate::declare::manifest::parse;
    use crate::declare::world::{check, fixture};

    #[test]
    fn codes_are_unique_ascending_and_found_in_any_case() {
        assert!(CODES.windows(2).all(|pair| pair[0].code < pair[1].code));
        assert_eq!(find("arc311").unwrap().title, POLICY_TIE.title);
        assert!(find("ARC999").is_none());
    }

    #[test]
    fn every_page_says_what_it_means_and_how_to_mend_it() {
        for code in CODES {
            assert!(code.page.starts_with(&format!("# {}: {}\n", code.code, code.title)), "{}", code.code);
            assert!(code.page.contains("\n## How to mend it\n"), "{}", code.code);
            let has_example = code.page.contains("\n## Example\n");
            assert!(has_example || code.code == PRUNE_HELD.code, "{} has no example", code.code);
        }
    }

    /// Whole revisions and histories are told as ARC401 and ARC402; every other page shows its own problem.
    #[test]
    fn the_example_of_each_page_is_told_with_the_code_of_the_page() {
        for code in CODES.iter().filter(|code| code.code < PRUNE_HELD.code) {
            let (_, rest) = code.page.split_once("```yaml\n").unwrap();
            let (example, _) = rest.split_once("```").unwrap();
            let files = [("house.yaml", fixture::house_for(example)), ("goldensets/example.yaml", example.to_owned())];
            let parsed = files.map(|(path, text)| (Arc::from(path), Arc::new(parse::file(path, text.as_bytes()))));
            let all = check(&BTreeMap::from(parsed), &|_| false);
            let told: BTreeSet<_> = all.iter().map(|diagnostic| &*diagnostic.code).collect();
            assert!(told.contains(code.code), "the example of {} is told {told:?}", code.code);
        }
    }
}
