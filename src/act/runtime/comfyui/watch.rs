//! Following a prompt to its end: by the WebSocket while it is open, by asking where it is not, and always by the history.
//!
//! The history alone says what a prompt came to. It answers `{}` for a prompt that is unknown and for one that has not ended,
//! so the queue is asked too; a prompt that is in neither is lost.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::act::http::Socket;
use crate::act::runtime::adapter::{Fault, Progress, RuntimeError};

use super::adapter::Comfyui;
use super::paths::{self, Look};
use super::told::{Teller, Told};
use super::wire::{Entry, History, Queue};

/// The largest message that is read: errors come with the inputs of their node. Larger ones end the socket, not the prompt.
const MESSAGE_BYTES_MAX: usize = 16 << 20;
/// Between looks: while the socket tells, while it does not, and when the end was told or a prompt is missing.
const WHILE_TOLD: Duration = Duration::from_secs(10);
const WHILE_NOT_TOLD: Duration = Duration::from_secs(1);
const AT_THE_END: Duration = Duration::from_millis(200);
/// Looks that may fail one after the other: a busy ComfyUI is sometimes slow to answer.
const FAILURES_MAX: u32 = 10;
/// Looks that must miss a prompt before it counts as lost: it moves from the queue into the history between two answers.
const MISSES: u32 = 3;

/// Where a prompt is.
enum Standing {
    Waits { before: usize },
    Runs,
    Ended(Entry),
    Nowhere,
}

/// One prompt being followed.
pub(super) struct Watch<'a> {
    pub runtime: &'a Comfyui,
    pub client_id: &'a str,
    pub id: &'a str,
    pub asked: &'a str,
    pub progress: &'a Progress,
    pub teller: Teller,
    /// Open since before the prompt was handed over, so that nothing is missed.
    pub socket: Option<Socket>,
}

/// Opens the socket of `client_id`.
pub(super) async fn listen(runtime: &Comfyui, client_id: &str) -> Result<Socket, RuntimeError> {
    let limit = runtime.timeouts.connect.get();
    Ok(runtime.client.socket(&paths::socket(client_id), limit, MESSAGE_BYTES_MAX).await?)
}

impl Watch<'_> {
    /// Returns what the prompt came to.
    ///
    /// # Errors
    /// When it is lost, or ComfyUI cannot be asked any more.
    pub async fn until_over(mut self) -> Result<Entry, RuntimeError> {
        let (mut failures, mut misses, mut has_ended, mut before) = (0, 0, false, None);
        let mut next_look = Instant::now() + self.pause(false);
        loop {
            tokio::select! {
                told = heard(&mut self.socket) => match told.map(|text| self.teller.read(&text)) {
                    Some(Some(Told::Line(line))) => self.progress.say(&line),
                    Some(Some(Told::Ended)) => {
                        has_ended = true;
                        next_look = Instant::now();
                    }
                    Some(None) => {}
                    None => {
                        self.socket = None;
                        self.progress.say("its WebSocket closed; it is asked instead");
                        next_look = Instant::now();
                    }
                },
                () = sleep_until(next_look) => {
                    match standing(self.runtime, self.id).await {
                        Ok(Standing::Ended(entry)) => return Ok(entry),
                        Ok(Standing::Nowhere) => {
                            (failures, misses) = (0, misses + 1);
                            if misses == MISSES {
                                return Err(self.lost());
                            }
                        }
                        Ok(Standing::Waits { before: now }) => {
                            (failures, misses) = (0, 0);
                            if before.replace(now) != Some(now) {
                                self.progress.say(&format!("waits in its queue, {now} before it"));
                            }
                        }
                        Ok(Standing::Runs) => (failures, misses) = (0, 0),
                        Err(error) => {
                            failures += 1;
                            if failures == FAILURES_MAX {
                                return Err(error);
                            }
                        }
                    }
                    if self.socket.is_none() && failures == 0 {
                        self.socket = listen(self.runtime, self.client_id).await.ok();
                    }
                    next_look = Instant::now() + self.pause(has_ended || misses > 0);
                }
            }
        }
    }

    fn pause(&self, is_near_the_end: bool) -> Duration {
        match &self.socket {
            _ if is_near_the_end => AT_THE_END,
            Some(_) => WHILE_TOLD,
            None => WHILE_NOT_TOLD,
        }
    }

    fn lost(&self) -> RuntimeError {
        let message = format!(
            "{}: it knows nothing of prompt {} any more: it was restarted, which empties its queue and history, or somebody took \
             the prompt out",
            self.asked, self.id
        );
        RuntimeError::new(Fault::RuntimeError, message)
    }
}

/// Where the prompt `id` is.
async fn standing(runtime: &Comfyui, id: &str) -> Result<Standing, RuntimeError> {
    let history = Look::History { id: id.to_owned() };
    if let Some(entry) = runtime.look_at::<History>(history).await?.remove(id) {
        return Ok(Standing::Ended(entry));
    }
    let queue: Queue = runtime.look_at(Look::Queue).await?;
    if queue.running().contains(&id) {
        return Ok(Standing::Runs);
    }
    let at = queue.waiting().iter().position(|waiting| *waiting == id);
    Ok(at.map_or(Standing::Nowhere, |at| Standing::Waits { before: at + queue.counts().0 }))
}

/// The next text of the socket; none when it has closed, never when there is none.
async fn heard(socket: &mut Option<Socket>) -> Option<String> {
    match socket {
        Some(socket) => socket.text().await.ok().flatten(),
        None => futures::future::pending().await,
    }
}
