//! What is done when a prompt is over for us: taken back while nobody waits for it any more, and memory given up.
//!
//! Only our own prompt is ever taken back, by its id: an interrupt without one would end anybody's work.

use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::act::http::{Client, Request};
use crate::act::runtime::adapter::RuntimeError;
use crate::core::text::count;

use super::paths::{self, Look};
use super::wire::{Queue, SystemStats};

/// Between two looks whether it is gone, or memory is given up.
const PAUSE: Duration = Duration::from_millis(250);
/// Looks for a prompt that is taken back: it ends at its next step, which may take its time.
const LOOKS_MAX: usize = 40;
/// How long memory is waited for.
const FREE_LIMIT: Duration = Duration::from_secs(5);

/// A prompt that was handed over. Dropped while it is not settled, it is taken back.
#[derive(Debug)]
pub(super) struct Submitted {
    client: Client,
    id: String,
    /// Has memory given up after it was taken back.
    frees: bool,
    is_settled: bool,
}

impl Submitted {
    pub fn new(client: Client, id: String, frees: bool) -> Self {
        Self { client, id, frees, is_settled: false }
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    /// Old versions choose an id themselves.
    pub fn is_called(&mut self, id: String) {
        self.id = id;
    }

    /// It has ended, or was never taken.
    pub fn settle(&mut self) {
        self.is_settled = true;
    }
}

impl Drop for Submitted {
    fn drop(&mut self) {
        // Without a runtime the process is at its end.
        if let (false, Ok(handle)) = (self.is_settled, tokio::runtime::Handle::try_current()) {
            let (client, id, frees) = (self.client.clone(), std::mem::take(&mut self.id), self.frees);
            handle.spawn(async move {
                if let Err(error) = take_back(&client, &id).await {
                    tracing::warn!(prompt = %id, %error, "a prompt could not be taken back");
                } else if frees {
                    free(&client).await;
                }
            });
        }
    }
}

/// Takes the prompt `id` back and returns when it neither waits nor runs: it may have been on its way when we left.
async fn take_back(client: &Client, id: &str) -> Result<(), RuntimeError> {
    let mut absent = 0;
    for _ in 0..LOOKS_MAX {
        cancel(client, id).await?;
        let queue: Queue = client.send(Request::get(Look::Queue.path())).await?.json()?;
        let is_there = queue.running().contains(&id) || queue.waiting().contains(&id);
        absent = if is_there { 0 } else { absent + 1 };
        if absent == 2 {
            return Ok(());
        }
        sleep(PAUSE).await;
    }
    Ok(())
}

async fn cancel(client: &Client, id: &str) -> Result<(), RuntimeError> {
    let answer = client.send(Request::post(paths::cancel(id)).json(&json!({}))).await?;
    if answer.status == 200 {
        return Ok(());
    }
    // A version without jobs. It may be so old that it does not heed the id of an interrupt, so ours must be what runs.
    client.send(Request::post(paths::QUEUE).json(&json!({"delete": [id]}))).await?;
    let queue: Queue = client.send(Request::get(Look::Queue.path())).await?.json()?;
    if queue.running() == [id] {
        client.send(Request::post(paths::INTERRUPT).json(&json!({"prompt_id": id}))).await?;
    }
    Ok(())
}

/// Has all models and caches given up, unless somebody's prompts run or wait, and says what came of it.
pub(super) async fn free(client: &Client) -> String {
    match try_free(client).await {
        Ok(line) => line,
        Err(error) => format!("its memory was not given up: {error}"),
    }
}

async fn try_free(client: &Client) -> Result<String, RuntimeError> {
    let queue: Queue = client.send(Request::get(Look::Queue.path())).await?.json()?;
    let (running, waiting) = queue.counts();
    if running + waiting > 0 {
        let prompts = count(running + waiting, "prompt");
        return Ok(format!("its memory was not given up: {prompts} of others run or wait there"));
    }
    let before = held(client).await;
    let body = json!({"unload_models": true, "free_memory": true});
    let answer = client.send(Request::post(paths::FREE).json(&body)).await?;
    if answer.status != 200 {
        return Err(crate::act::runtime::fault::of_answer(&answer, "cannot free its memory"));
    }
    let Some(before) = before.filter(|before| *before > 0) else {
        return Ok("it was asked to give up its memory".to_owned());
    };
    let until = Instant::now() + FREE_LIMIT;
    loop {
        match held(client).await {
            Some(now) if now < before => {
                let freed_gib = (before - now) as f64 / f64::from(1 << 30);
                return Ok(format!("it gave up {freed_gib:.1} GiB of GPU memory"));
            }
            _ if Instant::now() >= until => {
                return Ok("it was asked to give up its memory, and holds as much as before".to_owned());
            }
            _ => sleep(PAUSE).await,
        }
    }
}

async fn held(client: &Client) -> Option<u64> {
    let answer = client.send(Request::get(Look::SystemStats.path())).await.ok()?;
    answer.json::<SystemStats>().ok()?.held_bytes()
}
