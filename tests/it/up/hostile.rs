//! Bad input, one commit each beside a good change: it is named with its place, and nothing else stops.

use serde_json::{Value, json};

use super::harness::{Daemon, Place, eventually, so};

/// What makes a repository bad, and what must be said of it.
struct Case {
    name: &'static str,
    spoil: fn(&Place),
    /// Parts of what `arcology validate` says: the place, and what is the matter.
    said: &'static [&'static str],
}

const CASES: &[Case] = &[
    Case {
        name: "a file of 100 MB",
        spoil: |place| {
            let file = std::fs::File::create(place.repo().join("manifests/huge.yaml")).unwrap();
            file.set_len(100 << 20).unwrap();
        },
        said: &["manifests/huge.yaml", "ARC1"],
    },
    Case {
        name: "an alias bomb",
        spoil: |place| {
            let mut bomb = String::from("a0: &a0 [x, x]\n");
            for n in 1..30 {
                bomb.push_str(&format!("a{n}: &a{n} [*a{}, *a{}]\n", n - 1, n - 1));
            }
            place.write("manifests/bomb.yaml", &bomb);
        },
        said: &["manifests/bomb.yaml", "ARC1"],
    },
    Case {
        name: "10,000 documents in one file",
        spoil: |place| place.write("manifests/many.yaml", &"---\na: b\n".repeat(10_000)),
        said: &["manifests/many.yaml", "ARC1"],
    },
    Case {
        name: "invalid UTF-8",
        spoil: |place| std::fs::write(place.repo().join("manifests/latin.yaml"), b"kind: Caf\xe9\n").unwrap(),
        said: &["manifests/latin.yaml:1:10", "UTF-8"],
    },
    Case {
        name: "a symbolic link out of the repository",
        spoil: |place| std::os::unix::fs::symlink("/etc/passwd", place.repo().join("manifests/link.yaml")).unwrap(),
        said: &["manifests/link.yaml", "link"],
    },
    Case {
        name: "a submodule",
        spoil: |place| {
            let head = place.git(&["rev-parse", "HEAD"]);
            place.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{head},manifests/sub")]);
        },
        said: &["manifests/sub", "submodule"],
    },
    Case {
        name: "a cycle of references",
        spoil: |place| {
            let task = |name: &str, on: &str| {
                format!(
                    "apiVersion: arcology/v1alpha1\nkind: Task\nmetadata: {{name: {name}}}\nspec: {{capability: \
                     text.stats, inputs: {{text: x}}, dependencies: [{on}]}}\n"
                )
            };
            place.write("manifests/a.yaml", &task("a", "b"));
            place.write("manifests/b.yaml", &task("b", "a"));
        },
        said: &["manifests/a.yaml", "a -> b -> a"],
    },
    Case {
        name: "duplicate names",
        spoil: |place| {
            place.write("manifests/one.yaml", &model("twin", "lead"));
            place.write("manifests/two.yaml", &model("twin", "textrank"));
        },
        said: &["manifests/one.yaml", "manifests/two.yaml", "twin"],
    },
];

#[test]
fn bad_input_is_named_with_its_place_and_nothing_else_stops() {
    let place = Place::of_this_project();
    let daemon = place.up();
    daemon.until("Loadout/desk", "is in sync", |row| row["sync"] == "InSync");
    let clean = place.git(&["rev-parse", "HEAD"]);
    for (n, case) in CASES.iter().enumerate() {
        let good = format!("good-{n}");
        place.write("manifests/good.yaml", &model(&good, "lead"));
        place.git(&["add", "-A"]);
        (case.spoil)(&place);
        // `add -A` would take a submodule out of the index again: its folder is not there.
        if case.name != "a submodule" {
            place.git(&["add", "-A"]);
        }
        place.git(&["commit", "-q", "-m", case.name]);
        daemon.until(&format!("Model/{good}"), "is in force all the same", |row| row["sync"] == "InSync");
        let row = daemon.drift("Loadout/desk").unwrap();
        assert_eq!(row["sync"], "InSync", "{}: {row:#}", case.name);

        let validated = place.arcology(&["validate", "--rev", "HEAD"]);
        let text =
            String::from_utf8_lossy(&validated.stdout).into_owned() + &String::from_utf8_lossy(&validated.stderr);
        assert_eq!(validated.status.code(), Some(1), "{}: {text}", case.name);
        for part in case.said {
            assert!(text.contains(part), "{}: `{part}` is missing in:\n{text}", case.name);
        }
        assert!(text.len() < 200_000, "{}: an error is no flood: {} bytes", case.name, text.len());
        let attention = daemon.json("/api/v1/status")["attention"].to_string();
        let path = case.said[0].split(':').next().unwrap();
        assert!(attention.contains(path) || attention.contains("twin"), "{}: {attention}", case.name);
        // Back to a clean tree by a new commit, so that history only goes forward.
        place.git(&["rm", "-q", "-r", "--cached", "manifests"]);
        std::fs::remove_dir_all(place.repo().join("manifests")).unwrap();
        place.git(&["checkout", "-q", &clean, "--", "manifests"]);
        let mended = place.commit(&format!("Without {}\n\nPrune: confirm", case.name));
        daemon.until_in_sync_at("Loadout/desk", &mended);
    }
    assert!(place.loaded("textrank").exists(), "what was loaded stayed loaded all the time");
    let loads = daemon.audit().iter().filter(|row| row["verb"] == "unload").count();
    assert_eq!(loads, 0, "nothing was unloaded by any of it");
}

