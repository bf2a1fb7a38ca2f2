//! Durable transitions: what the store writes down a second, each answered only when it is on the disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arcology::act::clock::SystemClock;
use arcology::core::{Kind, Name, ObjectKey, Timestamp};
use arcology::remember::store::{AuditEntry, Effects, NewIntent, Store};

use crate::measure::{Times, row};

const FOR: Duration = Duration::from_secs(5);

pub fn run() {
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    for writers in [1, 16, 256] {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let store = Store::open(dir.path(), Arc::new(SystemClock)).expect("the store can be opened");
        let (done, elapsed) = tokio.block_on(write(&store, writers));
        let commits = store.commits();
        tokio.block_on(store.close());
        let a_second = done as f64 / elapsed.as_secs_f64();
        let shared = done as f64 / commits as f64;
        row(format!("{writers} writers"), format!("{a_second:.0} transitions/s, {shared:.1} a commit"));
    }
    row("a synced write of 4 KiB alone", synced_writes());
}

/// Writers that begin an action and end it, again and again: two transitions.
async fn write(store: &Store, writers: usize) -> (u64, Duration) {
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let start = Instant::now();
    let one = |n: usize| {
        let (store, stop, done) = (store.clone(), Arc::clone(&stop), Arc::clone(&done));
        tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                act(&store, n).await;
                done.fetch_add(2, Ordering::Relaxed);
            }
        })
    };
    let running: Vec<_> = (0..writers).map(one).collect();
    tokio::time::sleep(FOR).await;
    stop.store(true, Ordering::Relaxed);
    for writer in running {
        writer.await.expect("a writer ends well");
    }
    (done.load(Ordering::Relaxed), start.elapsed())
}

async fn act(store: &Store, n: usize) {
    let key = ObjectKey::new(Kind::Loadout, Name::new(&format!("loadout-{n}")).expect("a name"));
    let intent = NewIntent {
        object: key.clone(),
        verb: "load".to_owned(),
        target: format!(r#"{{"model":{{"runtime":"swap","model":null,"served_as":"model-{n}"}}}}"#),
        reason: "it is not loaded".to_owned(),
        revision: None,
    };
    let begun = store.journal_begin(intent).await.expect("it is written");
    let audit = AuditEntry {
        at: Timestamp::now(),
        actor: "arcology".to_owned(),
        verb: "load".to_owned(),
        object: key.to_string(),
        reason: "it is not loaded".to_owned(),
        result: "ok".to_owned(),
        before: None,
        after: None,
        revision: None,
    };
    store.journal_finish(&begun.id, Ok(()), Effects::default(), audit).await.expect("it is written");
}

/// The yardstick: what the disk below takes to make a small write durable.
fn synced_writes() -> Times {
    use std::os::unix::fs::FileExt;
    let file = tempfile::tempfile().expect("a temporary file");
    let page = [7_u8; 4_096];
    let mut at = 0;
    Times::measure(500, || {
        file.write_all_at(&page, at).expect("it is written");
        file.sync_data().expect("it is synced");
        at += 4_096;
    })
}
