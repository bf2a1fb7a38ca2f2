//! Publishing: one picture after each burst of changes, and the histories that changed written behind it.

use std::sync::Arc;
use std::time::Duration;

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

/// Writes what was noted. A failure is shown; what was not written is written with the next change of the same object.
async fn save_notes(shared: &Shared) {
    let (histories, views) = {
        let mut memory = shared.memory();
        (memory.take_unsaved(), memory.take_unsaved_views())
    };
    if histories.is_empty() && views.is_empty() {
        return;
    }
    let result = shared.store.save_notes(histories, views).await;
    shared.note_store(&result);
}
