//! Diagnostic codes: each has a number that never changes and a page that `arcology explain CODE` prints.
//!
//! Hundreds: 1 files and syntax, 2 structure and values (this file); 3 references and the world, 4 pruning
//! (`declare::world::code`).

/// A code, its title, and its page in Markdown.
#[derive(Clone, Copy, Debug)]
pub struct Code {
    pub code: &'static str,
    pub title: &'static str,
    pub page: &'static str,
}

/// Defines the constants and the table from one list, so that neither can miss what the other has.
macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $title:literal;)*) => {
        $($(#[$doc])* pub const $name: &str = $code;)*
        /// Every code of this wing, by number.
        pub const CODES: &[Code] = &[
            $(Code {
                code: $code,
                title: $title,
                page: include_str!(concat!("../../../docs/errors/", $code, ".md")),
            },)*
        ];
    };
}

codes! {
    /// The file is larger than is read.
    FILE_TOO_LARGE = "ARC101", "file too large";
    /// The file is not UTF-8 text.
    NOT_UTF8 = "ARC102", "not UTF-8";
    /// The file holds characters that text does not have.
    NOT_TEXT = "ARC103", "not text";
    /// The file holds more documents than are read.
    TOO_MANY_DOCUMENTS = "ARC104", "too many documents";
    /// The text is not YAML.
    SYNTAX = "ARC105", "syntax error";
    /// Nested more deeply than is read.
    TOO_DEEP = "ARC106", "nested too deep";
    /// More values in a document than are read.
    TOO_MANY_VALUES = "ARC107", "too many values";
    /// Anchors, aliases, merge keys and tags are not read.
    ANCHOR = "ARC108", "anchor, alias or tag";
    /// A key stands twice in a mapping.
    DUPLICATE_KEY = "ARC109", "duplicate key";
    /// The path is a symbolic link that is not followed.
    SYMLINK = "ARC110", "symbolic link not followed";
    /// The path is a submodule, whose files are another repository's.
    SUBMODULE = "ARC111", "submodule not read";
    /// The file could not be read.
    UNREADABLE = "ARC112", "file not readable";
    /// More problems than are listed.
    MORE_PROBLEMS = "ARC113", "more problems than are listed";

    /// A field that this kind does not have.
    UNKNOWN_FIELD = "ARC201", "unknown field";
    /// A field that is needed is missing.
    MISSING_FIELD = "ARC202", "missing field";
    /// The value is of another type than the field.
    WRONG_TYPE = "ARC203", "wrong type";
    /// The value is none of those that the field allows.
    NOT_ALLOWED = "ARC204", "value not allowed";
    /// The number is too small, too large, or none.
    OUT_OF_RANGE = "ARC205", "number out of range";
    /// The text is no name.
    BAD_NAME = "ARC206", "not a name";
    /// The text is no length of time.
    BAD_SPAN = "ARC207", "not a length of time";
    /// The text is no moment in time.
    BAD_TIME = "ARC208", "not a moment in time";
    /// The text is not of the form that the field wants.
    BAD_FORM = "ARC209", "not of the expected form";
    /// The `apiVersion` is not one that this program reads.
    API_VERSION = "ARC210", "unknown apiVersion";
    /// The `kind` is not one that this program knows.
    UNKNOWN_KIND = "ARC211", "unknown kind";
    /// The document could not be decoded for another reason.
    UNDECODABLE = "ARC212", "not decodable";
    /// The document is not a mapping.
    NOT_A_MAPPING = "ARC213", "not a manifest";
    /// The endpoint is missing, out of place, or no plain HTTP address.
    ENDPOINT = "ARC220", "endpoint";
    /// There is no such capability.
    UNKNOWN_CAPABILITY = "ARC221", "unknown capability";
    /// There is no such metric.
    UNKNOWN_METRIC = "ARC222", "unknown metric";
    /// Not exactly one of several fields is set.
    EXACTLY_ONE = "ARC223", "exactly one field";
    /// The same thing stands twice in a list.
    TWICE = "ARC224", "listed twice";
    /// The text is no SHA-256.
    BAD_SHA256 = "ARC225", "not a SHA-256";
    /// An annotation under `arcology/` that means nothing, or has a value that means nothing.
    ANNOTATION = "ARC226", "annotation";
    /// Something that looks like a secret stands in a manifest.
    SECRET = "ARC227", "looks like a secret";
    /// A list that must not be empty is.
    EMPTY = "ARC228", "must not be empty";
    /// A path that is absolute or leads upwards.
    BAD_PATH = "ARC229", "path outside the repository";
    /// An option that the adapter does not have, or with a value it does not take.
    ADAPTER_OPTION = "ARC230", "adapter option";
    /// A capability that the adapter of the runtime cannot do.
    CANNOT_OFFER = "ARC231", "a capability that the adapter cannot do";
}

/// The code written `ARC201`, in any case.
#[must_use]
pub fn find(code: &str) -> Option<&'static Code> {
    CODES.iter().find(|known| known.code.eq_ignore_ascii_case(code))
}

