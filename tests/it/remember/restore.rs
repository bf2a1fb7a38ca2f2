//! What comes back when the store is lost: a backup, and the catalogue of artifacts from the vault alone.

use std::os::unix::fs::PermissionsExt as _;

use arcology::remember::store::{ArtifactFilter, DATABASE_FILE, Error, Page, TaskOutcome};
use arcology::remember::vault::{Lineage, Vault};

use super::rows::{at, audit, name, open, task};

#[tokio::test]
async fn a_backup_made_while_work_goes_on_is_a_store_that_can_be_opened() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open(dir.path());
    for n in 0..20 {
        store.task_add(task(&format!("task-{n}"))).await.unwrap();
    }
    let writing = tokio::spawn({
        let store = store.clone();
        async move {
            for n in 20..60 {
                store.task_add(task(&format!("task-{n}"))).await.unwrap();
            }
        }
    });
    let file = other.path().join("copy.db");
    store.backup(&file).await.unwrap();
    writing.await.unwrap();

    let names: Vec<_> = std::fs::read_dir(other.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["copy.db"], "one file and nothing beside it");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(matches!(store.backup(&file).await, Err(Error::Exists { .. })), "nothing is overwritten");

    let restored = other.path().join("state");
    std::fs::create_dir(&restored).unwrap();
    std::fs::rename(&file, restored.join(DATABASE_FILE)).unwrap();
    let copy = open(&restored).tasks_unfinished().await.unwrap();
    let all = store.tasks_unfinished().await.unwrap();
    assert!(copy.len() >= 20, "{}", copy.len());
    assert_eq!(copy, all[..copy.len()], "a state that once was");
}

#[tokio::test]
async fn a_backup_into_a_folder_that_is_not_there_fails_and_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let refused = store.backup(&dir.path().join("nowhere/copy.db")).await.unwrap_err().to_string();
    assert!(refused.contains("nowhere/copy.db"), "{refused}");
}

#[tokio::test]
async fn the_catalogue_of_a_lost_store_comes_back_from_the_vault() {
    let dir = tempfile::tempdir().unwrap();
    let vault = Vault::open(&dir.path().join("vault")).unwrap();
    let store = open(&dir.path().join("state"));
    for n in 0..3 {
        let id = format!("task-{n}");
        store.task_add(task(&id)).await.unwrap();
        store.task_start(&id, Some(name("swap")), None, Vec::new(), at(1)).await.unwrap();
        let (digest, _) = vault.put(format!("summary {n}").as_bytes(), 1_000).unwrap();
        let lineage = Lineage {
            capability: Some("text.summarize".to_owned()),
            model: Some("qwen2.5-7b-q4".to_owned()),
            prompt: Some("Summarize the board packet".to_owned()),
            tags: vec!["project:Acme".to_owned()],
            ..Lineage::default()
        };
        let row = vault.publish(at(n), &id, "summary.md", Some("md"), digest, &lineage).unwrap().row;
        let outcome = TaskOutcome::Done { model: None, artifacts: vec![row] };
        store.task_finish(&id, 1, outcome, "", at(2), audit("run", &id)).await.unwrap();
    }
    let everything = || ArtifactFilter { text: Some("boar pack".to_owned()), ..ArtifactFilter::default() };
    let before = store.artifacts(everything(), Page::default()).await.unwrap();
    assert_eq!(before.items.len(), 3);

    let fresh = open(&dir.path().join("other"));
    let rebuilt = vault.rebuild().unwrap();
    assert_eq!(rebuilt.problems, []);
    assert_eq!(fresh.artifacts_restore(rebuilt.rows.clone()).await.unwrap(), 3);
    assert_eq!(fresh.artifacts_restore(rebuilt.rows).await.unwrap(), 0, "once is enough");
    assert_eq!(fresh.artifacts(everything(), Page::default()).await.unwrap(), before);
    for filter in [
        ArtifactFilter { task: Some("task-1".to_owned()), ..ArtifactFilter::default() },
        ArtifactFilter { model: Some("qwen2.5-7b-q4".to_owned()), ..ArtifactFilter::default() },
        ArtifactFilter { tag: Some("project:Acme".to_owned()), kind: Some("md".to_owned()), ..everything() },
        ArtifactFilter { capability: Some("text.translate".to_owned()), ..ArtifactFilter::default() },
        ArtifactFilter { text: Some("board minutes".to_owned()), ..ArtifactFilter::default() },
    ] {
        let (old, new) =
            (store.artifacts(filter.clone(), Page::default()), fresh.artifacts(filter.clone(), Page::default()));
        assert_eq!(old.await.unwrap(), new.await.unwrap(), "{filter:?}");
    }
    let one = before.items[0].clone();
    assert_eq!(fresh.artifact(one.sha256).await.unwrap(), [one]);
    let nothing = ArtifactFilter { text: Some("board minutes".to_owned()), ..ArtifactFilter::default() };
    assert_eq!(fresh.artifacts(nothing, Page::default()).await.unwrap().items, []);
}
