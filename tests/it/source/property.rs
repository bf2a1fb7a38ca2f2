//! Reading step by step gives what reading at once gives, whatever was edited.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::repo::{TestRepo, changed, model};

const PATHS: [&str; 9] = [
    "manifests/a.yaml",
    "manifests/a/b.yaml",
    "manifests/a-b/c.yaml",
    "manifests/a.b/c.json",
    "policies/x.yml",
    "goldensets/cases.json",
    "goldensets/y.json",
    "README.md",
    "blueprints/z/z/z.yaml",
];

fn content(path: &str, version: u32) -> String {
    match version % 5 {
        0 => "[]".into(),
        1 => "{\"kind\": 1}".into(),
        2 => "kind: [".into(),
        _ => model(&format!("m{}", path.len()), version),
    }
}

/// Commits of edits: which file, and its new content; none removes it.
fn history() -> impl Strategy<Value = Vec<Vec<(usize, Option<u32>)>>> {
    let edit = (0..PATHS.len(), prop::option::weighted(0.7, 0_u32..12));
    prop::collection::vec(prop::collection::vec(edit, 1..5), 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn stepwise_is_at_once(commits in history()) {
        let mut repo = TestRepo::new();
        let mut source = repo.source();
        let mut applied = None;
        let mut there = [false; PATHS.len()];
        for (number, edits) in commits.iter().enumerate() {
            let last: BTreeMap<usize, Option<u32>> = edits.iter().copied().collect();
            let contents: Vec<_> = last.iter().map(|(path, version)| (*path, version.map(|version| content(PATHS[*path], version)))).collect();
            let changes: Vec<_> = contents
                .iter()
                .filter(|(path, content)| content.is_some() || there[*path])
                .map(|(path, content)| (PATHS[*path], content.as_deref()))
                .collect();
            for (path, content) in &contents {
                there[*path] = content.is_some();
            }
            repo.commit(&number.to_string(), &changes);
            let stepwise = changed(source.poll(applied.as_ref(), false).unwrap());
            let at_once = changed(repo.source().poll(None, false).unwrap());
            prop_assert_eq!(&stepwise.files, &at_once.files);
            prop_assert_eq!(&stepwise.commits, &at_once.commits);
            applied = Some(stepwise.revision.commit.sha);
        }
    }
}
