//! Text from outside stays text: markup, right-to-left tricks, control characters and endless words in every field that
//! anybody but Arcology writes.

use std::sync::Arc;

use arcology::core::{Digest, ObjectKey, Observed};
use arcology::decide::host_view::{GpuProcess, GpuView};
use arcology::decide::reconcile::{Drift, FieldDifference, Hold, HoldReason, Sync};
use arcology::decide::scheduler::SchedulerView;
use arcology::decide::scheduler::view::{Explanation, HolderView, WhyView};
use arcology::decide::view::ModelState;
use arcology::remember::store::row::{JournalRow, JournalState, TaskError, TaskState, Why};
use arcology::tell::web::api::drift::DriftFilter;
use arcology::tell::web::api::runtime::RuntimeFacts;
use arcology::tell::web::facts::{Facts, Queue};
use arcology::tell::web::render::{Template, html};
use arcology::tell::web::view::locks::{LocksQuery, Past};
use arcology::tell::web::view::vault::{Preview, VaultQuery};
use arcology::tell::web::view::{self, audit::AuditQuery, task::TaskQuery};

use super::html::faults;
use super::sample::{self, artifact, at, key, name};
use super::sample_work;

const HOSTILE: [&str; 5] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)",
    "evil\u{202e}txt.exe\u{2066}\u{200b}\u{0007}",
    "{{ 7 * 7 }}{% raw %}javascript:alert(1)",
];

/// Facts in which every free text is `bad`.
fn facts(bad: &str) -> Facts {
    let mut picture = sample::normal_picture();
    let mut world = (*picture.world).clone();
    if let Some(revision) = &mut world.revision {
        (revision.branch, revision.commit.subject, revision.commit.author) = (bad.into(), bad.into(), bad.into());
    }
    for object in world.objects.values_mut() {
        let object = Arc::make_mut(object);
        if let Some(commit) = &mut object.asked_by {
            (commit.subject, commit.author) = (bad.into(), bad.into());
        }
        let document = Arc::make_mut(&mut object.document);
        document.text = bad.into();
        document.place.path = bad.into();
        document.labels.insert("label".into(), bad.into());
        document.annotations.insert(bad.into(), bad.into());
    }
    picture.world = Arc::new(world);
    (picture.source.repo, picture.source.branch) = (bad.into(), bad.into());
    picture.source.pending = Some(sample::revision(9, bad, bad, -9));
    picture.store_problem = Some(bad.into());
    picture.source.problem = Some(arcology::act::engine::picture::SourceProblem {
        reason: bad.into(),
        message: bad.into(),
        help: Some(bad.into()),
        since: at(-1),
    });
    let mut view = sample::swap_view(ModelState::Loading);
    (view.degraded, view.version) = (Some(bad.into()), Some(bad.into()));
    for model in &mut view.models {
        model.name = bad.into();
    }
    picture.runtimes.insert(name("swap"), sample::seen(view, bad, -3));
    let process = GpuProcess { pid: 1, name: Some(bad.into()), used_gb: None };
    let gpu = GpuView {
        name: Some(bad.into()),
        uuid: Some(bad.into()),
        processes: vec![process],
        note: Some(bad.into()),
        ..sample::gpu_view()
    };
    let fresh = std::time::Duration::from_secs(15);
    picture.gpus = Arc::new([((name("desk"), name("gpu0")), Observed::seen(gpu, bad, at(-1), fresh))].into());
    picture.hosts = Arc::new([(name("desk"), Observed::unknown(bad, bad))].into());
    picture.scheduler = Arc::new(scheduler(bad));
    let mut facts = sample::facts(picture);
    for status in &mut facts.statuses {
        status.sync = Sync::Drifted(Drift::Different);
        (status.reason, status.desired, status.observed, status.source) =
            (bad.into(), bad.into(), bad.into(), bad.into());
        let field =
            FieldDifference { field: bad.into(), desired: bad.into(), observed: bad.into(), drift: Drift::Different };
        status.fields = vec![field];
        let who = Some(bad.to_owned());
        status.hold = Some(Hold { reason: HoldReason::Suspended, message: bad.into(), who, until: Some(at(60)) });
    }
    facts
}

/// A scheduler to which everybody gave `bad` for a name.
fn scheduler(bad: &str) -> SchedulerView {
    let mut view = sample_work::leased();
    let lock = view.gpus.get_mut(&sample_work::gpu0()).unwrap();
    (lock.owner, lock.owner_task) = (Some(bad.into()), Some(bad.into()));
    lock.holders = vec![HolderView { id: bad.into(), what: bad.into(), since: at(-9), until: None }];
    for lease in &mut view.leases {
        (lease.id, lease.holder, lease.purpose) = (bad.into(), bad.into(), bad.into());
        lease.why = lease.why.take().map(|why| WhyView { message: bad.into(), ..why });
    }
    for waiting in &mut view.queue {
        (waiting.id, waiting.capability, waiting.why.message) = (bad.into(), bad.into(), bad.into());
    }
    view
}

fn explanation(bad: &str) -> Explanation {
    let mut told = sample_work::explanation();
    told.chain.iter_mut().chain([&mut told.why]).for_each(|why| why.message = bad.into());
    (told.shortfall, told.sooner, told.ruled_out) = (Some(bad.into()), Some(bad.into()), vec![bad.into()]);
    told
}

