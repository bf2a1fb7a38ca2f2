//! The quirks of the runtimes: each that stands on an adapter's page, by its number, has a test that is named after it, or the
//! page says why nothing tests it.

use std::collections::BTreeSet;

use super::{File, files, none};

/// How a page says that nothing tests a quirk, with the reason behind it.
const NO_TEST: &str = "No test: ";

/// A test that is named after quirks: `quirk_3_…`, `quirks_8_and_10_…`.
#[derive(Debug, PartialEq)]
struct Named {
    name: String,
    quirks: Vec<u32>,
}

fn named_after_quirks(source: &str) -> Vec<Named> {
    let functions =
        source.lines().filter_map(|line| line.trim_start().trim_start_matches("async ").strip_prefix("fn "));
    functions
        .filter_map(|rest| {
            let name = rest.split('(').next()?;
            let numbers = name.strip_prefix("quirk_").or_else(|| name.strip_prefix("quirks_"))?;
            // `quirk_1_503_means_…` is about the first quirk, not about a five hundred and third.
            let quirks = numbers.split("_and_").map_while(|part| part.split('_').next()?.parse().ok()).collect();
            Some(Named { name: name.to_owned(), quirks })
        })
        .collect()
}

/// The numbered items below `## Quirks`, each with all its lines.
fn quirks_of(page: &str) -> Vec<(u32, String)> {
    let mut quirks: Vec<(u32, String)> = Vec::new();
    let section =
        page.lines().skip_while(|line| *line != "## Quirks").skip(1).take_while(|line| !line.starts_with("## "));
    for line in section {
        match line.split_once(". ").and_then(|(number, text)| Some((number.parse().ok()?, text))) {
            Some((number, text)) => quirks.push((number, text.to_owned())),
            None if line.starts_with("   ") => {
                if let Some((_, text)) = quirks.last_mut() {
                    text.push_str(line.trim_start());
                }
            }
            None => {}
        }
    }
    quirks
}

/// The names in backticks on a page that are those of tests of quirks.
fn mentioned(page: &str) -> impl Iterator<Item = &str> {
    page.split('`').skip(1).step_by(2).filter(|code| code.starts_with("quirk_") || code.starts_with("quirks_"))
}

/// What is wrong with a page, given the sources of its adapter and of the tests of it.
fn findings(page: &File, sources: &[&File]) -> Vec<String> {
    let tests: Vec<Named> = sources.iter().flat_map(|file| named_after_quirks(&file.text)).collect();
    let quirks = quirks_of(&page.text);
    let tested: BTreeSet<u32> = tests.iter().flat_map(|test| test.quirks.iter().copied()).collect();
    let mut found = Vec::new();
    for (number, text) in &quirks {
        let path = &page.path;
        match (tested.contains(number), text.contains(NO_TEST)) {
            (false, false) => found.push(format!("{path}: quirk {number} has no test named `quirk_{number}_…`")),
            (true, true) => found.push(format!("{path}: quirk {number} says that it has no test, and has one")),
            (true, false) | (false, true) => {}
        }
    }
    let numbers: BTreeSet<u32> = quirks.iter().map(|(number, _)| *number).collect();
    for test in &tests {
        if test.quirks.is_empty() || test.quirks.iter().any(|number| !numbers.contains(number)) {
            found.push(format!("{}: `{}` is named after a quirk that is not on the page", page.path, test.name));
        }
    }
    let strangers = mentioned(&page.text).filter(|name| tests.iter().all(|test| test.name != **name));
    found.extend(strangers.map(|name| format!("{}: there is no test `{name}`", page.path)));
    found
}

#[test]
fn every_quirk_of_a_page_has_a_test_of_its_number_or_a_reason_why_not() {
    let sources: Vec<File> = ["src", "tests"].iter().flat_map(|folder| files(folder, "rs")).collect();
    let pages = files("docs/adapters", "md");
    assert!(pages.len() >= 10, "the pages were found");
    let found: Vec<String> = pages
        .iter()
        .flat_map(|page| {
            let name = page.path.rsplit('/').next().unwrap().trim_end_matches(".md").replace('-', "_");
            let places = [
                format!("src/act/runtime/{name}/"),
                format!("src/declare/manifest/kind/options/{name}"),
                format!("tests/it/runtime/{name}"),
            ];
            let own = |file: &&File| places.iter().any(|place| file.path.starts_with(place.as_str()));
            findings(page, &sources.iter().filter(own).collect::<Vec<_>>())
        })
        .collect();
    none(&found);
}

#[test]
fn quirks_without_a_test_tests_without_a_quirk_and_names_of_nothing_are_found() {
    let page = "1. no quirk\n## Quirks\n\n1. It\n   lies.\n2. It hides. No test: it\n   is theirs.\n3. Both.\n\n`quirk_1_it_lies` `quirk_9_gone`\n## B\n4. x";
    let page = File::new("docs/adapters/a.md", page);
    assert_eq!(quirks_of(&page.text).iter().map(|(number, _)| *number).collect::<Vec<_>>(), [1, 2, 3]);
    let tests = File::new(
        "tests/it/runtime/a.rs",
        "fn quirk_1_it_lies() {}\n    async fn quirks_2_and_7_x() {}\nfn quirky() {}\nfn quirk_of() {}",
    );
    assert_eq!(
        findings(&page, &[&tests]),
        [
            "docs/adapters/a.md: quirk 2 says that it has no test, and has one",
            "docs/adapters/a.md: quirk 3 has no test named `quirk_3_…`",
            "docs/adapters/a.md: `quirks_2_and_7_x` is named after a quirk that is not on the page",
            "docs/adapters/a.md: `quirk_of` is named after a quirk that is not on the page",
            "docs/adapters/a.md: there is no test `quirk_9_gone`",
        ]
    );
}
