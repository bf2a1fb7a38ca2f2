//! What the store refuses to open or to do, and what it says then.

use std::os::unix::fs::PermissionsExt as _;

use arcology::remember::store::{DATABASE_FILE, Error, Page, TaskFilter};

use super::rows::{open, task, try_open};

#[test]
fn two_daemons_cannot_share_a_state_directory_and_the_second_is_told_who_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path());
    let refused = try_open(dir.path()).unwrap_err();
    let message = refused.to_string();
    assert!(matches!(refused, Error::Locked { .. }), "{message}");
    assert!(message.contains(dir.path().to_str().unwrap()), "{message}");
    assert!(message.contains(&format!("process {}", std::process::id())), "{message}");
    drop(first);
    open(dir.path());
}

#[tokio::test]
async fn closing_lets_the_next_daemon_in_even_while_a_clone_is_alive() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let clone = store.clone();
    store.close().await;
    let next = open(dir.path());
    assert_eq!(clone.task("task-1").await, Err(Error::Closed));
    assert_eq!(next.task("task-1").await, Ok(None));
}

#[tokio::test]
async fn a_newer_database_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).close().await;
    let path = dir.path().join(DATABASE_FILE);
    // `user_version`: four bytes, most significant first, at offset 60 (SQLite file format, section 1.3).
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[60..64].copy_from_slice(&99_u32.to_be_bytes());
    std::fs::write(&path, &bytes).unwrap();
    let refused = try_open(dir.path()).unwrap_err();
    assert!(matches!(&refused, Error::Newer { path: named, found: 99, .. } if *named == path), "{refused}");
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
}

#[test]
fn a_file_that_is_no_database_is_named_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(DATABASE_FILE);
    let junk = b"this is a text file, not a database\n".repeat(100);
    std::fs::write(&path, &junk).unwrap();
    let refused = try_open(dir.path()).unwrap_err();
    assert!(matches!(&refused, Error::Corrupt { path: named, .. } if *named == path), "{refused}");
    assert!(refused.to_string().contains("put a backup in its place"), "{refused}");
    assert_eq!(std::fs::read(&path).unwrap(), junk);
}

#[tokio::test]
async fn damage_inside_the_file_is_an_error_of_what_meets_it_and_shows_in_the_health() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for n in 0..50 {
        let mut row = task(&format!("task-{n}"));
        row.spec.inputs.text = Some("long ".repeat(1_000));
        store.task_add(row).await.unwrap();
    }
    store.close().await;
    let path = dir.path().join(DATABASE_FILE);
    let mut bytes = std::fs::read(&path).unwrap();
    let half = bytes.len() / 2;
    bytes[half..].fill(0xff);
    std::fs::write(&path, &bytes).unwrap();

    let store = open(dir.path());
    assert_eq!(store.health(), None);
    let refused = store.tasks(TaskFilter::default(), Page::default()).await.unwrap_err();
    assert!(matches!(&refused, Error::Corrupt { path: named, .. } if *named == path), "{refused}");
    assert!(store.health().unwrap().contains("is damaged"));
    assert_eq!(store.objects().await.unwrap(), [], "what is not damaged can be read");
}

#[test]
fn a_place_that_cannot_be_a_directory_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let refused = try_open(&file.join("state")).unwrap_err();
    assert!(matches!(refused, Error::Io { .. }), "{refused}");
    assert!(refused.to_string().contains(file.to_str().unwrap()), "{refused}");
}

#[tokio::test]
async fn everything_in_the_state_directory_is_private() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("new/state");
    std::fs::create_dir_all(dir.path().join("new")).unwrap();
    let store = open(&state);
    store.task_add(task("task-1")).await.unwrap();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&state), 0o700);
    let files: Vec<_> = std::fs::read_dir(&state).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 4, "database, log, its index and the lock: {files:?}");
    for file in &files {
        assert_eq!(mode(file), 0o600, "{}", file.display());
    }
    store.close().await;
    let database = state.join(DATABASE_FILE);
    std::fs::set_permissions(&database, std::fs::Permissions::from_mode(0o644)).unwrap();
    open(&state);
    assert_eq!(mode(&database), 0o600, "a file that was opened up is made private again");
}