fn past(bad: &str) -> Past {
    let mut past = sample_work::past();
    past.problem = Some(bad.into());
    for span in past.spans.iter_mut().flat_map(|(_, spans)| spans) {
        (span.holder, span.what) = (bad.into(), bad.into());
    }
    past
}

/// Every page with `bad` in all of its free texts.
fn pages(bad: &str) -> Vec<String> {
    let facts = facts(bad);
    let none = (None, None);
    let mut task = sample::task(bad, TaskState::Error);
    task.error = Some(TaskError { code: bad.into(), message: bad.into(), incident: None });
    task.why = Some(Why { reason: bad.into(), message: bad.into(), clears_at: None });
    (task.actor, task.model) = (bad.into(), Some(bad.into()));
    (task.spec.tags, task.spec.dependencies) = (vec![bad.into()], vec![bad.into()]);
    task.spec.capability.0 = vec![bad.into()];
    (task.spec.inputs.text, task.spec.inputs.files) = (Some(bad.into()), vec![bad.into()]);
    task.spec.params.insert(bad.into(), bad.into());
    let mut attempts = sample::attempts(bad);
    (attempts[0].log, attempts[0].model, attempts[0].state) = (bad.into(), Some(bad.into()), bad.into());
    let mut file = artifact("task-1", "brief.md", b"x");
    (file.kind, file.path, file.task) = (bad.into(), format!("runs/{bad}"), bad.into());
    file.lineage = serde_json::json!({"prompt": bad});
    let mut audit = sample::audit();
    for row in &mut audit {
        (row.actor, row.verb, row.object, row.reason, row.result) =
            (bad.into(), bad.into(), bad.into(), bad.into(), bad.into());
        (row.before, row.after, row.revision) = (Some(bad.into()), Some(bad.into()), Some(bad.into()));
    }
    let journal = JournalRow {
        id: bad.into(),
        object: key("Loadout/desk"),
        verb: bad.into(),
        target: bad.into(),
        reason: bad.into(),
        revision: None,
        started_at: at(-9),
        state: JournalState::Failed,
        finished_at: None,
        result: Some(bad.into()),
    };
    let mut waiting = task.clone();
    waiting.state = TaskState::Queued;
    let queue =
        Queue { open: vec![task.clone()], failed: vec![task.clone()], problem: Some(bad.into()), ..Queue::default() };
    let files = [file];
    let text = Some(bad.to_owned());
    let tasks = TaskQuery { tag: text.clone(), object: text.clone(), ..TaskQuery::default() };
    let vault = VaultQuery { text: text.clone(), tag: text.clone(), ..VaultQuery::default() };
    let who = AuditQuery { object: text.clone(), actor: text, ..AuditQuery::default() };
    let object: ObjectKey = key("Loadout/desk");
    let preview = Preview::Text { text: bad.into(), cut: false };
    [
        html(Template::Home, &view::home::page(&facts, &queue)),
        html(Template::Drift, &view::drift::page(&facts, &DriftFilter::default(), 200, None)),
        html(Template::Locks, &view::locks::page(&facts, &LocksQuery::default(), &past(bad))),
        html(Template::Models, &view::model::page(&facts)),
        html(Template::Runtime, &view::runtime::page(&facts, &RuntimeFacts::of(&facts, &name("swap")))),
        html(Template::Object, &view::object::page(&facts, &object, &[journal], &audit)),
        html(Template::Tasks, &view::task::list(&facts, &tasks, None, &[task.clone()], 50, (None, Some(bad)))),
        html(Template::Task, &view::task::page(&facts, &waiting, Some(&explanation(bad)), &attempts, &files)),
        html(Template::Task, &view::task::page(&facts, &task, Some(&explanation(bad)), &attempts, &files)),
        html(Template::Vault, &view::vault::list(&facts, &vault, &files, 50, none)),
        html(Template::Artifact, &view::vault::page(&facts, Digest::of(b"x"), &files, (&files, true), preview)),
        html(Template::Audit, &view::audit::page(&facts, &who, &audit, 100, none)),
        html(Template::Message, &view::message::error(404, bad, bad, Some(bad), at(0))),
    ]
    .map(Result::unwrap)
    .into()
}

#[test]
fn text_from_outside_never_becomes_markup_and_never_hides() {
    for bad in HOSTILE {
        for (n, page) in pages(bad).iter().enumerate() {
            assert_eq!(faults(page), Vec::<String>::new(), "page {n}, {bad:?}");
            assert!(!page.contains("<script>") && !page.contains("<img src=x"), "page {n}, {bad:?}");
            let deceives = |c: char| c.is_control() && c != '\n' && c != '\t' || "\u{202e}\u{2066}\u{200b}".contains(c);
            assert_eq!(page.chars().find(|c| deceives(*c)), None, "page {n}, {bad:?}");
        }
    }
}

#[test]
fn the_hostile_text_is_really_on_every_page() {
    for (n, page) in pages("needle-in-the-page").iter().enumerate() {
        assert!(page.matches("needle-in-the-page").count() >= 3, "page {n}");
    }
}

#[test]
fn a_word_without_end_does_not_break_a_page() {
    let endless = "x".repeat(20_000);
    for (n, page) in pages(&endless).iter().enumerate() {
        assert_eq!(faults(page), Vec::<String>::new(), "page {n}");
    }
}
