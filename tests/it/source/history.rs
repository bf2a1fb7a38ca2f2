//! Who changed what last, and what a commit message may confirm.

use arcology::act::source::Snapshot;
use arcology::core::CommitSha;

use super::repo::{TestRepo, changed, git, model};

/// The subject of the commit that changed a path last.
fn subject<'a>(snapshot: &'a Snapshot, path: &str) -> &'a str {
    snapshot.commits.get(path).map_or("unknown", |commit| &commit.subject)
}

#[test]
fn each_file_names_the_commit_that_changed_it_last() {
    let mut repo = TestRepo::new();
    repo.commit("add a and b", &[("manifests/a.yaml", Some("x")), ("manifests/b.yaml", Some("x"))]);
    repo.commit("change b", &[("manifests/b.yaml", Some("y"))]);
    let applied = repo.commit("something else", &[("README.md", Some("y"))]);
    let mut source = repo.source();
    let snapshot = changed(source.poll(None, false).unwrap());
    assert_eq!(subject(&snapshot, "manifests/a.yaml"), "add a and b");
    assert_eq!(subject(&snapshot, "manifests/b.yaml"), "change b");

    repo.commit("change a", &[("manifests/a.yaml", Some("y"))]);
    repo.commit("add c", &[("manifests/c.yaml", Some("y"))]);
    repo.commit("remove b", &[("manifests/b.yaml", None)]);
    let snapshot = changed(source.poll(Some(&applied), false).unwrap());
    assert_eq!(subject(&snapshot, "manifests/a.yaml"), "change a");
    assert_eq!(subject(&snapshot, "manifests/b.yaml"), "unknown");
    assert_eq!(subject(&snapshot, "manifests/c.yaml"), "add c");
    let range: Vec<_> = snapshot.range.iter().map(|commit| commit.subject.as_str()).collect();
    assert_eq!(range, ["remove b", "add c", "change a"]);
}

#[test]
fn a_merge_passes_the_credit_on_unless_it_changed_the_file_itself() {
    let mut repo = TestRepo::new();
    repo.commit("base", &[("manifests/a.yaml", Some("1")), ("manifests/b.yaml", Some("1"))]);
    let base = repo.oid("main");
    let main = repo.commit_on(&[base], "a on main", &[("manifests/a.yaml", Some("2"))]);
    let side =
        repo.commit_on(&[base], "b on side", &[("manifests/b.yaml", Some("2")), ("manifests/c.yaml", Some("2"))]);
    let merge = repo.commit_on(
        &[main, side],
        "merge side",
        &[("manifests/b.yaml", Some("2")), ("manifests/c.yaml", Some("resolved"))],
    );
    repo.set_branch("main", main);
    let mut source = repo.source();
    changed(source.poll(None, false).unwrap());
    repo.set_branch("main", merge);
    let stepwise = changed(source.poll(Some(&CommitSha::new(&main.to_string())), false).unwrap());
    let at_once = changed(repo.source().poll(None, false).unwrap());
    for snapshot in [&stepwise, &at_once] {
        assert_eq!(subject(snapshot, "manifests/a.yaml"), "a on main");
        assert_eq!(subject(snapshot, "manifests/b.yaml"), "b on side");
        assert_eq!(subject(snapshot, "manifests/c.yaml"), "merge side");
    }
    assert_eq!(stepwise.range.len(), 2);

    let log = |path: &str| git(&repo.path(), &["log", "-1", "--format=%s", "main", "--", path]);
    for path in ["manifests/a.yaml", "manifests/b.yaml", "manifests/c.yaml"] {
        assert_eq!(subject(&at_once, path), log(path), "as git log says");
    }
}

#[test]
fn what_is_older_than_a_shallow_clone_is_credited_to_where_it_begins() {
    let mut repo = TestRepo::new();
    repo.commit("first", &[("manifests/a.yaml", Some("1"))]);
    repo.commit("second", &[("manifests/b.yaml", Some("1"))]);
    let url = format!("file://{}", repo.path().display());
    git(repo.home.path(), &["clone", "--quiet", "--depth=1", &url, "shallow"]);
    let mut options = repo.options();
    options.repo = repo.home.path().join("shallow").display().to_string();
    let snapshot = changed(arcology::act::source::Source::open(options).unwrap().poll(None, false).unwrap());
    assert_eq!(subject(&snapshot, "manifests/a.yaml"), "second");
}

#[test]
fn hostile_subjects_and_authors_are_shortened_and_cleaned() {
    let mut repo = TestRepo::new();
    repo.commit(&format!("\x1b]0;{}", "x".repeat(100_000)), &[("manifests/a.yaml", Some("1"))]);
    let snapshot = changed(repo.source().poll(None, false).unwrap());
    let subject = subject(&snapshot, "manifests/a.yaml");
    assert!(subject.chars().count() <= 120 && !subject.contains('\x1b'), "{subject}");
}

#[test]
fn a_trailer_confirms_what_was_removed_by_then_and_nothing_after_it() {
    let mut repo = TestRepo::new();
    let files: Vec<_> = ["a", "b", "c"].map(|name| (format!("manifests/{name}.yaml"), model(name, 1))).into();
    let all: Vec<_> = files.iter().map(|(path, content)| (path.as_str(), Some(content.as_str()))).collect();
    let mut applied = repo.commit("all", &all);
    let mut source = repo.source();
    changed(source.poll(None, false).unwrap());
    let (two, moved) = (model("b", 2), model("b", 1));
    let confirm = "tidy up\n\nprune: Confirm";
    type Step<'a> = (&'a str, &'a [(&'a str, Option<&'a str>)]);
    let cases: [(&[Step<'_>], bool); 5] = [
        (&[("remove", &[("manifests/a.yaml", None)])], false),
        (&[("only words\n\nPrune: confirm\n\nis not a trailer here", &[])], false),
        (&[(confirm, &[]), ("edit", &[("manifests/b.yaml", Some(&two))])], true),
        (&[(confirm, &[]), ("move", &[("manifests/b.yaml", None), ("policies/b.yaml", Some(&moved))])], true),
        (&[(confirm, &[("policies/b.yaml", None)]), ("one more", &[("manifests/c.yaml", None)])], false),
    ];
    for (number, (steps, expected)) in cases.into_iter().enumerate() {
        let before = applied.clone();
        for (message, changes) in steps {
            applied = repo.commit(message, changes);
        }
        let snapshot = changed(source.poll(Some(&before), false).unwrap());
        assert_eq!(snapshot.prune_confirmed, expected, "case {number}");
    }
}
