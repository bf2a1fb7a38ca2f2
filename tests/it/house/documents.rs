//! The documentation, held to the code: links lead somewhere, examples are valid, dependencies have their sentences,
//! and the first page says how the program is run and tested.

use std::collections::{BTreeMap, BTreeSet};

use arcology::declare::manifest::parse;

use super::{File, files, none, read, root};

/// The largest a picture may be, in bytes.
const PICTURE_BYTES_MAX: u64 = 300 * 1024;

/// Every page that people read.
fn pages() -> Vec<File> {
    let mut pages = files("docs", "md");
    pages.extend(["README.md", "CHANGELOG.md", "src/tell/cli/init/README.md"].map(read));
    assert!(pages.len() > 60, "the documentation was found: {} pages", pages.len());
    pages
}

/// The lines of a page outside its code blocks.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut in_code = false;
    text.lines().zip(1..).filter_map(move |(line, n)| {
        let fence = line.trim_start().starts_with("```");
        in_code ^= fence;
        (!in_code && !fence).then_some((n, line))
    })
}

/// The code blocks of a page in a language: the line of the fence, and the text.
fn blocks(text: &str, language: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut open: Option<(usize, bool, String)> = None;
    for (line, n) in text.lines().zip(1..) {
        match (&mut open, line.trim_start().strip_prefix("```")) {
            (None, Some(info)) => open = Some((n, info.trim() == language, String::new())),
            (None, None) => {}
            (Some((n, wanted, text)), Some(_)) => {
                if *wanted {
                    found.push((*n, std::mem::take(text)));
                }
                open = None;
            }
            (Some((_, _, text)), None) => text.extend([line, "\n"]),
        }
    }
    found
}

/// Where the links of a line lead.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices("](").filter_map(|(at, _)| line[at + 2..].split_once(')').map(|(target, _)| target))
}

/// The anchor that forges give a heading.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    text.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_')).collect::<String>().replace(' ', "-")
}

fn dead_links(page: &File) -> Vec<String> {
    let folder = page.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut found = Vec::new();
    for (n, line) in prose(&page.text) {
        for target in links(line).filter(|target| !target.contains("://")) {
            let (path, wanted) = target.split_once('#').map_or((target, None), |(path, anchor)| (path, Some(anchor)));
            let file = if path.is_empty() { root().join(&page.path) } else { root().join(folder).join(path) };
            if !file.exists() {
                found.push(format!("{}:{n}: {target} leads nowhere", page.path));
            } else if let Some(wanted) = wanted {
                let text = if path.is_empty() { page.text.clone() } else { std::fs::read_to_string(&file).unwrap() };
                let mut headings = prose(&text).filter(|(_, line)| line.starts_with('#'));
                if !headings.any(|(_, heading)| anchor(heading) == wanted) {
                    found.push(format!("{}:{n}: {target}: no such heading", page.path));
                }
            }
        }
    }
    found
}

/// The direct dependencies that a `Cargo.toml` names.
fn direct(cargo: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut inside = false;
    for line in cargo.lines() {
        if line.starts_with('[') {
            inside = matches!(line, "[dependencies]" | "[dev-dependencies]");
        } else if let Some((name, _)) = line.split_once(" = ").filter(|_| inside) {
            found.insert(name.to_owned());
        }
    }
    found
}

/// The rows of `docs/dependencies.md`: a crate's name, and its sentence.
fn explained(page: &str) -> BTreeMap<String, String> {
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    rows.map(|(name, sentence)| (name.to_owned(), sentence.trim_end_matches(" |").to_owned())).collect()
}

fn unexplained(cargo: &str, page: &str) -> Vec<String> {
    let (direct, explained) = (direct(cargo), explained(page));
    let mut found: Vec<String> = Vec::new();
    for name in &direct {
        match explained.get(name) {
            None => found.push(format!("{name} has no sentence in docs/dependencies.md")),
            Some(sentence) if !sentence.ends_with('.') || sentence.split(' ').count() < 5 => {
                found.push(format!("{name}: `{sentence}` is no sentence"));
            }
            Some(_) => {}
        }
    }
    let gone = explained.keys().filter(|name| !direct.contains(*name));
    found.extend(gone.map(|name| format!("{name} is explained, but not in Cargo.toml")));
    found
}

/// Verbs that the program has and its help leaves out.
const HIDDEN: [&str; 3] = ["confine", "reference", "soak"];

/// The verbs that the program has, as its own reference names them.
fn verbs() -> BTreeSet<String> {
    let page = read("docs/cli.md").text;
    page.lines()
        .filter_map(|line| line.strip_prefix("## "))
        .map(str::to_owned)
        .chain(HIDDEN.map(str::to_owned))
        .collect()
}

/// Commands that a person is told to run, and that do not exist.
fn unknown_verbs(file: &File, verbs: &BTreeSet<String>) -> Vec<String> {
    let mut found = Vec::new();
    for (line, n) in file.text.lines().zip(1..) {
        for (at, name) in line.match_indices("arcology ") {
            let told = line[..at].ends_with(['`', '"']) || line[..at].ends_with("$ ");
            let verb: String = line[at + name.len()..].chars().take_while(char::is_ascii_lowercase).collect();
            if told && !verb.is_empty() && !verbs.contains(&verb) {
                found.push(format!("{}:{n}: there is no `arcology {verb}`", file.path));
            }
        }
    }
    found
}

