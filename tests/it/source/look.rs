//! Looking at a local repository: what is new, what is held, what fails and how it goes on.

use arcology::act::source::{Error, Options, Poll, Reason, Source, Stats};
use arcology::core::CommitSha;

use super::repo::{TestRepo, changed, git, keys, model, problems};

#[test]
fn the_first_look_reads_everything_and_the_next_one_only_what_changed() {
    let mut repo = TestRepo::new();
    let (a, b) = (model("a", 1), model("b", 1));
    let first = repo.commit("two models", &[("manifests/a.yaml", Some(&a)), ("policies/deep/b.yml", Some(&b))]);
    let mut source = repo.source();
    assert_eq!(source.describe(), (repo.path().display().to_string(), "main".into()));

    let snapshot = changed(source.poll(None, false).unwrap());
    assert_eq!(keys(&snapshot), ["Model/a", "Model/b"]);
    assert_eq!(snapshot.stats, Stats { parsed: 2, reused: 0 });
    assert_eq!(snapshot.revision.to_string(), format!("main@sha1:{first}"));
    assert_eq!(snapshot.revision.commit.author, "Ada Example");
    assert!(snapshot.range.is_empty());
    assert!(matches!(source.poll(Some(&first), false).unwrap(), Poll::Unchanged));

    let second = repo.commit("longer", &[("manifests/a.yaml", Some(&model("a", 2))), ("README.md", Some("hello"))]);
    let after = changed(source.poll(Some(&first), false).unwrap());
    assert_eq!(after.stats, Stats { parsed: 1, reused: 1 });
    assert_eq!(after.range.iter().map(|commit| &commit.sha).collect::<Vec<_>>(), [&second]);
    assert!(std::sync::Arc::ptr_eq(&snapshot.files["policies/deep/b.yml"], &after.files["policies/deep/b.yml"]));

    let third = repo.commit("gone", &[("manifests/a.yaml", None)]);
    let last = changed(source.poll(Some(&second), false).unwrap());
    assert_eq!(keys(&last), ["Model/b"]);
    assert_eq!(last.stats, Stats { parsed: 0, reused: 1 });
    assert!(matches!(source.poll(Some(&third), false).unwrap(), Poll::Unchanged));
}

#[test]
fn a_revision_that_was_not_applied_is_offered_again_and_so_is_the_one_in_force_after_a_restart() {
    let mut repo = TestRepo::new();
    let first = repo.commit("one", &[("manifests/a.yaml", Some(&model("a", 1)))]);
    let mut source = repo.source();
    changed(source.poll(None, false).unwrap());
    changed(source.poll(None, false).unwrap());
    assert!(matches!(source.poll(Some(&first), false).unwrap(), Poll::Unchanged));

    let snapshot = changed(repo.source().poll(Some(&first), false).unwrap());
    assert_eq!(keys(&snapshot), ["Model/a"]);
    assert!(snapshot.range.is_empty());
}

