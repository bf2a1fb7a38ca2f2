//! The dispatcher: told in scripts of one task or one lease, and held to its rules over random lives with crashes.

use std::collections::VecDeque;
use std::sync::Arc;

use super::*;
use crate::core::{Name, Timestamp};
use crate::decide::scheduler::{
    ClaimVerb, Config, Decision, End, Event, FailCode, GpuId, HostConfig, LeaseRequest, ModelAt, Moment, Pin, Place,
    Reason, Request, RuntimeConfig, TaskSeq,
};

mod lives;
mod scripts;
mod starts;

pub(super) fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// A moment: both clocks agree, and the wall clock began at `2026-11-21T10:00:00Z`.
pub(super) fn at(steady_ms: u64) -> Moment {
    let wall = 1_795_255_200_000 + i64::try_from(steady_ms).unwrap();
    Moment { steady_ms, wall: Timestamp::from_millisecond(wall).unwrap() }
}

pub(super) fn stored(seq: u64) -> Stored {
    let request = Request {
        task: TaskSeq(seq),
        id: format!("task-{seq}").into(),
        capability: ["text.stats".to_owned()].into(),
        runtime: None,
        model: None,
        priority: 0,
        force: false,
        exclusive: None,
        not_before: None,
        depends_on: Vec::new(),
        runs_on_failure: false,
        input_tokens: None,
        output_gb: None,
        waited_ms: 0,
        attempts: 0,
        backoff: None,
    };
    Stored { request, created_at: at(0).wall, failures: 0, interruptions: 0, retry_at: None, phase: Phase::Waiting }
}

pub(super) fn place() -> Place {
    Place { runtime: name("cpu"), model: None, served_as: None, gpu: None, exclusive: false }
}

/// A host with a CPU runtime of so many slots.
pub(super) fn config(slots: u32) -> Arc<Config> {
    let policy = Arc::default();
    let host = HostConfig { policy, reserve_disk_gb: 0.0, unlisted: Pin::OnDemand };
    let runtime =
        RuntimeConfig { host: name("desk"), gpu: None, loads: false, slots, capabilities: vec!["text.stats".into()] };
    Arc::new(Config {
        hosts: [(name("desk"), host)].into(),
        runtimes: [(name("cpu"), runtime)].into(),
        ..Config::default()
    })
}

/// A scheduler that says what it was told to say, and keeps what it heard.
#[derive(Debug, Default)]
pub(super) struct Script {
    heard: Vec<Event>,
    /// What it decides when it hears an event of this word.
    says: Vec<(&'static str, VecDeque<Vec<Decision>>)>,
}

impl Machine for Script {
    fn apply(&mut self, event: Event, _: Moment) -> Vec<Decision> {
        let word = word(&event);
        self.heard.push(event);
        let said = self.says.iter_mut().find(|(wanted, _)| *wanted == word);
        said.and_then(|(_, answers)| answers.pop_front()).unwrap_or_default()
    }

    fn next_wake(&self, _: Moment) -> Option<u64> {
        None
    }
}

impl Script {
    pub(super) fn on(mut self, word: &'static str, decisions: Vec<Decision>) -> Self {
        match self.says.iter_mut().find(|(wanted, _)| *wanted == word) {
            Some((_, answers)) => answers.push_back(decisions),
            None => self.says.push((word, VecDeque::from([decisions]))),
        }
        self
    }
}

pub(super) fn word(event: &Event) -> &'static str {
    match event {
        Event::WorldChanged(_) => "WorldChanged",
        Event::Submitted(_) => "Submitted",
        Event::Depends { .. } => "Depends",
        Event::Rerouted { .. } => "Rerouted",
        Event::Cancelled(_) => "Cancelled",
        Event::Ended { .. } => "Ended",
        Event::NotStarted { .. } => "NotStarted",
        Event::Loaded { .. } => "Loaded",
        Event::Unloaded(_) => "Unloaded",
        Event::LoadFailed { .. } => "LoadFailed",
        Event::UnloadFailed { .. } => "UnloadFailed",
        Event::Seen { .. } => "Seen",
        Event::ForeignUse { .. } => "ForeignUse",
        Event::Disk { .. } => "Disk",
        Event::Measured { .. } => "Measured",
        Event::Took { .. } => "Took",
        Event::PutOut { .. } => "PutOut",
        Event::LoadTook { .. } => "LoadTook",
        Event::LeaseAsked(_) => "LeaseAsked",
        Event::LeaseRenewed { .. } => "LeaseRenewed",
        Event::LeaseReleased(_) => "LeaseReleased",
        Event::Claim { .. } => "Claim",
        Event::Tick => "Tick",
    }
}

