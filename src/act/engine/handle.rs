//! How surfaces speak with the engine: pictures to read, and the few verbs that change something.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use crate::core::{Kind, Name, Timestamp};
use crate::decide::reconcile::ObjectStatus;
use crate::decide::scheduler::SchedulerView;
use crate::decide::scheduler::view::Explanation;
use crate::declare::manifest::kind::task::TaskSpec;
use crate::remember::store::row::TaskRow;
use crate::remember::store::{AuditEntry, Store};
use crate::remember::vault::Vault;

use super::carry_out::{Trouble, is_settled};
use super::dispatch::Message;
use super::intake;
use super::picture::Picture;
use super::shared::Shared;
use super::source_loop::{Report, Request};

/// How surfaces speak with the engine. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    pub(super) shared: Arc<Shared>,
    requests: mpsc::Sender<Request>,
}

impl Handle {
    pub(super) fn new(shared: Arc<Shared>, requests: mpsc::Sender<Request>) -> Self {
        Self { shared, requests }
    }

    /// Pictures as they are made; the newest is always there.
    #[must_use]
    pub fn pictures(&self) -> watch::Receiver<Arc<Picture>> {
        self.shared.pictures()
    }

    #[must_use]
    pub fn store(&self) -> Store {
        self.shared.store.clone()
    }

    #[must_use]
    pub fn vault(&self) -> Vault {
        self.shared.vault.clone()
    }

    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.shared.now()
    }

    /// Looks at the repository now, and lets objects that stopped in a drift loop try again.
    ///
    /// # Errors
    /// When the engine is ending.
    pub async fn reconcile(&self, accept: bool, actor: &str) -> Result<Report, Trouble> {
        self.forgive_loops();
        let (reply, answer) = oneshot::channel();
        let ending = || Trouble::Task("Arcology is ending".into());
        self.requests.send(Request { accept, reply }).await.map_err(|_| ending())?;
        let report = answer.await.map_err(|_| ending())?;
        let audit = AuditEntry {
            at: self.now(),
            actor: actor.to_owned(),
            verb: if accept { "reconcile --accept".into() } else { "reconcile".into() },
            object: report.revision.clone().unwrap_or_else(|| "repository".into()),
            reason: "asked for".into(),
            result: if report.outcome == "failed" { report.message.clone() } else { "ok".into() },
            before: None,
            after: Some(report.message.clone()),
            revision: report.revision.clone(),
        };
        let written = self.shared.store.audit(audit).await;
        self.shared.note_store(&written);
        // Whoever asks and then looks must see what came of it.
        self.shared.publish();
        Ok(report)
    }

    /// A person asked: objects that stopped in a drift loop are tried again, and so is everything that failed.
    fn forgive_loops(&self) {
        let stopped: Vec<_> = {
            let memory = self.shared.memory();
            let stopped = memory
                .histories
                .iter()
                .filter(|(_, history)| history.drift_loop.is_some() || history.failure.is_some())
                .map(|(key, _)| key.clone());
            stopped.collect()
        };
        for key in stopped {
            self.shared.memory().history(&key, |history| {
                history.drift_loop = None;
                history.corrections.clear();
            });
            if matches!(key.kind, Kind::Loadout | Kind::Task) {
                self.shared.controller.trigger(&key, crate::act::controller::Lane::Person, "a person asked for it");
            }
        }
    }

    /// Accepts a task.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn submit(&self, spec: TaskSpec, actor: &str) -> Result<TaskRow, Trouble> {
        let accepted = self.submit_all(vec![spec], actor).await?;
        accepted.into_iter().next().ok_or_else(|| Trouble::Task("it was not taken in".into()))
    }

    /// Accepts a list of tasks: all of them, or none.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn submit_all(&self, specs: Vec<TaskSpec>, actor: &str) -> Result<Vec<TaskRow>, Trouble> {
        intake::submit(&self.shared, specs, actor.to_owned()).await
    }

    /// Cancels a task.
    ///
    /// # Errors
    /// When there is no such task, or it is over.
    pub async fn cancel(&self, id: &str, actor: &str, reason: &str) -> Result<(), Trouble> {
        intake::cancel(&self.shared, id, actor, reason).await
    }

    /// Lets a task that failed or was cancelled run again: the same task, with its history.
    ///
    /// # Errors
    /// When there is no such task, it is not over or was done, or the store cannot be written.
    pub async fn retry(&self, id: &str, actor: &str) -> Result<(), Trouble> {
        intake::retry(&self.shared, id, actor).await
    }

    /// Sends a task that is not over elsewhere. Neither runtime nor model: wherever the scheduler thinks best.
    ///
    /// # Errors
    /// When there is no such task, it is over, or the store cannot be written.
    pub async fn reroute(
        &self,
        id: &str,
        runtime: Option<Name>,
        model: Option<Name>,
        actor: &str,
    ) -> Result<(), Trouble> {
        intake::reroute(&self.shared, id, runtime, model, actor).await
    }

    /// Why a task waits, in full; none for one that does not wait.
    pub async fn explain(&self, id: &str) -> Option<Explanation> {
        let (reply, answer) = oneshot::channel();
        self.shared.inbox.send(Message::Explain { id: id.to_owned(), reply });
        answer.await.ok().flatten()
    }

    /// Waits until a task is over; at once when it is not in the queue.
    pub async fn ended(&self, id: &str) {
        intake::ended(&self.shared, id).await;
    }

    /// What the running attempt at a task has said so far; none when it does not run.
    #[must_use]
    pub fn progress(&self, id: &str) -> Option<String> {
        self.shared.live(id)
    }

    /// What the scheduler held and did when it was last looked at: a few milliseconds ago at most.
    #[must_use]
    pub fn scheduler_view(&self) -> Arc<SchedulerView> {
        Arc::clone(&self.shared.memory().scheduler)
    }

    /// The same at this very moment, with so many rows of the queue: for who has just changed something. Empty when the
    /// engine is ending.
    pub async fn scheduler_now(&self, rows: usize) -> SchedulerView {
        let (reply, answer) = oneshot::channel();
        self.shared.inbox.send(Message::View { rows, reply });
        answer.await.unwrap_or_default()
    }

    /// Waits until there is nothing left to do: every object is in sync, held, or failed; no task waits or runs.
    ///
    /// Gives the statuses that are then so.
    pub async fn settled(&self) -> Vec<ObjectStatus> {
        let mut pictures = self.pictures();
        loop {
            let picture = Arc::clone(&pictures.borrow_and_update());
            if self.is_settled(&picture) {
                return picture.statuses(self.now());
            }
            // Most changes make a picture; the controller's own state does not, hence the pause.
            let _ = tokio::time::timeout(Duration::from_millis(50), pictures.changed()).await;
        }
    }

    fn is_settled(&self, picture: &Picture) -> bool {
        let looked = picture.source.checked_at.is_some() || picture.source.problem.is_some();
        if !looked || !self.shared.controller.is_settled() || self.shared.inbox.unfinished() > 0 {
            return false;
        }
        let now = self.now();
        let seen = |name| {
            picture.runtimes.get(name).is_some_and(|runtime| runtime.failures > 0 || runtime.view.fresh(now).is_some())
        };
        let runtimes_seen =
            picture.world.runtimes().all(|(object, spec)| !spec.adapter.is_driven() || seen(&object.document.key.name));
        runtimes_seen
            && picture.statuses(now).iter().all(|status| {
                let failed = picture.histories.get(&status.key).is_some_and(|history| history.failure.is_some());
                let actionable = matches!(status.key.kind, Kind::Loadout | Kind::Task);
                !actionable || is_settled(status, failed)
            })
    }
}
