//! What a look costs, as ratios within one run.

use std::time::{Duration, Instant};

use arcology::act::source::{Poll, Stats};

use super::repo::{TestRepo, changed, git, model, raw_tree};

const MANIFESTS: usize = 10_000;

/// The shortest of several runs: what it costs when nothing else disturbs it.
fn shortest(runs: usize, mut run: impl FnMut()) -> Duration {
    (0..runs)
        .map(|_| {
            let begin = Instant::now();
            run();
            begin.elapsed()
        })
        .min()
        .unwrap_or_default()
}

#[test]
fn nothing_changed_costs_less_than_asking_git_and_one_change_less_than_reading_all() {
    let mut repo = TestRepo::new();
    let names: Vec<_> = (0..MANIFESTS).map(|n| format!("m{n:05}.yaml")).collect();
    let blob = |name: &str, tokens| repo.repo.blob(model(&name[..6], tokens).as_bytes()).unwrap();
    let ids: Vec<_> = names.iter().map(|name| blob(name, 1)).collect();
    let other = blob(&names[0], 2);
    let entries = names.iter().zip(&ids).map(|(name, id)| ("100644", name.as_bytes(), *id)).collect::<Vec<_>>();
    let tree = raw_tree(&repo.repo, &entries);
    let first = repo.commit_manifests_tree("all", "40000", tree);
    let mut source = repo.source();
    let begin = Instant::now();
    let snapshot = changed(source.poll(None, false).unwrap());
    let cold = begin.elapsed();
    assert_eq!((snapshot.stats.parsed, snapshot.commits.len()), (MANIFESTS, MANIFESTS));
    drop(snapshot);

    let idle = shortest(20, || assert!(matches!(source.poll(Some(&first), false).unwrap(), Poll::Unchanged)));
    let path = repo.path();
    let process = shortest(5, || drop(git(&path, &["rev-parse", "HEAD"])));
    assert!(idle < process, "a look took {idle:?}, git rev-parse {process:?}");

    let mut edited = entries.clone();
    edited[0].2 = other;
    let edited = raw_tree(&repo.repo, &edited);
    let second = repo.commit_manifests_tree("one", "40000", edited);
    let begin = Instant::now();
    let snapshot = changed(source.poll(Some(&first), false).unwrap());
    let one = begin.elapsed();
    assert_eq!(snapshot.stats, Stats { parsed: 1, reused: MANIFESTS - 1 });
    assert_eq!(snapshot.commits["manifests/m00000.yaml"].sha, second);
    assert!(one * 5 < cold, "one change took {one:?}, everything {cold:?}");
    println!("cold {cold:?}, one {one:?}, idle {idle:?}, git rev-parse {process:?}");
}
