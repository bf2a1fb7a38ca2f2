//! The architecture, read from the source: wings use only wings below them, pure wings name nothing impure, volatile
//! crates are named in their rooms alone, and every file says what it owns.

use super::{File, files, none};

/// From the bottom up. What stands in `src/` itself (`lib.rs`, `main.rs`, `daemon.rs`) is above all of them.
const WINGS: &[&str] = &["core", "declare", "decide", "remember", "act", "tell"];

/// The wings that are functions of their arguments.
const PURE: &[&str] = &["src/core/", "src/declare/", "src/decide/"];

/// What pure code does not name, not even in a comment.
const IMPURE: &[&str] =
    &["tokio", "std::fs", "std::net", "std::env", "SystemTime", "Instant::now", "reqwest", "rusqlite", "git2"];

/// Names that stand in certain files only, each with the beginnings of those paths.
const ROOMS: &[(&str, &[&str])] = &[
    ("git2::", &["src/act/source/"]),
    ("notify::", &["src/act/source/"]),
    ("rusqlite::", &["src/remember/store/"]),
    ("reqwest::", &["src/act/http"]),
    ("serde_saphyr::", &["src/declare/manifest/yaml"]),
    ("minijinja::", &["src/tell/web/", "src/act/runtime/"]),
    ("lopdf::", &["src/act/runtime/document/pdf"]),
    ("axum::", &["src/tell/web/", "src/tell/control/"]),
    ("annotate_snippets::", &["src/tell/diagnostics/"]),
    ("clap::", &["src/tell/cli/"]),
    // Rules of the kernel are put on in one place, by a process on itself.
    ("landlock::", &["src/act/runtime/exec/confine.rs"]),
    // Programs are started in six places: git for what `doctor` asks it, what confines itself and becomes a declared one,
    // declared ones in their sandbox, git for remotes and signatures, git for `init --commit`, and what a lease is for.
    (
        "Command::new(",
        &[
            "src/act/doctor/ask.rs",
            "src/act/runtime/exec/confine.rs",
            "src/act/runtime/exec/process.rs",
            "src/act/source/git_program.rs",
            "src/tell/cli/verb/init.rs",
            "src/tell/cli/verb/lease.rs",
        ],
    ),
    // All output goes through one place; the daemon's log and last words through another.
    ("print!(", &["src/tell/cli/ui.rs"]),
    ("println!(", &["src/tell/cli/ui.rs"]),
    ("eprint!(", &["src/tell/cli/ui.rs"]),
    ("eprintln!(", &["src/tell/cli/ui.rs"]),
    ("dbg!(", &[]),
    ("io::stdout(", &["src/tell/cli/ui.rs"]),
    ("io::stderr(", &["src/tell/cli/ui.rs", "src/daemon.rs"]),
];

/// The longest a file may be, in lines.
const LINES_MAX: usize = 500;

/// A rule: what it finds in a file, one finding a line.
type Rule = fn(&File) -> Vec<String>;