#[cfg(test)]
mod tests {
    use super::super::limit::{FILE_BYTES_MAX, FILE_DOCUMENTS_MAX, NODES_MAX};
    use super::super::parse;
    use super::*;

    /// Inputs that a page cannot show, because they are too long or are no text.
    fn input_of(code: &str) -> Option<Vec<u8>> {
        let task = "apiVersion: arcology/v1alpha1\nkind: Task\nmetadata: {name: t}\nspec:\n  capability: text.stats\n";
        Some(match code {
            FILE_TOO_LARGE => vec![b' '; FILE_BYTES_MAX + 1],
            NOT_UTF8 => b"a: \xff".to_vec(),
            NOT_TEXT => b"a: \0".to_vec(),
            TOO_MANY_DOCUMENTS => "---\na\n".repeat(FILE_DOCUMENTS_MAX + 1).into_bytes(),
            TOO_MANY_VALUES => format!("{task}  tags: [{}]\n", "a,".repeat(NODES_MAX)).into_bytes(),
            MORE_PROBLEMS => {
                format!("{task}  x: {{{}}}\n", (0..200).map(|n| format!("k{n}: 1, k{n}: 2,")).collect::<String>())
                    .into_bytes()
            }
            _ => return None,
        })
    }

    /// Codes of what the caller found out before there was any text.
    const FOUND_BY_THE_CALLER: [&str; 3] = [SYMLINK, SUBMODULE, UNREADABLE];

    fn example_of(page: &str) -> Option<&str> {
        page.split_once("```yaml\n")?.1.split_once("```")?.0.into()
    }

    #[test]
    fn every_code_is_triggered_by_the_example_of_its_page() {
        for Code { code, page, .. } in CODES {
            if FOUND_BY_THE_CALLER.contains(code) {
                assert_eq!(example_of(page), None);
                continue;
            }
            let input = input_of(code).unwrap_or_else(|| example_of(page).expect(code).into());
            let parsed = parse::file("example.yaml", &input);
            let found: Vec<_> = parsed.broken.iter().flat_map(|broken| &broken.diagnostics).map(|d| &*d.code).collect();
            assert!(found.contains(code), "{code}: {found:?}");
        }
    }

    #[test]
    fn every_page_opens_with_its_code_and_title_and_says_how_to_mend_it() {
        for Code { code, title, page } in CODES {
            assert!(page.starts_with(&format!("# {code}: {title}\n\n")), "{code}");
            assert!(page.contains("\n## How to mend it\n\n"), "{code}");
        }
    }

    #[test]
    fn codes_are_unique_sorted_and_found_in_any_case() {
        assert!(CODES.windows(2).all(|pair| pair[0].code < pair[1].code));
        assert_eq!(find("arc201").unwrap().code, UNKNOWN_FIELD);
        assert!(find("ARC999").is_none());
    }
}
