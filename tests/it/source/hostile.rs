//! Repositories that mean harm: every trick costs its own file and nothing else.

use arcology::act::source::Error;
use arcology::act::source::options::{DEPTH_MAX, MANIFESTS_MAX};
use git2::Oid;

use super::repo::{TestRepo, changed, git, keys, model, problems, raw_tree};

#[test]
fn links_submodules_and_bad_names_are_reported_where_they_stand_and_nothing_else_stops() {
    let mut repo = TestRepo::new();
    let good = repo.repo.blob(model("good", 1).as_bytes()).unwrap();
    let link = repo.repo.blob(b"/etc/passwd").unwrap();
    let inside = repo.repo.blob(b"good.yaml").unwrap();
    let submodule = Oid::from_str("00112233445566778899aabbccddeeff00112233").unwrap();
    let below = raw_tree(&repo.repo, &[("100644", b"x.yaml", good)]);
    let tree = raw_tree(
        &repo.repo,
        &[
            ("40000", b"..", below),
            ("100644", b"a/../b.yaml", good),
            ("120000", b"folder-link", link),
            ("100644", b"good.yaml", good),
            ("100644", b"latin\xe9.yaml", good),
            ("100644", b"line\nbreak.yaml", good),
            ("120000", b"link-inside.yaml", inside),
            ("120000", b"link.yaml", link),
            ("120000", b"readme-link.md", inside),
            ("160000", b"sub", submodule),
        ],
    );
    repo.commit_manifests_tree("hostile", "40000", tree);
    let snapshot = changed(repo.source().poll(None, false).unwrap());
    assert_eq!(keys(&snapshot), ["Model/good"]);
    let problems = problems(&snapshot);
    insta::assert_snapshot!(problems.join("\n"), @r"
    manifests/\x2e\x2e: ARC501 the name means a place outside of its folder
    manifests/a\x2f..\x2fb.yaml: ARC501 the name has a slash or backslash in it
    manifests/folder-link: ARC110 this is a symbolic link, and links are not followed
    manifests/latin\xe9.yaml: ARC501 the name is not UTF-8
    manifests/line\x0abreak.yaml: ARC501 the name has a control character in it
    manifests/link-inside.yaml: ARC110 this is a symbolic link, and links are not followed
    manifests/link.yaml: ARC110 this is a symbolic link, and links are not followed
    manifests/sub: ARC111 this is a submodule, and submodules are not read
    ");
    let sha = snapshot.revision.commit.sha.clone();
    let mut source = repo.source();
    changed(source.poll(None, false).unwrap());
    assert!(matches!(source.read_file(&sha, "manifests/link.yaml", 100), Err(Error::NotAFile { .. })));
    assert!(!snapshot.paths.exists("manifests/link.yaml"));
}

#[test]
fn a_folder_of_manifests_that_is_something_else_is_one_problem() {
    let mut repo = TestRepo::new();
    let file = repo.repo.blob(b"x").unwrap();
    for (mode, code) in [("100644", "ARC504"), ("120000", "ARC110")] {
        repo.commit_manifests_tree(mode, mode, file);
        let problems = problems(&changed(repo.source().poll(None, false).unwrap()));
        assert!(problems.len() == 1 && problems[0].starts_with(&format!("manifests: {code}")), "{problems:?}");
    }
}

#[test]
fn a_huge_file_is_refused_by_its_size_without_being_read() {
    let mut repo = TestRepo::new();
    let mut huge = "#".repeat(100 << 20);
    huge.push_str(&model("huge", 1));
    repo.commit("huge", &[("manifests/huge.yaml", Some(&huge)), ("manifests/a.yaml", Some(&model("a", 1)))]);
    let snapshot = changed(repo.source().poll(None, false).unwrap());
    assert_eq!(keys(&snapshot), ["Model/a"]);
    let problems = problems(&snapshot);
    assert!(problems.len() == 1 && problems[0].starts_with("manifests/huge.yaml: ARC101"), "{problems:?}");
}

#[test]
fn deep_folders_end_and_a_tree_that_repeats_itself_is_bounded() {
    let mut repo = TestRepo::new();
    let file = repo.repo.blob(model("deep", 1).as_bytes()).unwrap();
    let mut tree = raw_tree(&repo.repo, &[("100644", b"a.yaml", file)]);
    for _ in 0..DEPTH_MAX + 5 {
        tree = raw_tree(&repo.repo, &[("40000", b"d", tree)]);
    }
    let top = raw_tree(&repo.repo, &[("100644", b"a.yaml", file), ("40000", b"d", tree)]);
    repo.commit_manifests_tree("deep", "40000", top);
    let mut source = repo.source();
    let snapshot = changed(source.poll(None, false).unwrap());
    assert_eq!(keys(&snapshot), ["Model/deep"]);
    assert!(problems(&snapshot)[0].contains("ARC503"), "{:?}", problems(&snapshot));

    let mut bomb = raw_tree(&repo.repo, &[("100644", b"a.yaml", file)]);
    for _ in 0..12 {
        let names: Vec<_> = (b'a'..=b'j').map(|letter| [letter]).collect();
        let entries: Vec<_> = names.iter().map(|name| ("40000", &name[..], bomb)).collect();
        bomb = raw_tree(&repo.repo, &entries);
    }
    repo.commit_manifests_tree("bomb", "40000", bomb);
    let in_force = snapshot.revision.commit.sha;
    let error = source.poll(Some(&in_force), false).unwrap_err();
    assert!(matches!(error, Error::TooManyEntries { .. }), "{error}");
    assert_eq!(keys(&source.snapshot_at(in_force.as_str()).unwrap()), ["Model/deep"]);
}

#[test]
fn beyond_the_limit_every_file_is_reported_and_the_first_ones_are_read() {
    let mut repo = TestRepo::new();
    let ids: Vec<_> = (0..3).map(|n| repo.repo.blob(model(&format!("m{n}"), 1).as_bytes()).unwrap()).collect();
    let data = repo.repo.blob(b"# nothing but a remark\n").unwrap();
    let names: Vec<_> = (0..100_000).map(|n| format!("f{n:06}.yaml")).collect();
    let manifests = |count: usize| {
        let first = [("100644", &b"a.yaml"[..], ids[0])];
        let rest = names[..count].iter().map(|name| ("100644", name.as_bytes(), data));
        let last = [("100644", &b"y.yaml"[..], ids[1]), ("100644", &b"z.yaml"[..], ids[2])];
        first.into_iter().chain(rest).chain(last).collect::<Vec<_>>()
    };
    let full = raw_tree(&repo.repo, &manifests(MANIFESTS_MAX - 3));
    let fits = repo.commit_manifests_tree("fits", "40000", full);
    let mut source = repo.source();
    let snapshot = changed(source.poll(None, false).unwrap());
    assert_eq!(keys(&snapshot), ["Model/m0", "Model/m1", "Model/m2"]);

    let over = raw_tree(&repo.repo, &manifests(100_000));
    let too_many = repo.commit_manifests_tree("too many", "40000", over);
    let snapshot = changed(source.poll(Some(&fits), false).unwrap());
    assert_eq!(keys(&snapshot), ["Model/m0"]);
    assert!(snapshot.stats.reused > MANIFESTS_MAX - 10, "{:?}", snapshot.stats);
    let over_limit: Vec<_> = problems(&snapshot).into_iter().filter(|problem| problem.contains("ARC502")).collect();
    assert_eq!(over_limit.len(), 100_003 - MANIFESTS_MAX);
    assert!(over_limit.last().unwrap().starts_with("manifests/z.yaml"), "{:?}", over_limit.last());
    assert_eq!(snapshot.files, changed(repo.source().poll(None, false).unwrap()).files);

    repo.commit_manifests_tree("fits again", "40000", full);
    let snapshot = changed(source.poll(Some(&too_many), false).unwrap());
    assert_eq!(keys(&snapshot), ["Model/m0", "Model/m1", "Model/m2"]);
    assert_eq!(snapshot.files, changed(repo.source().poll(None, false).unwrap()).files);
}

#[test]
fn a_tree_out_of_order_reads_the_same_step_by_step_and_at_once() {
    let mut repo = TestRepo::new();
    let ids: Vec<_> = (0..3).map(|n| repo.repo.blob(model(&format!("m{n}"), 1).as_bytes()).unwrap()).collect();
    let entry = |name: &'static str, n: usize| ("100644", name.as_bytes(), ids[n]);
    let trees = [
        vec![entry("a.yaml", 0), entry("b.yaml", 1)],
        vec![entry("b.yaml", 1), entry("a.yaml", 0), entry("b.yaml", 2)],
        vec![entry("c.yaml", 2), entry("b.yaml", 1), entry("a.yaml", 1)],
        vec![entry("a.yaml", 0), entry("b.yaml", 1), entry("a.yaml", 0)],
        vec![entry("a.yaml", 0), entry("b.yaml", 1)],
        vec![entry("a.yaml", 0)],
    ];
    let mut source = repo.source();
    let mut applied = None;
    for (step, entries) in trees.iter().enumerate() {
        let tree = raw_tree(&repo.repo, entries);
        repo.commit_manifests_tree(&step.to_string(), "40000", tree);
        let snapshot = changed(source.poll(applied.as_ref(), false).unwrap());
        assert_eq!(snapshot.files, changed(repo.source().poll(None, false).unwrap()).files, "step {step}");
        applied = Some(snapshot.revision.commit.sha);
    }
}

#[test]
fn settings_of_the_repository_run_nothing() {
    let mut repo = TestRepo::new();
    repo.commit("one", &[("manifests/a.yaml", Some(&model("a", 1)))]);
    let trap = repo.home.path().join("trap");
    let command = format!("touch {}", trap.display());
    for key in ["core.fsmonitor", "core.sshCommand", "gpg.program", "gpg.ssh.program", "core.askPass", "core.pager"] {
        git(&repo.path(), &["config", key, &command]);
    }
    let mut source = repo.source();
    changed(source.poll(None, false).unwrap());
    source.worktree_snapshot().unwrap();
    assert!(!trap.exists());
}
