//! Being woken by what git really does.

use std::time::Duration;

use arcology::act::source::{Options, Source, Wake, Watcher};

use super::repo::{TestRepo, changed, git, model};

/// Longer than any test may take: a wake that is not a notification fails the test instead of passing it.
const NEVER: Duration = Duration::from_secs(100_000);
const DEADLINE: Duration = Duration::from_secs(20);

async fn noticed(watcher: &mut Watcher) {
    let wake = tokio::time::timeout(DEADLINE, watcher.changed()).await.expect("a notification comes");
    assert_eq!(wake, Wake::Noticed);
}

/// Waits until the burst of notifications of something is over, however many wakes that takes.
async fn drain(watcher: &mut Watcher) {
    while tokio::time::timeout(Duration::from_millis(150), watcher.changed()).await.is_ok() {}
}

fn commit(folder: &std::path::Path, name: &str) {
    std::fs::create_dir_all(folder.join("manifests")).unwrap();
    std::fs::write(folder.join(format!("manifests/{name}.yaml")), model(name, 1)).unwrap();
    git(folder, &["add", "."]);
    git(folder, &["commit", "--quiet", "-m", name]);
}

fn watcher(source: &Source) -> Watcher {
    let watcher = Watcher::new(source.places(), NEVER);
    assert_eq!(watcher.problem(), None);
    watcher
}

#[tokio::test]
async fn a_commit_a_new_branch_and_packed_refs_wake() {
    let repo = TestRepo::new();
    let mut source = repo.source();
    let mut watcher = watcher(&source);
    commit(&repo.path(), "first");
    noticed(&mut watcher).await;
    changed(source.poll(None, false).unwrap());
    drain(&mut watcher).await;

    git(&repo.path(), &["branch", "feature/deep/er"]);
    noticed(&mut watcher).await;
    drain(&mut watcher).await;
    git(&repo.path(), &["pack-refs", "--all"]);
    noticed(&mut watcher).await;
    drain(&mut watcher).await;
    git(&repo.path(), &["commit", "--quiet", "--allow-empty", "-m", "after packing"]);
    noticed(&mut watcher).await;
}

#[tokio::test]
async fn linked_worktrees_and_bare_repositories_wake() {
    let repo = TestRepo::new();
    commit(&repo.path(), "first");
    let home = repo.home.path().to_owned();
    git(&repo.path(), &["worktree", "add", "--quiet", "-b", "side", "../linked"]);
    git(&home, &["clone", "--quiet", "--bare", "repo", "bare.git"]);
    let open = |path: &str| Source::open(Options::new(home.join(path).to_str().unwrap(), home.join("state"))).unwrap();
    let mut linked = watcher(&open("linked"));
    commit(&home.join("linked"), "second");
    noticed(&mut linked).await;
    let mut bare = watcher(&open("bare.git"));
    git(&repo.path(), &["push", "--quiet", "../bare.git", "side:main"]);
    noticed(&mut bare).await;
}

#[tokio::test]
async fn files_wake_when_they_are_followed_also_in_a_folder_that_comes_later() {
    let repo = TestRepo::new();
    let mut options = repo.options();
    options.worktree = true;
    let mut watcher = watcher(&Source::open(options).unwrap());
    std::fs::create_dir(repo.path().join("policies")).unwrap();
    noticed(&mut watcher).await;
    drain(&mut watcher).await;
    std::fs::write(repo.path().join("policies/a.yaml"), model("a", 1)).unwrap();
    noticed(&mut watcher).await;
}

#[tokio::test]
async fn a_repository_that_is_replaced_is_watched_again_from_the_next_interval_on() {
    let repo = TestRepo::new();
    commit(&repo.path(), "first");
    let mut watcher = Watcher::new(repo.source().places(), Duration::from_millis(300));
    std::fs::rename(repo.path(), repo.home.path().join("old")).unwrap();
    git(repo.home.path(), &["clone", "--quiet", "old", "repo"]);
    // The old one is watched until then, so that what is written there cannot be mistaken for the new one's.
    while watcher.changed().await != Wake::Due {}
    commit(&repo.path(), "second");
    let wake = tokio::time::timeout(DEADLINE, async { while watcher.changed().await != Wake::Noticed {} });
    wake.await.expect("the new repository is watched");
}

#[tokio::test]
async fn where_nothing_can_be_watched_the_interval_still_wakes_and_the_problem_is_told() {
    let repo = TestRepo::new();
    let places = repo.source().places();
    std::fs::rename(repo.path(), repo.home.path().join("away")).unwrap();
    let mut watcher = Watcher::new(places, Duration::from_millis(30));
    assert!(watcher.problem().is_some_and(|problem| problem.contains("looking every")), "{:?}", watcher.problem());
    assert_eq!(watcher.changed().await, Wake::Due);
    std::fs::rename(repo.home.path().join("away"), repo.path()).unwrap();
    tokio::time::timeout(DEADLINE, async {
        while watcher.problem().is_some() {
            watcher.changed().await;
        }
    })
    .await
    .expect("it recovers");
}

#[tokio::test(start_paused = true)]
async fn a_remote_is_looked_at_every_interval_give_or_take_a_tenth() {
    let home = tempfile::tempdir().unwrap();
    let source = Source::open(Options::new("https://git.example.org/state.git", home.path())).unwrap();
    let interval = Duration::from_secs(10);
    let mut watcher = Watcher::new(source.places(), interval);
    for _ in 0..50 {
        let begin = tokio::time::Instant::now();
        assert_eq!(watcher.changed().await, Wake::Due);
        let waited = begin.elapsed();
        assert!((interval * 9 / 10..=interval * 11 / 10 + Duration::from_millis(2)).contains(&waited), "{waited:?}");
    }
}
