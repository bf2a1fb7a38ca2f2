//! What people and committed Tasks ask of the program: written down first, and only then said to be accepted.

use std::sync::Arc;

use crate::core::{Kind, Name, ObjectKey};
use crate::decide::dispatch::Input;
use crate::decide::reconcile::{Intent, Target, Verb, task};
use crate::decide::scheduler::{Dependency, Event as Told, GpuId, LeaseId, LeaseRequest, Request, TaskSeq};
use crate::declare::manifest::Spec;
use crate::declare::manifest::kind::task::{OnFailure, TaskSpec};

use super::super::broken::Broken;
use super::super::event::{Event, Line, Whom};
use super::super::run::Simulation;
use super::super::script::{LeaseScript, Submission};

/// Who asks.
const PERSON: &str = "uid 1000";
/// How long a committed Task works: it says nothing of it.
const COMMITTED_WORK_MS: u64 = 3_000;

impl Simulation<'_> {
    /// A person submits a task. Nobody hears them while the program is not there.
    pub fn submit(&mut self, one: &Submission) {
        if self.program.is_none() {
            return;
        }
        let id: Arc<str> = format!("task-{:04}", one.label).into();
        let known: Vec<Arc<str>> =
            one.depends_on.iter().filter_map(|label| self.witness.accepted.get(label).cloned()).collect();
        let request = Request {
            task: TaskSeq(0),
            id: Arc::clone(&id),
            capability: one.capability.as_slice().into(),
            runtime: one.runtime.clone(),
            model: one.model.clone(),
            priority: one.priority,
            force: one.force,
            exclusive: one.exclusive,
            not_before: one.not_before_ms.map(|ms| self.clocks.true_wall(ms)),
            depends_on: known.into_iter().map(|id| self.disk.tables.ledger.dependency(id)).collect(),
            runs_on_failure: one.runs_on_failure,
            input_tokens: one.input_tokens,
            output_gb: None,
            waited_ms: 0,
            attempts: 0,
            backoff: None,
        };
        if self.rule == Some(Broken::AcceptedBeforeWritten) {
            self.witness.accepted.insert(one.label, Arc::clone(&id));
        }
        for _ in 0..if one.twice { 2 } else { 1 } {
            let line = Line::Accept { request: Box::new(request.clone()), object: None, work_ms: one.work_ms };
            self.write(line, Whom::Submitter { label: Some(one.label) });
        }
    }

    /// A task reached the disk: it is accepted from now on, and the dispatcher is told of it.
    pub fn accepted(&mut self, seq: TaskSeq, label: Option<u32>, is_new: bool) {
        let Some(task) = self.disk.tables.ledger.tasks.get(&seq) else { return };
        if let Some(label) = label {
            self.witness.accepted.insert(label, Arc::clone(&task.request.id));
        }
        let stored = self.disk.tables.ledger.stored(task);
        if let Some(program) = &mut self.program {
            program.memory.tasks = self.disk.tables.ledger.facts();
        }
        if is_new {
            self.dispatch(Input::Accepted(Box::new(stored)));
        }
    }

    fn seq_of(&self, label: u32) -> Option<TaskSeq> {
        self.disk.tables.ledger.ids.get(self.witness.accepted.get(&label)?).copied()
    }

    pub fn cancel(&mut self, label: u32) {
        if let Some(task) = self.seq_of(label) {
            self.dispatch(Input::Cancel { task, by: PERSON.into(), reason: "no longer wanted".into() });
        }
    }

    pub fn reroute(&mut self, label: u32, runtime: Option<Name>, model: Option<Name>) {
        if let Some(task) = self.seq_of(label) {
            self.dispatch(Input::Reroute { task, runtime, model, by: PERSON.into() });
        }
    }

    /// A person lets a task that is over run again.
    pub fn retry(&mut self, label: u32) {
        let Some(seq) = self.seq_of(label) else { return };
        let over = self.disk.tables.ledger.tasks.get(&seq).is_some_and(|task| task.state.is_final());
        if over && self.program.is_some() {
            self.write(Line::Rerun(seq), Whom::Submitter { label: None });
        }
    }

    /// Another program asks for a GPU.
    pub fn ask_lease(&mut self, lease: &LeaseScript) {
        let id: LeaseId = format!("lease-{}", lease.label).into();
        let gpus = lease.gpus.iter().filter_map(|at| self.script.site.gpus.get(*at));
        let request = LeaseRequest {
            id: Arc::clone(&id),
            gpus: gpus.map(|gpu| GpuId { host: gpu.host.clone(), gpu: gpu.gpu.clone() }).collect(),
            holder: "training".into(),
            purpose: "fine-tuning".into(),
            exclusive: lease.exclusive,
            vram_gb: lease.vram_gb,
            force: lease.force,
            priority: lease.priority,
            ttl_ms: lease.ttl_ms,
            held: false,
        };
        let (now_ms, until_ms) = (self.clocks.true_ms, self.clocks.true_ms + lease.lives_ms);
        self.dispatch(Input::LeaseAsk { lease: Box::new(request), by: PERSON.into() });
        let beat_ms = (lease.ttl_ms / 3).max(1);
        self.calendar.put(now_ms + beat_ms, Event::Beat { id: Arc::clone(&id), ttl_ms: lease.ttl_ms, until_ms });
        if lease.releases {
            self.calendar.put(until_ms, Event::Release(id));
        }
    }

    /// The holder of a lease gives a sign of life, and another one later, for as long as it lives.
    pub fn beat(&mut self, id: LeaseId, ttl_ms: u64, until_ms: u64) {
        if self.clocks.true_ms < until_ms {
            self.dispatch(Input::LeaseRenew { id: Arc::clone(&id), ttl_ms });
            self.calendar.put(self.clocks.true_ms + (ttl_ms / 3).max(1), Event::Beat { id, ttl_ms, until_ms });
        }
    }

    pub fn release(&mut self, id: LeaseId) {
        self.dispatch(Input::LeaseRelease { id, by: PERSON.into() });
    }

    /// Carries out an intent of the planner that is about a task.
    ///
    /// # Errors
    /// What stands against it.
    pub fn carry_out_task(&mut self, key: &ObjectKey, intent: &Intent) -> Result<(), String> {
        let Target::Task { id } = &intent.target else { return Err("it is not about a task".into()) };
        if intent.verb == Verb::Cancel {
            let seq = self.disk.tables.ledger.ids.get(id.as_str()).copied().ok_or("there is no such task")?;
            self.dispatch(Input::Cancel { task: seq, by: "arcology".into(), reason: intent.reason.clone() });
            return Ok(());
        }
        let world = Arc::clone(&self.program.as_ref().ok_or("the program ended")?.memory.world);
        let spec = match world.objects.get(key).map(|object| &object.document.spec) {
            Some(Spec::Task(spec)) => spec.clone(),
            _ => return Err("it is gone".into()),
        };
        let request = self.committed(id.as_str().into(), &spec);
        let line = Line::Accept { request: Box::new(request), object: Some(key.clone()), work_ms: COMMITTED_WORK_MS };
        self.write(line, Whom::Submitter { label: None });
        Ok(())
    }

    fn committed(&self, id: Arc<str>, spec: &TaskSpec) -> Request {
        Request {
            task: TaskSeq(0),
            id,
            capability: spec.capability.0.as_slice().into(),
            runtime: spec.target.runtime.clone(),
            model: spec
                .target
                .model
                .as_deref()
                .filter(|model| *model != "auto")
                .and_then(|model| Name::new(model).ok()),
            priority: spec.priority,
            force: spec.force,
            exclusive: spec.policy_overrides.gpu_exclusive,
            not_before: spec.not_before,
            depends_on: self.dependencies_of(spec),
            runs_on_failure: spec.on_failure == OnFailure::Run,
            input_tokens: None,
            output_gb: None,
            waited_ms: 0,
            attempts: 0,
            backoff: None,
        }
    }

    /// What a committed Task depends on: the tasks that the Tasks it names became.
    fn dependencies_of(&self, spec: &TaskSpec) -> Vec<Dependency> {
        let Some(program) = &self.program else { return Vec::new() };
        let world = &program.memory.world;
        let ids = spec.dependencies.iter().filter_map(|name| {
            let key = ObjectKey::new(Kind::Task, Name::new(name).ok()?);
            let object = world.objects.get(&key)?;
            Some(task::id_of(&key, &object.document.digest))
        });
        ids.map(|id| self.disk.tables.ledger.dependency(id.into())).collect()
    }

    /// After a new world: what committed Tasks depend on may have another id now.
    pub fn tell_dependencies(&mut self) {
        let Some(program) = &self.program else { return };
        let world = Arc::clone(&program.memory.world);
        let waiting: Vec<(TaskSeq, ObjectKey)> = self
            .disk
            .tables
            .ledger
            .tasks
            .iter()
            .filter(|(_, task)| !task.state.is_final())
            .filter_map(|(seq, task)| Some((*seq, task.object.clone()?)))
            .collect();
        for (seq, key) in waiting {
            let Some(object) = world.objects.get(&key) else { continue };
            let Spec::Task(spec) = &object.document.spec else { continue };
            let of_this_spec = task::id_of(&key, &object.document.digest);
            if self.disk.tables.ledger.tasks.get(&seq).is_none_or(|task| *task.request.id != *of_this_spec) {
                continue;
            }
            let on = self.dependencies_of(spec);
            let Some(task) = self.disk.tables.ledger.tasks.get_mut(&seq) else { continue };
            let same = task.request.depends_on.iter().map(|one| &one.id).eq(on.iter().map(|one| &one.id));
            if !same {
                task.request.depends_on.clone_from(&on);
                self.dispatch(Input::Event(Told::Depends { task: seq, on }));
            }
        }
    }
}