#[test]
fn only_manifest_files_in_the_four_folders_are_read_and_cases_in_json_are_data() {
    let mut repo = TestRepo::new();
    let set = "apiVersion: arcology/v1alpha1\nkind: Model\nmetadata: {name: x}\n";
    let json = serde_json::json!({"apiVersion": "arcology/v1alpha1", "kind": "Model", "metadata": {"name": "json"},
        "spec": {"type": "llm", "servedBy": [{"runtime": "swap", "as": "x"}]}})
    .to_string();
    repo.commit(
        "many",
        &[
            ("other/a.yaml", Some(&model("other", 1))),
            ("a.yaml", Some(&model("root", 1))),
            ("manifests/notes.md", Some("# notes")),
            ("manifests/.hidden.yaml", Some(&model("hidden", 1))),
            ("blueprints/b.json", Some(&json)),
            ("goldensets/cases.json", Some(r#"[{"id": "1", "input": "x"}]"#)),
            ("goldensets/cases.jsonl", Some(r#"{"id": "1"}"#)),
            ("goldensets/typo.json", Some("[{]")),
            ("goldensets/broken.yaml", Some(set)),
            ("manifests/list.json", Some("[]")),
        ],
    );
    let snapshot = changed(repo.source().poll(None, false).unwrap());
    assert_eq!(keys(&snapshot), ["Model/hidden", "Model/json"]);
    let paths: Vec<_> = snapshot.files.keys().map(|path| &**path).collect();
    assert_eq!(
        paths,
        [
            "blueprints/b.json",
            "goldensets/broken.yaml",
            "goldensets/typo.json",
            "manifests/.hidden.yaml",
            "manifests/list.json"
        ]
    );
    for there in ["goldensets/cases.jsonl", "other/a.yaml", "manifests/notes.md"] {
        assert!(snapshot.paths.exists(there), "{there}");
    }
    for not_there in ["goldensets", "manifests/../a.yaml", "/etc/passwd", "nothing"] {
        assert!(!snapshot.paths.exists(not_there), "{not_there}");
    }
}

#[test]
fn a_rewritten_history_is_held_until_it_is_accepted() {
    let mut repo = TestRepo::new();
    repo.commit("base", &[("manifests/a.yaml", Some(&model("a", 1)))]);
    let base = repo.oid("main");
    let old = repo.commit("old", &[("manifests/b.yaml", Some(&model("b", 1)))]);
    let mut source = repo.source();
    changed(source.poll(None, false).unwrap());

    let new = repo.commit_on(&[base], "new", &[("manifests/c.yaml", Some(&model("c", 1)))]);
    repo.set_branch("main", new);
    for _ in 0..2 {
        let Poll::Held(held) = source.poll(Some(&old), false).unwrap() else { panic!("it is held") };
        assert_eq!(held.reason, Reason::NotFastForward);
        assert_eq!(held.revision.commit.sha, CommitSha::new(&new.to_string()));
        assert!(held.message.contains(old.short()) && held.help.contains("--accept"), "{held:?}");
    }
    let in_force = source.snapshot_at(old.as_str()).unwrap();
    assert_eq!(keys(&in_force), ["Model/a", "Model/b"]);
    let accepted = changed(source.poll(Some(&old), true).unwrap());
    assert_eq!(keys(&accepted), ["Model/a", "Model/c"]);
    assert_eq!(accepted.range.len(), 1);

    let unknown = CommitSha::new("0123456789012345678901234567890123456789");
    let Poll::Held(held) = source.poll(Some(&unknown), false).unwrap() else { panic!("it is held") };
    assert!(held.message.contains("not in the repository any more"), "{held:?}");
}

#[test]
fn a_branch_that_goes_away_is_an_error_and_its_return_is_noticed() {
    let mut repo = TestRepo::new();
    let mut source = repo.source();
    let error = source.poll(None, false).unwrap_err();
    assert!(matches!(error, Error::Unborn { .. }) && error.reason() == Reason::BranchMissing, "{error}");

    let first = repo.commit("one", &[("manifests/a.yaml", Some(&model("a", 1)))]);
    changed(source.poll(None, false).unwrap());
    let id = repo.oid("main");
    repo.set_branch("kept", id);
    repo.repo.set_head("refs/heads/kept").unwrap();
    repo.repo.find_reference("refs/heads/main").unwrap().delete().unwrap();
    let error = source.poll(Some(&first), false).unwrap_err();
    assert!(matches!(error, Error::BranchMissing { .. }), "{error}");
    assert!(error.help().unwrap().contains("main"));

    repo.set_branch("main", id);
    assert!(matches!(source.poll(Some(&first), false).unwrap(), Poll::Unchanged));
}

#[test]
fn a_repository_that_is_not_there_yet_may_come_later() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("later");
    let mut source = Source::open(Options::new(path.to_str().unwrap(), home.path().join("state"))).unwrap();
    let error = source.poll(None, false).unwrap_err();
    assert_eq!(error.reason(), Reason::Unreachable, "{error}");
    std::fs::create_dir(&path).unwrap();
    git(&path, &["init", "--quiet", "--initial-branch=main"]);
    std::fs::create_dir(path.join("manifests")).unwrap();
    std::fs::write(path.join("manifests/a.yaml"), model("a", 1)).unwrap();
    git(&path, &["add", "."]);
    git(&path, &["commit", "--quiet", "-m", "one"]);
    assert_eq!(keys(&changed(source.poll(None, false).unwrap())), ["Model/a"]);

    git(&path, &["gc", "--quiet"]);
    git(&path, &["pack-refs", "--all"]);
    std::fs::write(path.join("manifests/a.yaml"), model("b", 1)).unwrap();
    git(&path, &["commit", "--quiet", "-am", "two"]);
    git(&path, &["pack-refs", "--all"]);
    git(&path, &["repack", "-adq"]);
    assert_eq!(keys(&changed(source.poll(None, false).unwrap())), ["Model/b"]);
}

#[test]
fn a_damaged_object_stops_the_new_revision_and_leaves_the_old_one_readable() {
    let mut repo = TestRepo::new();
    let first = repo.commit("one", &[("manifests/a.yaml", Some(&model("a", 1)))]);
    let mut source = repo.source();
    changed(source.poll(None, false).unwrap());
    let second = repo.commit("two", &[("manifests/b.yaml", Some(&model("b", 1)))]);
    let content = repo.repo.blob(model("b", 1).as_bytes()).unwrap();
    repo.destroy(content);
    let error = source.poll(Some(&first), false).unwrap_err();
    assert_eq!(error.reason(), Reason::Corrupt, "{error}");
    assert!(error.to_string().contains("manifests/b.yaml"), "{error}");
    assert_eq!(keys(&source.snapshot_at(first.as_str()).unwrap()), ["Model/a"]);

    repo.repo.blob(model("b", 1).as_bytes()).unwrap();
    assert_eq!(keys(&changed(source.poll(Some(&first), false).unwrap())), ["Model/a", "Model/b"]);
    repo.destroy(repo.oid(&format!("{second}^{{tree}}")));
    let error = repo.source().poll(None, false).unwrap_err();
    assert_eq!(error.reason(), Reason::Corrupt, "{error}");
}

#[test]
fn any_revision_can_be_read_without_touching_what_is_followed() {
    let mut repo = TestRepo::new();
    let first = repo.commit("one", &[("manifests/a.yaml", Some(&model("a", 1)))]);
    let second = repo.commit("two", &[("manifests/b.yaml", Some(&model("b", 1)))]);
    repo.set_branch("feature/x", repo.oid("HEAD~1"));
    let mut source = repo.source();
    changed(source.poll(None, false).unwrap());
    let before = source.snapshot_at("HEAD~1").unwrap();
    assert_eq!(keys(&before), ["Model/a"]);
    assert_eq!(before.revision.commit.sha, first);
    assert_eq!(before.revision.branch, "main");
    assert_eq!(source.snapshot_at("feature/x").unwrap().revision.to_string(), format!("feature/x@sha1:{first}"));
    assert_eq!(keys(&source.snapshot_at(second.short()).unwrap()), ["Model/a", "Model/b"]);
    assert!(matches!(source.poll(Some(&second), false).unwrap(), Poll::Unchanged));
    for missing in ["nothing", "HEAD~9", "refs/../x", "HEAD:manifests/a.yaml", ""] {
        let error = source.snapshot_at(missing).unwrap_err();
        assert!(matches!(error, Error::RevisionMissing { .. }), "{missing}: {error}");
    }
}

#[test]
fn a_detached_checkout_can_be_read_but_not_followed() {
    let mut repo = TestRepo::new();
    repo.commit("one", &[("manifests/a.yaml", Some(&model("a", 1)))]);
    repo.repo.set_head_detached(repo.oid("main")).unwrap();
    let mut source = repo.source();
    let error = source.poll(None, false).unwrap_err();
    assert!(matches!(error, Error::Detached { .. }), "{error}");
    assert_eq!(keys(&source.snapshot_at("HEAD").unwrap()), ["Model/a"]);
    assert_eq!(keys(&source.worktree_snapshot().unwrap()), Vec::<String>::new());

    let mut options = repo.options();
    options.branch = Some("main".into());
    changed(Source::open(options).unwrap().poll(None, false).unwrap());
}

#[test]
fn bare_repositories_and_linked_worktrees_are_followed() {
    let mut repo = TestRepo::new();
    repo.commit("one", &[("manifests/a.yaml", Some(&model("a", 1)))]);
    let home = repo.home.path().to_owned();
    git(&home, &["clone", "--quiet", "--bare", "repo", "bare.git"]);
    git(&repo.path(), &["worktree", "add", "--quiet", "-b", "side", "../linked"]);
    for (path, branch) in [("bare.git", "main"), ("linked", "side")] {
        let path = home.join(path);
        let mut source = Source::open(Options::new(path.to_str().unwrap(), home.join("state"))).unwrap();
        let snapshot = changed(source.poll(None, false).unwrap());
        assert_eq!((keys(&snapshot), snapshot.revision.branch.as_str()), (vec!["Model/a".to_owned()], branch));
        assert!(snapshot.paths.exists("manifests/a.yaml"));
    }
}

#[test]
fn a_file_of_a_commit_is_read_whole_or_not_at_all() {
    let mut repo = TestRepo::new();
    let sha = repo.commit("one", &[("samples/board.txt", Some("twelve bytes")), ("samples/b/c", Some("x"))]);
    let mut source = repo.source();
    changed(source.poll(None, false).unwrap());
    assert_eq!(source.read_file(&sha, "samples/board.txt", 12).unwrap(), b"twelve bytes");
    let error = source.read_file(&sha, "samples/board.txt", 11).unwrap_err();
    assert!(matches!(error, Error::FileTooLarge { bytes: 12, bytes_max: 11, .. }), "{error}");
    let error = source.read_file(&sha, "samples/b", 100).unwrap_err();
    assert!(matches!(error, Error::NotAFile { .. }), "{error}");
    for missing in ["samples/none", "../repo/.git/config", "/etc/passwd", "samples/board.txt/x"] {
        let error = source.read_file(&sha, missing, 100).unwrap_err();
        assert!(matches!(error, Error::FileMissing { .. }), "{missing}: {error}");
    }
}

#[test]
fn options_that_can_never_work_are_refused_at_once() {
    let home = tempfile::tempdir().unwrap();
    let open = |change: &dyn Fn(&mut Options)| {
        let mut options = Options::new("https://git.example.org/state.git", home.path());
        change(&mut options);
        Source::open(options).err().map(|error| error.to_string()).unwrap_or_default()
    };
    assert_eq!(open(&|_| {}), "");
    assert!(open(&|options| options.branch = Some("--upload-pack=x".into())).contains("branch name"));
    assert!(open(&|options| options.branch = Some("a..b".into())).contains("branch name"));
    assert!(open(&|options| options.worktree = true).contains("--worktree"));
    assert!(open(&|options| options.repo = "https://u:pw@git.example.org/x".into()).contains("user name or token"));
}

#[test]
fn a_repository_of_somebody_else_is_refused_with_what_to_do() {
    let mut repo = TestRepo::new();
    repo.commit("one", &[]);
    // Only root can give a repository away; elsewhere there is nothing to test.
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let somebody = Some(rustix::process::Uid::from_raw(12_345));
    for path in [repo.path(), repo.path().join(".git")] {
        rustix::fs::chown(&path, somebody, None).unwrap();
    }
    let error = repo.source().poll(None, false).unwrap_err();
    assert!(matches!(error, Error::Owner { .. }), "{error}");
    assert!(error.help().unwrap().contains("safe.directory"));
}

#[test]
fn a_broken_manifest_is_one_problem_of_its_own() {
    let mut repo = TestRepo::new();
    let files = [("manifests/a.yaml", Some("kind: [")), ("manifests/b.yaml", Some("kind: Model\nspec: 1\n"))];
    repo.commit("bad", &files);
    repo.commit("good", &[("manifests/c.yaml", Some(&model("c", 1)))]);
    let snapshot = changed(repo.source().poll(None, false).unwrap());
    assert_eq!(keys(&snapshot), ["Model/c"]);
    assert!(problems(&snapshot).len() >= 2, "{:?}", problems(&snapshot));
}