#[test]
fn a_rewritten_history_is_held_until_it_is_accepted() {
    let place = Place::of_this_project();
    let daemon = place.up();
    let row = daemon.until("Loadout/desk", "is in sync", |row| row["sync"] == "InSync");
    place.edit("manifests/loadout.yaml", "lead, state: onDemand", "lead, state: loaded");
    place.git(&["add", "-A"]);
    place.git(&["commit", "-q", "--amend", "-m", "Another beginning"]);
    let source = eventually("it is held", || {
        let source = daemon.json("/api/v1/status")["source"].clone();
        if source["ready"] == false { Ok(source) } else { Err(source.to_string()) }
    });
    assert_eq!(source["reason"], "NotFastForward", "{source:#}");
    assert!(source["help"].as_str().unwrap().contains("--accept"), "{source:#}");
    assert_eq!(daemon.drift("Loadout/desk").unwrap()["revision"], row["revision"], "the applied one stays in force");
    assert!(!place.loaded("lead").exists());
    place.says(&["reconcile", "--accept"]);
    eventually("it is accepted", || so(place.loaded("lead").exists(), daemon.log()));
}

#[test]
fn a_deleted_branch_and_a_damaged_repository_leave_what_was_applied_in_force() {
    let place = Place::of_this_project();
    let daemon = place.up();
    daemon.until("Loadout/desk", "is in sync", |row| row["sync"] == "InSync");
    let head = place.git(&["rev-parse", "HEAD"]);
    place.git(&["update-ref", "-d", "refs/heads/main"]);
    assert_eq!(failing(&daemon)["reason"], "BranchMissing");
    place.git(&["update-ref", "refs/heads/main", &head]);
    assert_eq!(daemon.call("/v1/reconcile", &json!({})).1["outcome"], "unchanged");
    place.edit("manifests/loadout.yaml", "lead, state: onDemand", "lead, state: loaded");
    let damaged = place.commit("To be damaged");
    eventually("it is applied", || so(place.loaded("lead").exists(), daemon.log()));
    place.write("manifests/more.yaml", &model("more", "lead"));
    place.git(&["add", "-A"]);
    let blob = place.git(&["hash-object", "manifests/more.yaml"]);
    let object = place.repo().join(".git/objects").join(&blob[..2]).join(&blob[2..]);
    std::fs::remove_file(&object).unwrap();
    std::fs::write(&object, "damaged").unwrap();
    let tree = place.git(&["write-tree", "--missing-ok"]);
    let commit = place.git(&["commit-tree", &tree, "-p", &damaged, "-m", "Damaged"]);
    place.git(&["update-ref", "refs/heads/main", &commit]);
    let source = failing(&daemon);
    assert_eq!(source["reason"], "Corrupt", "{source:#}");
    assert!(place.loaded("lead").exists() && daemon.drift("Loadout/desk").unwrap()["sync"] == "InSync");
}

/// Asks for a look that fails, and gives what the page then says of the source.
fn failing(daemon: &Daemon) -> Value {
    let (_, answer) = daemon.call("/v1/reconcile", &json!({}));
    assert_eq!(answer["outcome"], "failed", "{answer:#}");
    daemon.json("/api/v1/status")["source"].clone()
}

fn model(name: &str, served_as: &str) -> String {
    format!(
        "apiVersion: arcology/v1alpha1\nkind: Model\nmetadata: {{name: {name}}}\nspec:\n  type: other\n  \
         servedBy: [{{runtime: builtin, as: {served_as}}}]\n  capabilities: [text.summarize]\n"
    )
}

#[test]
fn manifests_beside_the_folders_are_not_read_and_somebody_says_so() {
    let place = Place::empty();
    place.write("loadout.yaml", "kind: Loadout\n");
    place.commit("Manifests at the top");
    let daemon = place.up();
    let told = || so(daemon.log().contains("nothing is declared: manifests are read from blueprints/"), daemon.log());
    eventually("it is said", told);
}
