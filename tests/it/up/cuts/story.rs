//! The story, told in as many lives of the program as it takes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arcology::act::engine::Handle;
use arcology::remember::store::cut::Cut;
use tokio::runtime::{Builder, Runtime};

use super::scene::{Scene, Stage, submission};
use super::truth::{self, Worked, same};
use crate::double::state::Inner;

/// How long a stage may take. Only a failing one takes this long.
const PATIENCE: Duration = Duration::from_secs(20);

/// What became of a life of the program.
pub enum Fate {
    Died,
    Through,
}

/// A story from the first stage to the last, in as many lives as it takes.
pub struct Story {
    pub scene: Scene,
    /// The stage that is under way.
    stage: usize,
    /// Whether tasks may be given up after too many interruptions.
    given_up: bool,
    /// What stood in the store about work when the newest life began.
    pub before: Vec<Worked>,
}

impl Story {
    pub fn new(outside: &Runtime, given_up: bool) -> Self {
        Self { scene: Scene::new(outside), stage: 0, given_up, before: Vec::new() }
    }

    /// Lives until the cut, then once more to the end, and checks everything.
    pub fn told(&mut self, cut: &Cut) -> Result<(), String> {
        if matches!(self.live(cut)?, Fate::Died) {
            self.live(&Cut::never())?;
        }
        self.check()
    }

    /// The same with another death: while `model` is on its way, which gets ready before the next life or once that has
    /// looked.
    pub fn told_while_loading(&mut self, outside: &Runtime, model: &'static str, before: bool) -> Result<(), String> {
        let double = Arc::clone(&self.scene.double.state);
        let looks = |inner: &Inner| inner.log.iter().filter(|(_, path)| path == "/running").count();
        self.scene.double.hold(model);
        let under_way = double.until(|inner| inner.processes.get(model) == Some(&"starting"));
        if matches!(self.live_until(&Cut::never(), under_way)?, Fate::Through) {
            return Err(format!("{model} was never loaded"));
        }
        if before {
            self.scene.double.release(model);
        } else {
            let looked = double.read(looks);
            let double = Arc::clone(&double);
            outside.spawn(async move {
                double.until(|inner| looks(inner) > looked).await;
                double.change(|inner| inner.held.remove(model));
            });
        }
        self.live(&Cut::never())?;
        self.check()
    }

    /// What must be true in the end, and that a further start changes nothing.
    pub fn check(&mut self) -> Result<(), String> {
        let mut wrong = truth::faults_of_audit(&self.scene, self.given_up);
        let calls = |scene: &Scene| {
            let changes =
                |path: &str| path.starts_with("/upstream") || path.contains("unload") || path.contains("chat");
            scene.double.log().iter().filter(|(_, path)| changes(path)).count()
        };
        let (called, quiet) = (calls(&self.scene), Cut::never());
        self.stage = Stage::ALL.len() - 1;
        self.live(&quiet)?;
        same!(wrong, "calls that change something after one more start", calls(&self.scene), called);
        same!(wrong, "durable steps after one more start", quiet.steps(), Vec::<&str>::new());
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n  ")) }
    }

    /// One life of the program: from the stage that is under way to the end of the story, or to its death.
    pub fn live(&mut self, cut: &Cut) -> Result<Fate, String> {
        self.live_until(cut, death(cut))
    }

    fn live_until(&mut self, cut: &Cut, death: impl Future<Output = ()>) -> Result<Fate, String> {
        // One thread: when it stops, everything of the program stops at once.
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            tokio::select! {
                biased;
                () = death => Ok(Fate::Died),
                lived = self.live_on(cut) => lived.map(|()| Fate::Through),
            }
        })
    }

    async fn live_on(&mut self, cut: &Cut) -> Result<(), String> {
        let engine = self.scene.start(cut).await;
        let handle = engine.handle();
        self.before = truth::worked(&handle.store()).await;
        while let Some(stage) = Stage::ALL.get(self.stage) {
            self.scene.commit(*stage);
            if *stage == Stage::Submit {
                self.submit(&handle).await?;
            }
            self.until_settled(&handle, *stage).await?;
            self.stage += 1;
        }
        let wrong = truth::faults_of_work(&handle, &self.scene, &self.before, self.given_up).await;
        engine.stop().await;
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n  ")) }
    }

    /// Submits, as often as it takes to be answered. Every answer is the same.
    async fn submit(&mut self, handle: &Handle) -> Result<(), String> {
        let end = Instant::now() + PATIENCE;
        let task = loop {
            match handle.submit(submission(), "a person").await {
                Ok(task) => break task,
                Err(error) if Instant::now() > end => return Err(error.to_string()),
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        };
        match self.scene.answered.replace(task.id.clone()) {
            Some(earlier) if earlier != task.id => Err(format!("submitted as {earlier}, and again as {}", task.id)),
            Some(_) | None => Ok(()),
        }
    }

    async fn until_settled(&self, handle: &Handle, stage: Stage) -> Result<(), String> {
        let end = Instant::now() + PATIENCE;
        loop {
            let wrong = truth::unsettled(handle, &self.scene, stage, self.given_up).await;
            if wrong.is_empty() {
                // Nothing is left to do either.
                return tokio::time::timeout(PATIENCE, handle.settled())
                    .await
                    .map(drop)
                    .map_err(|_| format!("{stage:?} is as asked, but the engine does not settle"));
            }
            if Instant::now() > end {
                return Err(format!("{stage:?} is not over within {PATIENCE:?}:\n  {}", wrong.join("\n  ")));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Waits until the store has died.
async fn death(cut: &Cut) {
    while !cut.is_reached() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