/// The problems of manifests, as `arcology validate` finds them in one file alone.
fn problems(path: &str, text: &str) -> Vec<String> {
    let parsed = parse::file(path, text.as_bytes());
    let mut found: Vec<String> = parsed
        .broken
        .iter()
        .flat_map(|broken| &broken.diagnostics)
        .chain(&parsed.warnings)
        .map(|d| format!("{path}:{}: {} {}", d.span.line, d.code, d.message))
        .collect();
    if parsed.documents.is_empty() && found.is_empty() {
        found.push(format!("{path}: holds no manifest"));
    }
    found
}

/// Blocks that are whole manifests, as against pieces of one.
fn manifests_of(page: &File) -> Vec<(String, String)> {
    let whole = blocks(&page.text, "yaml").into_iter().filter(|(_, text)| text.contains("apiVersion:"));
    whole.map(|(line, text)| (format!("{}:{line}", page.path), text)).collect()
}

#[test]
fn links_between_pages_lead_somewhere() {
    none(&pages().iter().flat_map(dead_links).collect::<Vec<_>>());
}

#[test]
fn every_command_that_is_told_exists() {
    let verbs = verbs();
    assert!(verbs.contains("up") && verbs.len() > 10, "{verbs:?}");
    let mut texts = pages();
    texts.extend(files("src", "rs"));
    texts.extend(files("src", "html"));
    none(&texts.iter().flat_map(|file| unknown_verbs(file, &verbs)).collect::<Vec<_>>());
}

#[test]
fn every_direct_dependency_has_its_sentence_and_every_sentence_its_dependency() {
    let cargo = read("Cargo.toml").text;
    assert!(direct(&cargo).len() > 20);
    none(&unexplained(&cargo, &read("docs/dependencies.md").text));
}

#[test]
fn examples_are_valid_manifests() {
    let examples = files("docs/examples", "yaml");
    assert!(!examples.is_empty());
    none(&examples.iter().flat_map(|file| problems(&file.path, &file.text)).collect::<Vec<_>>());
    // The pages of diagnostics show mistakes on purpose; `manifest/pages.rs` holds them to what they say.
    let sound = |page: &&File| !page.path.starts_with("docs/errors/");
    let on_pages: Vec<_> = pages().iter().filter(sound).flat_map(manifests_of).collect();
    assert!(on_pages.len() >= 10, "every kind has an example: {} found", on_pages.len());
    none(&on_pages.iter().flat_map(|(path, text)| problems(path, text)).collect::<Vec<_>>());
}

#[test]
fn every_kind_has_an_example_on_the_page_of_manifests() {
    let page = read("docs/manifests.md");
    let examples = manifests_of(&page);
    for kind in arcology::core::Kind::ALL {
        let line = format!("kind: {kind}\n");
        assert!(examples.iter().any(|(_, text)| text.contains(&line)), "{kind} has no example");
    }
}

#[test]
fn the_first_page_says_how_it_is_run_and_tested() {
    let commands: Vec<String> = blocks(&read("README.md").text, "sh").into_iter().map(|(_, text)| text).collect();
    // The last line is the one that `.ci/run` looks for, so that what is told and what is proved cannot differ.
    for command in ["cargo run --release -- up", "cargo test --locked    # .ci/run runs this line"] {
        let found = commands.iter().flat_map(|text| text.lines()).any(|line| line == command);
        assert!(found, "README.md has no line `{command}` in a block of commands");
    }
}

#[test]
fn pictures_are_small_enough_to_clone() {
    for picture in std::fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap()) {
        if picture.path().extension().is_some_and(|ending| ending == "png") {
            let bytes = picture.metadata().unwrap().len();
            assert!(bytes <= PICTURE_BYTES_MAX, "{} has {bytes} bytes", picture.path().display());
        }
    }
}

#[test]
fn the_rules_of_the_documents_find_what_breaks_them() {
    let page = |text: &str| File::new("docs/cli.md", text);
    for dead in ["[a](gone.md)", "[a](errors/ARC999.md)", "[a](#no-such-heading)", "[a](../README.md#no-such-heading)"]
    {
        assert_eq!(dead_links(&page(dead)).len(), 1, "{dead}");
    }
    for sound in
        ["[a](cli.md)", "# A `heading`, here\n[a](#a-heading-here)", "```\n[a](gone.md)\n```", "[a](https://x.y)"]
    {
        assert_eq!(dead_links(&page(sound)), Vec::<String>::new(), "{sound}");
    }
    let verbs = BTreeSet::from(["up".to_owned()]);
    assert_eq!(unknown_verbs(&page("run `arcology undo --all`, or $ arcology redo"), &verbs).len(), 2);
    assert_eq!(unknown_verbs(&page("`arcology up` starts the arcology daemon"), &verbs), Vec::<String>::new());
    let cargo = "[dependencies]\nserde = \"1\"\n[dev-dependencies]\ninsta = \"1\"\n[profile.dev]\ndebug = 1\n";
    let good =
        "| `serde` | Reads values into types and back. |\n| `insta` | Compares what is printed with what was. |\n";
    assert_eq!(unexplained(cargo, good), Vec::<String>::new());
    assert_eq!(unexplained(cargo, &good.replace("insta", "insto")).len(), 2);
    assert_eq!(unexplained(cargo, &good.replace(" Reads values into types and back.", " Values.")).len(), 1);
    let bad = "apiVersion: arcology/v1alpha1\nkind: Host\nmetadata: {name: a}\nspec: {adress: x}\n";
    assert!(!problems("a.yaml", bad).is_empty());
    assert_eq!(problems("a.yaml", "# nothing\n").len(), 1);
    let found = manifests_of(&page(&format!("```yaml\n{bad}```\n```yaml\nspec: {{}}\n```\n```sh\napiVersion:\n```\n")));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].1, bad);
}
