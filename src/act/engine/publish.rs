//! Publishing: one picture after each burst of changes, and the histories that changed written behind it.

use std::sync::Arc;
use std::time::Duration;

use crate::core::ObjectKey;

use super::shared::Shared;

/// At most one picture in this time, so that a burst of observations costs one.
const PAUSE: Duration = Duration::from_millis(20);

/// Publishes until shutdown; the last picture is published on the way out.
pub async fn run(shared: Arc<Shared>) {
    loop {
        let stopping = tokio::select! {
            () = shared.dirtied() => false,
            () = shared.shutdown.cancelled() => true,
        };
        shared.publish();
        save_notes(&shared).await;
        if stopping {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = shared.shutdown.cancelled() => {}
        }
    }
}

/// Writes what was noted. A failure of the disk is shown, and what was not written is written with the next picture.
async fn save_notes(shared: &Shared) {
    let (histories, views) = {
        let mut memory = shared.memory();
        (memory.take_unsaved(), memory.take_unsaved_views())
    };
    if histories.is_empty() && views.is_empty() {
        return;
    }
    let keys: Vec<ObjectKey> = histories.iter().map(|(key, _)| key.clone()).collect();
    let result = shared.store.save_notes(histories, views.clone()).await;
    shared.note_store(&result);
    // What the store refuses for what it is would be refused again, and keep everything else from being written.
    if result.is_err_and(|error| error.is_environmental()) {
        shared.memory().put_back_unsaved(keys, views);
    }
}
