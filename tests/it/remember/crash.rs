//! What a crash leaves: every answered write, no half of any other, and open intents that can be seen.
//!
//! The files of a live store, copied between two writes, are what SIGKILL would leave; the same with the write-ahead log
//! cut off anywhere are what a power cut may leave.

use std::path::Path;

use proptest::prelude::*;

use arcology::remember::store::row::{InventoryRow, JournalState, TaskState};
use arcology::remember::store::{AuditFilter, DATABASE_FILE, Effects, Page, Store, TaskOutcome};

use super::rows::{at, audit, key, load, object, open, target, task};

/// The files of a store as they are now, without those that only a running one has.
fn copy(from: &Path, to: &Path) {
    for name in [DATABASE_FILE.to_owned(), format!("{DATABASE_FILE}-wal")] {
        std::fs::copy(from.join(&name), to.join(&name)).unwrap();
    }
}

#[tokio::test]
async fn an_intent_that_a_crash_left_open_is_seen_and_begun_again_under_the_same_id() {
    let (dir, after) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open(dir.path());
    let desk = || key("Loadout/desk");
    let done = store.journal_begin(load(desk(), "llama")).await.unwrap();
    store.journal_finish(&done.id, Ok(()), Effects::default(), audit("load", "Loadout/desk")).await.unwrap();
    let intent = store.journal_begin(load(desk(), "qwen")).await.unwrap();
    copy(dir.path(), after.path());

    let reopened = open(after.path());
    assert_eq!(reopened.journal_open().await.unwrap(), std::slice::from_ref(&intent));
    assert_eq!(reopened.journal_begin(load(desk(), "qwen")).await.unwrap(), intent);
    let abandoned = reopened.journal_abandon(&intent.id, "the daemon was restarted").await.unwrap();
    assert_eq!(abandoned.state, JournalState::Abandoned);
    let next = reopened.journal_begin(load(desk(), "qwen")).await.unwrap();
    assert_ne!(next.id, intent.id);
}

#[tokio::test]
async fn dropping_a_store_without_closing_it_loses_nothing_that_was_answered() {
    let dir = tempfile::tempdir().unwrap();
    for n in 0..5 {
        let store = open(dir.path());
        assert_eq!(store.tasks_unfinished().await.unwrap().len(), n);
        store.task_add(task(&format!("task-{n}"))).await.unwrap();
    }
}

/// One round of work: a task from queue to done, and a load with its inventory; six writes.
async fn round(store: &Store, n: usize) {
    let id = format!("task-{n:02}");
    store.task_add(task(&id)).await.unwrap();
    store.task_start(&id, None, None, Vec::new(), at(1)).await.unwrap();
    let done = TaskOutcome::Done { model: None, artifacts: Vec::new() };
    store.task_finish(&id, 1, done, "", at(2), audit("run", &id)).await.unwrap();
    let owner = key(&format!("Loadout/l{n}"));
    store.apply_revision(super::rows::applied(1), vec![object(owner.clone(), 1)], vec![], vec![]).await.unwrap();
    let row = store.journal_begin(load(owner.clone(), "qwen")).await.unwrap();
    let thing = InventoryRow {
        object: owner,
        target: target("qwen"),
        since: at(3),
        prunes: true,
        deleting_since: None,
        deadline: None,
    };
    let effects = Effects { inventory_add: vec![thing], inventory_remove: Vec::new() };
    store.journal_finish(&row.id, Ok(()), effects, audit("load", &row.object.to_string())).await.unwrap();
}

/// Which of the writes of so many rounds are there, in order; panics when one is there in part.
async fn writes(store: &Store, rounds: usize) -> Vec<bool> {
    let entries = store.audit_list(AuditFilter::default(), Page { limit: 500, cursor: None }).await.unwrap().items;
    let audited = |verb: &str, object: &str| {
        let count = entries.iter().filter(|entry| entry.verb == verb && entry.object == object).count();
        assert!(count <= 1, "{verb} {object} has {count} entries");
        count == 1
    };
    let (objects, inventory) = (store.objects().await.unwrap(), store.inventory().await.unwrap());
    let journal = store.journal(1_000).await.unwrap();
    let mut found = Vec::new();
    for n in 0..rounds {
        let (id, owner) = (format!("task-{n:02}"), format!("Loadout/l{n}"));
        let state = store.task(&id).await.unwrap().map(|task| task.state);
        let attempts = store.attempts(&id).await.unwrap();
        assert_eq!(attempts.len(), usize::from(matches!(state, Some(TaskState::Running | TaskState::Done))), "{id}");
        assert_eq!(audited("run", &id), state == Some(TaskState::Done), "{id}");
        let intent = journal.iter().find(|row| row.object.to_string() == owner).map(|row| row.state);
        let has_thing = inventory.iter().any(|row| row.object.to_string() == owner);
        assert_eq!(audited("load", &owner), intent == Some(JournalState::Done), "{owner}");
        assert_eq!(has_thing, intent == Some(JournalState::Done), "{owner}");
        found.extend([
            state.is_some(),
            !attempts.is_empty(),
            state == Some(TaskState::Done),
            objects.iter().any(|row| row.key.to_string() == owner),
            intent.is_some(),
            intent == Some(JournalState::Done),
        ]);
    }
    found
}

const ROUNDS: usize = 4;

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn wherever_the_log_is_cut_off_what_is_left_is_a_beginning_of_what_was_done(part in 0.0..=1.0_f64) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (dir, after) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            let store = open(dir.path());
            for n in 0..ROUNDS {
                round(&store, n).await;
            }
            copy(dir.path(), after.path());
            let log = after.path().join(format!("{DATABASE_FILE}-wal"));
            let bytes = std::fs::read(&log).unwrap();
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "any length up to the whole will do")]
            let kept = (bytes.len() as f64 * part) as usize;
            std::fs::write(&log, &bytes[..kept]).unwrap();

            let found = writes(&open(after.path()), ROUNDS).await;
            let done = found.iter().take_while(|there| **there).count();
            assert!(found[done..].iter().all(|there| !there), "a later write without an earlier one: {found:?}");
            if kept == bytes.len() {
                assert_eq!(done, found.len(), "nothing that was answered is missing");
            }
        });
    }
}
