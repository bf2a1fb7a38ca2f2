//! Files as they are on disk, with and without a repository.

use std::os::unix::fs::symlink;

use arcology::act::source::{Error, Options, Poll, Source, Stats, snapshot_of_dir};

use super::repo::{TestRepo, changed, git, keys, model, problems};

fn write(folder: &std::path::Path, path: &str, content: &str) {
    let path = folder.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

#[test]
fn uncommitted_files_count_and_ignored_ones_do_not_unless_they_are_tracked() {
    let repo = TestRepo::new();
    let root = repo.path();
    write(&root, "manifests/tracked.yaml", &model("tracked", 1));
    git(&root, &["add", "."]);
    write(&root, ".gitignore", "tracked.yaml\nmanifests/local/\n*.tmp.yaml\n");
    write(&root, "manifests/new.yaml", &model("new", 1));
    write(&root, "manifests/local/a.yaml", &model("local", 1));
    write(&root, "manifests/x.tmp.yaml", &model("temporary", 1));
    let mut options = repo.options();
    options.worktree = true;
    let mut source = Source::open(options).unwrap();
    let snapshot = changed(source.poll(None, false).unwrap());
    assert_eq!(keys(&snapshot), ["Model/new", "Model/tracked"]);
    assert_eq!(snapshot.revision.branch, "worktree");
    assert!(snapshot.paths.exists("manifests/new.yaml") && !snapshot.paths.exists("manifests/none.yaml"));
    let applied = snapshot.revision.commit.sha.clone();
    assert!(matches!(source.poll(Some(&applied), false).unwrap(), Poll::Unchanged));

    write(&root, "manifests/new.yaml", &model("new", 2));
    let snapshot = changed(source.poll(Some(&applied), false).unwrap());
    assert_ne!(snapshot.revision.commit.sha, applied);
    assert_eq!(snapshot.stats, Stats { parsed: 1, reused: 1 });
    let content = source.read_file(&snapshot.revision.commit.sha, "manifests/new.yaml", 1_000).unwrap();
    assert_eq!(content, model("new", 2).into_bytes());
    std::fs::remove_file(root.join("manifests/new.yaml")).unwrap();
    let snapshot = changed(source.poll(Some(&snapshot.revision.commit.sha), false).unwrap());
    assert_eq!(keys(&snapshot), ["Model/tracked"]);
}

#[test]
fn files_on_disk_can_be_read_beside_a_followed_branch() {
    let mut repo = TestRepo::new();
    let applied = repo.commit("one", &[("manifests/a.yaml", Some(&model("a", 1)))]);
    let mut source = repo.source();
    changed(source.poll(None, false).unwrap());
    write(&repo.path(), "manifests/a.yaml", &model("a", 1));
    write(&repo.path(), "policies/b.yaml", &model("b", 1));
    let snapshot = source.worktree_snapshot().unwrap();
    assert_eq!(keys(&snapshot), ["Model/a", "Model/b"]);
    assert_eq!(snapshot.stats, Stats { parsed: 1, reused: 1 });
    assert!(matches!(source.poll(Some(&applied), false).unwrap(), Poll::Unchanged));
}

#[test]
fn a_folder_without_a_repository_is_read_and_says_so() {
    let home = tempfile::tempdir().unwrap();
    write(home.path(), "manifests/a.yaml", &model("a", 1));
    write(home.path(), "other/b.yaml", &model("b", 1));
    let snapshot = snapshot_of_dir(home.path()).unwrap();
    assert_eq!(keys(&snapshot), ["Model/a"]);
    assert!(snapshot.revision.commit.subject.starts_with("no repository"), "{:?}", snapshot.revision);

    let inner = snapshot_of_dir(&home.path().join("other")).unwrap();
    assert_eq!(inner.files.keys().map(|path| &**path).collect::<Vec<_>>(), ["b.yaml"]);
    let one = snapshot_of_dir(&home.path().join("other/b.yaml")).unwrap();
    assert_eq!(keys(&one), ["Model/b"]);
    assert!(matches!(snapshot_of_dir(&home.path().join("none")), Err(Error::Io { .. })));

    let mut options = Options::new(home.path().to_str().unwrap(), home.path().join("state"));
    options.worktree = true;
    assert_eq!(keys(&changed(Source::open(options).unwrap().poll(None, false).unwrap())), ["Model/a"]);
}

#[test]
fn links_pipes_and_huge_files_on_disk_are_reported_and_never_opened() {
    let home = tempfile::tempdir().unwrap();
    let root = home.path().join("root");
    write(home.path(), "outside/secret.yaml", &model("secret", 1));
    write(&root, "manifests/good.yaml", &model("good", 1));
    symlink(home.path().join("outside/secret.yaml"), root.join("manifests/link.yaml")).unwrap();
    symlink(home.path().join("outside"), root.join("manifests/folder")).unwrap();
    symlink(home.path().join("outside"), root.join("policies")).unwrap();
    write(&root, "blueprints", "a file");
    let huge = std::fs::File::create(root.join("manifests/huge.yaml")).unwrap();
    huge.set_len(5 << 30).unwrap();
    let pipe = std::process::Command::new("mkfifo").arg(root.join("manifests/pipe.yaml")).status().unwrap();
    assert!(pipe.success());
    let snapshot = snapshot_of_dir(&root).unwrap();
    assert_eq!(keys(&snapshot), ["Model/good"]);
    insta::assert_snapshot!(problems(&snapshot).join("\n"), @r"
    blueprints: ARC504 this is a file, and a folder of manifests belongs here
    manifests/folder: ARC110 this is a symbolic link, and links are not followed
    manifests/huge.yaml: ARC101 the file has 5368709120 bytes; at most 1048576 are read
    manifests/link.yaml: ARC110 this is a symbolic link, and links are not followed
    manifests/pipe.yaml: ARC504 this is a pipe, socket or device, and a file belongs here
    policies: ARC110 this is a symbolic link, and links are not followed
    ");
    for inside_a_link in ["policies/secret.yaml", "manifests/link.yaml", "manifests/pipe.yaml"] {
        assert!(!snapshot.paths.exists(inside_a_link), "{inside_a_link}");
    }
}

#[test]
fn a_bare_repository_has_no_files_on_disk() {
    let repo = TestRepo::new();
    git(repo.home.path(), &["clone", "--quiet", "--bare", "repo", "bare.git"]);
    let mut options = repo.options();
    options.repo = repo.home.path().join("bare.git").display().to_string();
    options.worktree = true;
    let error = Source::open(options).unwrap().poll(None, false).unwrap_err();
    assert!(matches!(error, Error::Options { .. }), "{error}");
}