/// A dispatcher with a script for a scheduler, and what it last asked for.
pub(super) struct Stage {
    pub core: Core<Script>,
    pub ops: Vec<Op>,
    pub now_ms: u64,
}

impl Stage {
    pub(super) fn new(script: Script) -> Self {
        Self::recovered(script, Restored { config: config(4), ..Restored::default() })
    }

    pub(super) fn recovered(script: Script, restored: Restored) -> Self {
        let (core, ops) = Core::recover(script, restored, at(0));
        Self { core, ops, now_ms: 0 }
    }

    pub(super) fn give(&mut self, input: Input) -> &mut Self {
        self.ops = self.core.apply(input, at(self.now_ms));
        self
    }

    /// The record that is being written; there is exactly one.
    pub(super) fn record(&self) -> (WriteId, Record) {
        let mut writes = self.ops.iter().filter_map(|op| match op {
            Op::Write { id, record } => Some((*id, record.clone())),
            Op::Note(_)
            | Op::Run { .. }
            | Op::StopRun { .. }
            | Op::Load { .. }
            | Op::Unload { .. }
            | Op::Claimed { .. }
            | Op::LeaseGranted { .. }
            | Op::LeaseOver { .. } => None,
        });
        let found = writes.next().unwrap_or_else(|| panic!("nothing is written: {:?}", self.ops));
        assert!(writes.next().is_none(), "more than one record: {:?}", self.ops);
        found
    }

    /// The one record is on disk.
    pub(super) fn written(&mut self) -> &mut Self {
        let (id, _) = self.record();
        self.give(Input::Written(id))
    }

    /// The one record is not on disk.
    pub(super) fn unwritten(&mut self, why: NotWritten) -> &mut Self {
        let (id, _) = self.record();
        self.give(Input::NotWritten(id, why))
    }

    pub(super) fn heard(&self) -> Vec<&'static str> {
        self.core.machine().heard.iter().map(word).filter(|word| *word != "WorldChanged").collect()
    }

    pub(super) fn last_heard(&self) -> &Event {
        self.core.machine().heard.last().unwrap()
    }

    pub(super) fn calls(&self) -> Vec<&Op> {
        self.ops.iter().filter(|op| !matches!(op, Op::Write { .. } | Op::Note(_))).collect()
    }
}

pub(super) fn full() -> NotWritten {
    NotWritten::Unavailable("the disk is full".into())
}

pub(super) fn start(seq: u64) -> Decision {
    Decision::Start { task: TaskSeq(seq), place: place() }
}

pub(super) fn cancel(seq: u64) -> Input {
    Input::Cancel { task: TaskSeq(seq), by: "Ada".into(), reason: "changed my mind".into() }
}

pub(super) fn ended(seq: u64, attempt: u32, outcome: RunOutcome) -> Input {
    Input::RunEnded { task: TaskSeq(seq), attempt, outcome }
}

pub(super) fn failure(transient: bool) -> RunOutcome {
    RunOutcome::Failed(RunFailure {
        code: "runtime_error",
        message: "it fell over".into(),
        transient,
        retry_after_ms: None,
    })
}
