//! What the page is served from: the newest picture, the store, the vault, and the time.

use std::sync::Arc;

use tokio::sync::watch;

use crate::act::engine::picture::Picture;
use crate::core::{Clock, Timestamp};
use crate::remember::store::row::TaskState;
use crate::remember::store::{Error as StoreError, Page, Store, TaskFilter};
use crate::remember::vault::Vault;

use super::facts::{Facts, Queue, TaskCounts};
use super::view::home::QUEUE_SHOWN_MAX;

/// The most failed tasks that ask for attention at once.
const FAILED_SHOWN_MAX: u32 = 5;
/// For how long a failed task asks for attention. Later it is history.
const FAILED_SHOWN_FOR_MS: u64 = 24 * 3_600 * 1_000;

/// What the page is served from. Cheap to clone. It only reads.
#[derive(Clone)]
pub struct WebState {
    /// The newest picture, as the engine publishes it.
    pub picture: watch::Receiver<Arc<Picture>>,
    pub store: Store,
    pub vault: Vault,
    pub clock: Arc<dyn Clock>,
}

impl WebState {
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The picture and every status, now.
    #[must_use]
    pub fn facts(&self) -> Facts {
        let mut picture = Arc::clone(&self.picture.borrow());
        // The store knows of its own trouble before the engine has published it.
        if picture.store_problem.is_none()
            && let Some(problem) = self.store.health()
        {
            Arc::make_mut(&mut picture).store_problem = Some(problem);
        }
        Facts::at(picture, self.now())
    }

    /// What the store says of the queue. A store that cannot be read is told, not hidden.
    pub async fn queue(&self) -> Queue {
        match self.read_queue().await {
            Ok(queue) => queue,
            Err(error) => Queue { problem: Some(error.to_string()), ..Queue::default() },
        }
    }

    async fn read_queue(&self) -> Result<Queue, StoreError> {
        let counts = self.store.task_counts().await?;
        let open = vec![TaskState::Queued, TaskState::Blocked, TaskState::Running];
        let open = self.tasks(open, u32::try_from(QUEUE_SHOWN_MAX).unwrap_or(u32::MAX)).await?;
        let mut failed = self.tasks(vec![TaskState::Error], FAILED_SHOWN_MAX).await?;
        let now = self.now();
        failed.retain(|task| {
            let at = task.finished_at.unwrap_or(task.created_at);
            crate::core::clock::millis_since(at, now) <= FAILED_SHOWN_FOR_MS
        });
        Ok(Queue { counts: Some(TaskCounts::of(counts)), open, failed, problem: None })
    }

    async fn tasks(
        &self,
        state: Vec<TaskState>,
        limit: u32,
    ) -> Result<Vec<crate::remember::store::row::TaskRow>, StoreError> {
        let filter = TaskFilter { state, ..TaskFilter::default() };
        Ok(self.store.tasks(filter, Page::new(Some(limit), None)).await?.items)
    }
}
