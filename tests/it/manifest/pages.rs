//! The pages of diagnostic codes on disk are those of the table.

use std::collections::BTreeSet;
use std::path::Path;

use arcology::declare::manifest::code::CODES;

#[test]
fn every_page_of_this_wing_has_its_code() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/errors");
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let pages: BTreeSet<_> = names
        .filter(|name| name.starts_with("ARC1") || name.starts_with("ARC2"))
        .map(|name| name.trim_end_matches(".md").to_owned())
        .collect();
    let codes: BTreeSet<_> = CODES.iter().map(|code| code.code.to_owned()).collect();
    assert_eq!(pages, codes);
}