/// The wing a file of `src/` stands in, as its place in [`WINGS`]; files above the wings are in none.
fn wing_of(path: &str) -> Option<usize> {
    let (wing, _) = path.strip_prefix("src/")?.split_once('/')?;
    Some(WINGS.iter().position(|known| *known == wing).unwrap_or_else(|| panic!("{path} is in no known wing")))
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The code of a line, without a comment that fills it.
fn code(line: &str) -> &str {
    if line.trim_start().starts_with("//") { "" } else { line }
}

/// Where `name` stands in `line` as a name of its own, not as the end of a longer one.
fn named<'a>(line: &'a str, name: &'a str) -> impl Iterator<Item = usize> + 'a {
    line.match_indices(name).map(|(at, _)| at).filter(move |at| !line[..*at].ends_with(is_word))
}

/// Uses of a wing that is not below, and of the crate's root in a way that hides which wing is meant.
fn upward_uses(file: &File) -> Vec<String> {
    let Some(own) = wing_of(&file.path) else { return Vec::new() };
    let mut found = Vec::new();
    let depth = file.path.trim_end_matches(".rs").trim_end_matches("/mod").matches('/').count();
    let mut in_tests = false;
    for (line, n) in file.text.lines().zip(1..) {
        for at in named(line, "crate::") {
            let rest = &line[at + "crate::".len()..];
            let target: String = rest.chars().take_while(|c| is_word(*c)).collect();
            match WINGS.iter().position(|wing| *wing == target) {
                Some(wing) if wing <= own => {}
                Some(_) => found.push(format!("{}:{n}: {} uses {target}, which is above it", file.path, WINGS[own])),
                None => found.push(format!("{}:{n}: `crate::{rest}` names no wing", file.path)),
            }
        }
        // A module knows its neighbours, not the shape of the house: `super` does not climb out of a wing.
        in_tests |= line.starts_with("#[cfg(test)]");
        if named(code(line), &"super::".repeat(depth + usize::from(in_tests))).next().is_some() {
            found.push(format!("{}:{n}: `super` leaves the wing", file.path));
        }
    }
    found
}

fn impure_names(file: &File) -> Vec<String> {
    if !PURE.iter().any(|wing| file.path.starts_with(wing)) {
        return Vec::new();
    }
    let lines = file.text.lines().zip(1..);
    lines
        .flat_map(|(line, n)| {
            IMPURE
                .iter()
                .filter(move |name| named(line, name).any(|at| !line[at + name.len()..].starts_with(is_word)))
                .map(move |name| format!("{}:{n}: a pure wing names `{name}`", file.path))
        })
        .collect()
}

fn names_out_of_their_rooms(file: &File) -> Vec<String> {
    let mut found = Vec::new();
    for (name, rooms) in ROOMS {
        if rooms.iter().any(|room| file.path.starts_with(room)) {
            continue;
        }
        for (line, n) in file.text.lines().zip(1..) {
            if named(code(line), name).next().is_some() {
                found.push(format!("{}:{n}: `{name}` belongs into {}", file.path, rooms.join(", ")));
            }
        }
    }
    found
}

fn shape(file: &File) -> Vec<String> {
    let mut found = Vec::new();
    if !file.text.starts_with("//! ") {
        found.push(format!("{}: does not open with a `//!` header that says what it owns", file.path));
    }
    let lines = file.text.lines().count();
    if lines > LINES_MAX {
        found.push(format!("{}: {lines} lines, more than {LINES_MAX}", file.path));
    }
    found
}

fn sources() -> Vec<File> {
    let sources = files("src", "rs");
    assert!(sources.len() > 200, "the source was found: {} files", sources.len());
    sources
}

fn all(rule: Rule, files: &[File]) -> Vec<String> {
    files.iter().flat_map(rule).collect()
}

#[test]
fn a_wing_uses_only_wings_below_it() {
    none(&all(upward_uses, &sources()));
}

#[test]
fn pure_wings_name_no_files_no_network_no_clock_and_no_threads() {
    none(&all(impure_names, &sources()));
}

#[test]
fn volatile_crates_programs_and_output_are_named_in_their_rooms_alone() {
    none(&all(names_out_of_their_rooms, &sources()));
}

#[test]
fn every_room_in_the_list_is_used_by_somebody() {
    let sources = sources();
    for (name, rooms) in ROOMS.iter().filter(|(name, rooms)| name.ends_with("::") && !rooms.is_empty()) {
        for room in *rooms {
            let mut files = sources.iter().filter(|file| file.path.starts_with(room));
            let used = files.any(|file| file.text.lines().any(|line| named(code(line), name).next().is_some()));
            assert!(used, "{room} names no `{name}` any more: take it off the list");
        }
    }
}

#[test]
fn every_file_says_what_it_owns_and_is_short_enough_to_read() {
    let mut everything = sources();
    everything.extend(files("tests", "rs"));
    none(&all(shape, &everything));
}

#[test]
fn the_rules_of_the_house_find_what_breaks_them() {
    let broken: &[(Rule, &str, &str)] = &[
        (upward_uses, "src/core/key.rs", "use crate::declare::world::World;"),
        (upward_uses, "src/remember/store/row.rs", "    let x = crate::act::clock::SystemClock;"),
        (upward_uses, "src/act/clock.rs", "use crate::{core, tell};"),
        (upward_uses, "src/decide/view.rs", "use super::super::act::clock;"),
        (upward_uses, "src/act/engine/mod.rs", "use super::super::tell::web;"),
        (impure_names, "src/declare/manifest/text.rs", "let now = std::time::SystemTime::now();"),
        (impure_names, "src/decide/view.rs", "/// Like tokio's."),
        (impure_names, "src/core/clock.rs", "use std::fs;"),
        (names_out_of_their_rooms, "src/act/engine/mod.rs", "use rusqlite::Connection;"),
        (names_out_of_their_rooms, "src/tell/cli/load.rs", "let r = git2::Repository::open(p);"),
        (names_out_of_their_rooms, "src/daemon.rs", "    println!(\"up\");"),
        (names_out_of_their_rooms, "src/act/engine/mod.rs", "    std::process::Command::new(\"sh\")"),
        (names_out_of_their_rooms, "src/tell/cli/ui.rs", "    dbg!(x);"),
        (shape, "src/act/mod.rs", "pub mod clock;"),
    ];
    for (rule, path, line) in broken {
        assert_eq!(rule(&File::new(path, line)).len(), 1, "{path}: {line}");
    }
    let long = format!("//! Owns much.\n{}", "\n".repeat(LINES_MAX));
    assert_eq!(shape(&File::new("src/act/mod.rs", &long)).len(), 1);
    let sound: &[(Rule, &str, &str)] = &[
        (upward_uses, "src/tell/cli/mod.rs", "use crate::act::source; use crate::core::Name;"),
        (upward_uses, "src/main.rs", "use arcology::tell;"),
        (upward_uses, "src/act/runtime/document/pdf.rs", "use super::super::stop::Stop;"),
        (impure_names, "src/act/clock.rs", "std::time::SystemTime::now()"),
        (impure_names, "src/decide/view.rs", "let reqwests = 1;"),
        (names_out_of_their_rooms, "src/tell/cli/load.rs", "//! Not with git2::Repository."),
        (names_out_of_their_rooms, "src/remember/store/sql.rs", "use rusqlite::Row;"),
    ];
    for (rule, path, line) in sound {
        assert_eq!(rule(&File::new(path, line)), Vec::<String>::new(), "{path}: {line}");
    }
}
