//! What the page is served from: the newest picture, the store, the vault, and the time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::watch;

use crate::act::engine::picture::Picture;
use crate::core::{Clock, Name, Timestamp};
use crate::decide::scheduler::view::Explanation;
use crate::remember::store::row::{AttemptRow, TaskRow, TaskState};
use crate::remember::store::{Error as StoreError, Page, Store, TaskFilter};
use crate::remember::vault::Vault;

use super::facts::{Facts, Queue, TaskCounts};
use super::view::queue::{RUNNING_SHOWN_MAX, WAITING_SHOWN_MAX};
use super::view::task::TaskQuery;

/// The most failed tasks that ask for attention at once.
const FAILED_SHOWN_MAX: usize = 5;
/// How long the scheduler may take to explain something.
const EXPLAIN_WITHIN: Duration = Duration::from_secs(2);
/// For how long a failed task asks for attention. Later it is history.
const FAILED_SHOWN_FOR_MS: u64 = 24 * 3_600 * 1_000;

/// Answers at length why a task waits, by its id; none for one that does not wait.
pub type Explainer = Arc<dyn Fn(String) -> BoxFuture<'static, Option<Explanation>> + Send + Sync>;

/// What the attempt at a task that runs now has said so far, by the task's id. The store has a log only once it is over.
pub type LiveLogs = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// What the page is served from. Cheap to clone. It only reads.
#[derive(Clone)]
pub struct WebState {
    /// The newest picture, as the engine publishes it.
    pub picture: watch::Receiver<Arc<Picture>>,
    pub store: Store,
    pub vault: Vault,
    pub clock: Arc<dyn Clock>,
    /// None where nothing schedules.
    pub explainer: Option<Explainer>,
    /// None where nothing runs tasks.
    pub live_logs: Option<LiveLogs>,
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

    /// Why a task waits, at length. A scheduler that does not answer soon holds up no page: its last word is there.
    pub async fn explain(&self, task: &str) -> Option<Explanation> {
        let explain = self.explainer.as_ref()?;
        tokio::time::timeout(EXPLAIN_WITHIN, explain(task.to_owned())).await.ok().flatten()
    }

    /// The attempts at a task, with what the one that runs has said so far.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn attempts(&self, task: &str) -> Result<Vec<AttemptRow>, StoreError> {
        let mut attempts = self.store.attempts(task).await?;
        let running = attempts.iter_mut().find(|attempt| attempt.finished_at.is_none());
        if let (Some(attempt), Some(logs)) = (running, &self.live_logs)
            && let Some(log) = logs(task)
        {
            attempt.log = log;
        }
        Ok(attempts)
    }

    /// What the store says of the queue. A store that cannot be read is told, not hidden.
    pub async fn queue(&self, query: TaskQuery) -> Queue {
        match self.read_queue(&query).await {
            Ok(queue) => Queue { query, ..queue },
            Err(error) => Queue { problem: Some(error.to_string()), query, ..Queue::default() },
        }
    }

    async fn read_queue(&self, query: &TaskQuery) -> Result<Queue, StoreError> {
        let counts = self.store.task_counts().await?;
        let open = if *query == TaskQuery::default() { self.in_order().await? } else { self.matching(query).await? };
        let failed = TaskFilter { state: vec![TaskState::Error], ..TaskFilter::default() };
        let mut failed = self.tasks(failed, FAILED_SHOWN_MAX).await?;
        let now = self.now();
        failed.retain(|task| {
            let at = task.finished_at.unwrap_or(task.created_at);
            crate::core::clock::millis_since(at, now) <= FAILED_SHOWN_FOR_MS
        });
        let counts = Some(TaskCounts::of(counts));
        Ok(Queue { counts, open, failed, ..Queue::default() })
    }

    /// What runs, then the head of the scheduler's queue. Where nothing schedules, the newest that wait.
    async fn in_order(&self) -> Result<Vec<TaskRow>, StoreError> {
        let of = |state: &[TaskState]| TaskFilter { state: state.to_vec(), ..TaskFilter::default() };
        let mut open = self.tasks(of(&[TaskState::Running]), RUNNING_SHOWN_MAX).await?;
        let picture = Arc::clone(&self.picture.borrow());
        let head = picture.scheduler.queue.iter().take(WAITING_SHOWN_MAX);
        let head: Vec<String> = head.map(|waiting| waiting.id.to_string()).collect();
        let waiting = if head.is_empty() {
            self.tasks(of(&[TaskState::Queued, TaskState::Blocked]), WAITING_SHOWN_MAX).await?
        } else {
            self.store.tasks_by_id(head).await?
        };
        // Some may have started or ended since the picture was made.
        open.extend(waiting.into_iter().filter(|task| matches!(task.state, TaskState::Queued | TaskState::Blocked)));
        Ok(open)
    }

    /// The newest that match and are not over: what runs first, then by their place in the queue, as far as that is told.
    async fn matching(&self, query: &TaskQuery) -> Result<Vec<TaskRow>, StoreError> {
        let live = TaskState::ALL.into_iter().filter(|state| !state.is_final());
        let filter = TaskFilter {
            state: query.state.map_or_else(|| live.collect(), |state| vec![state]),
            capability: query.capability.clone(),
            runtime: query.runtime.as_deref().and_then(|name| Name::new(name).ok()),
            tag: query.tag.clone(),
            object: None,
        };
        let mut open = self.tasks(filter, WAITING_SHOWN_MAX + RUNNING_SHOWN_MAX).await?;
        let facts = self.picture.borrow();
        let places: BTreeMap<&str, usize> =
            facts.scheduler.queue.iter().enumerate().map(|(place, waiting)| (&*waiting.id, place)).collect();
        open.sort_by_key(|task| {
            let place = places.get(task.id.as_str()).copied().unwrap_or(usize::MAX);
            (task.state != TaskState::Running, place, task.created_at)
        });
        Ok(open)
    }

    async fn tasks(&self, filter: TaskFilter, limit: usize) -> Result<Vec<TaskRow>, StoreError> {
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        Ok(self.store.tasks(filter, Page::new(Some(limit), None)).await?.items)
    }
}
