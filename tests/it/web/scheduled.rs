//! What scripts and people learn of the scheduler over a real connection: tasks with estimates and reasons, locks page by
//! page, what calls for a person; and that a long queue costs no more than a short one.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use arcology::decide::scheduler::state::State;
use arcology::decide::scheduler::view::{HolderView, SchedulerView};
use arcology::decide::scheduler::{Config, Event, Moment, Request, TaskSeq};
use arcology::decide::view::ModelState;
use arcology::remember::store::LockChange;
use arcology::remember::store::row::TaskState;
use arcology::tell::web::Explainer;
use arcology::tell::web::attention;
use arcology::tell::web::facts::Facts;
use serde_json::{Value, json};

use super::html::{faults, text};
use super::sample::{self, at, name};
use super::sample_work::{self, gpu0};
use super::site::Site;

async fn site(scheduler: SchedulerView) -> Site {
    let explainer: Explainer = Arc::new(|task| {
        let told = (task == "task-3").then(sample_work::explanation);
        Box::pin(async { told })
    });
    let site = Site::explained(sample_work::picture(scheduler), Some(explainer)).await;
    site.add_task("task-2", TaskState::Running).await;
    for n in 3..6 {
        site.add_task(&format!("task-{n}"), TaskState::Queued).await;
    }
    site
}

fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<_> = value.as_object().expect("an object").keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

#[tokio::test]
async fn a_waiting_task_has_an_estimate_with_its_band_and_the_newest_reason() {
    let mut scheduler = sample_work::shared();
    scheduler.queue[0].id = "task-4".into();
    let site = site(scheduler).await;
    let task = site.get("/api/v1/tasks/task-4").await.json();
    assert_eq!(task["eta"], json!({"optimistic": 30, "likely": 42, "pessimistic": 150}));
    assert_eq!((&task["eta_seconds"], &task["why"]["reason"]), (&json!(42), &json!("SharedSlotsFull")));
    assert_eq!(task["why"]["clears_at"], json!("2026-11-21T10:00:25Z"));
    assert_eq!(keys(&task["why"]), ["clears_at", "message", "reason"]);
    let listed = site.get("/api/v1/tasks?state=queued").await.json();
    let listed = listed["items"].as_array().unwrap().iter().find(|item| item["id"] == "task-4").unwrap().clone();
    assert_eq!(listed, task, "the list and the task say the same");

    let listed = site.get("/api/v1/tasks?state=queued").await.json();
    let behind = listed["items"].as_array().unwrap().iter().find(|item| item["id"] == "task-3").unwrap();
    let asked = site.get("/api/v1/tasks/task-3").await.json();
    assert_eq!((&behind["why"], &behind["eta"]), (&asked["why"], &asked["eta"]), "behind the published head, too");
    assert!(behind["why"]["reason"].is_string(), "{behind:#}");

    let running = site.get("/api/v1/tasks/task-2").await.json();
    assert_eq!((&running["eta_seconds"], &running["eta"], &running["why"]), (&json!(25), &Value::Null, &Value::Null));
    let untold = site.get("/api/v1/tasks/task-5").await.json();
    assert_eq!(
        (&untold["eta"], &untold["why"]["message"]),
        (&Value::Null, &json!("both shared slots of desk/gpu0 are taken"))
    );
}

#[tokio::test]
async fn the_answer_at_length_is_json_too_and_empty_for_what_does_not_wait() {
    let site = site(sample_work::draining()).await;
    let why = site.get("/api/v1/tasks/task-3/why").await.json();
    assert_eq!(why["eta"], json!({"optimistic": 300, "likely": 600, "pessimistic": 1300, "samples": 5}));
    assert_eq!((&why["ahead"], &why["why"]["reason"]), (&json!(4), &json!("VramFull")));
    assert_eq!(why["shortfall"], json!("4.4 GB more VRAM on desk/gpu0"));
    assert_eq!(why["chain"].as_array().unwrap().len(), 2);
    let none = site.get("/api/v1/tasks/task-2/why").await.json();
    assert_eq!((&none["why"], &none["ahead"], &none["chain"]), (&Value::Null, &Value::Null, &json!([])));
    assert_eq!(keys(&none), keys(&why));
}

#[tokio::test]
async fn locks_are_listed_page_by_page_first_what_is_not_over_then_what_is_past() {
    let site = site(sample_work::leased()).await;
    let past = sample_work::spans().into_iter().map(LockChange::Began).collect();
    site.state.store.lock_changes(past).await.unwrap();
    for limit in [1, 2, 3, 4, 100] {
        let (mut told, mut address) = (Vec::new(), format!("/api/v1/locks?limit={limit}"));
        loop {
            let page = site.get(&address).await.json();
            let items = page["items"].as_array().unwrap();
            assert!(items.len() <= limit && !items.is_empty(), "{address}: {page}");
            told.extend(items.iter().map(|item| {
                let word = |key: &str| item[key].as_str().unwrap().to_owned();
                format!("{} {} {}", word("state"), word("type"), word("owner"))
            }));
            let Some(next) = page["next"].as_str() else { break };
            address = format!("/api/v1/locks?limit={limit}&cursor={}", next.replace('+', "%2B").replace(' ', "%20"));
        }
        assert_eq!(
            told,
            [
                "held exclusive lease 7f (game night)",
                "held lease lease 7f (game night)",
                "waiting lease lease 80 (a benchmark)",
                "past lease lease-7e",
                "past shared task-83",
                "past exclusive task-82",
                "past draining task-82",
                "past shared task-81",
                "past shared task-80",
            ],
            "limit {limit}"
        );
    }
    let filtered = site.get("/api/v1/locks?state=past&type=exclusive&gpu=gpu0").await.json();
    assert_eq!(filtered["items"].as_array().unwrap().len(), 1);
    assert_eq!(filtered["items"][0]["owner_task_id"], json!("task-82"));
    let waiting = site.get("/api/v1/locks?state=waiting").await.json();
    assert_eq!((waiting["items"].as_array().unwrap().len(), &waiting["next"]), (1, &Value::Null));
    assert_eq!(waiting["items"][0]["expected_at"], json!("2026-11-21T10:10:00Z"));
}

#[tokio::test]
async fn status_and_resources_name_every_lock_with_its_owner() {
    let site = site(sample_work::draining()).await;
    let lock = |kind: &str, task: &str| json!({"type": kind, "host": "desk", "gpu": "gpu0", "owner_task_id": task});
    let both = json!([lock("draining", "task-9"), lock("shared", "task-2")]);
    let resources = site.get("/api/v1/resources").await.json();
    assert_eq!((&resources["locks"], &resources["gpu"]["mode"]), (&both, &json!("draining")));
    assert_eq!(resources["gpus"][0]["vram_idle_gb"], json!(0.0));
    let status = site.get("/api/v1/status").await.json();
    assert_eq!((&status["locks"], &status["eta_coverage"]), (&both, &json!({"inside": 82, "total": 100})));
}

/// Models that a loadout wants, that a task uses, that move, and one that does nothing.
#[test]
fn a_model_is_idle_when_it_is_loaded_and_neither_used_nor_wanted() {
    let mut picture = sample::normal_picture();
    let files: Vec<_> = sample::usual().into_iter().filter(|(path, _)| !path.contains("loadouts")).collect();
    picture.world = Arc::new(sample::world(&files, None, sample::revision(1, "No loadout", "Ada Lovelace", -60)));
    let idle = |picture: &arcology::act::engine::picture::Picture| {
        let facts = sample::facts(picture.clone());
        let models = arcology::tell::web::api::model::all(&facts);
        let idle: Vec<_> = models.iter().map(|model| (model.name().to_owned(), model.idle)).collect();
        let home = arcology::tell::web::view::lock::tiles(&facts);
        let told =
            home[0].idle.as_ref().map(|idle| idle.models.iter().map(|model| model.text.clone()).collect::<Vec<_>>());
        (idle.into_iter().filter(|(_, idle)| *idle == Some(true)).map(|(name, _)| name).collect::<Vec<_>>(), told)
    };
    let on_gpu = vec!["minilm".to_owned(), "qwen2.5-7b-q4".to_owned()];
    assert_eq!(idle(&picture), (vec!["textrank".into(), "minilm".into(), "qwen2.5-7b-q4".into()], Some(on_gpu)));
    let mut scheduler = sample_work::shared();
    let at =
        |served_as: &str| arcology::decide::scheduler::ModelAt { runtime: name("swap"), served_as: served_as.into() };
    scheduler.in_use.insert(at("qwen2.5-7b"), vec!["task-2".into()]);
    scheduler.last_used.insert(at("minilm"), sample::at(-30));
    picture.scheduler = Arc::new(scheduler);
    assert_eq!(idle(&picture).1, Some(vec!["minilm".to_owned()]));
    let facts = Facts::at(Arc::new(picture.clone()), sample::at(0));
    let models = arcology::tell::web::api::model::all(&facts);
    let used = |name: &str| models.iter().find(|model| model.name() == name).unwrap().row().last_used_at;
    assert_eq!(used("qwen2.5-7b-q4"), Some(sample::at(0)), "a task uses it now");
    assert_eq!((used("minilm"), used("textrank")), (Some(sample::at(-30)), None));
    picture.runtimes.insert(name("swap"), sample::seen(sample::swap_view(ModelState::Loading), "swap /running", -100));
    assert_eq!(idle(&picture).1, Some(Vec::new()), "of what was not seen lately nobody says that it is idle");
}

/// The titles of what needs attention, each with what it is about and where it leads.
fn troubles(scheduler: SchedulerView) -> Vec<(String, String, String)> {
    let facts = Facts::at(Arc::new(sample_work::picture(scheduler)), at(0));
    let items = attention::list(&facts, &sample::queue());
    items.into_iter().map(|item| (item.object.unwrap_or_default(), item.title, item.href)).collect()
}

#[test]
fn work_that_waits_for_a_person_or_for_too_long_asks_for_attention_once() {
    let told = |object: &str, title: &str, href: &str| (object.to_owned(), title.to_owned(), href.to_owned());
    let mut scheduler = sample_work::reasons();
    for waiting in &mut scheduler.queue {
        waiting.since = at(-1_260);
        waiting.due_by = (waiting.why.reason == "Priority").then(|| at(-90));
    }
    let second = scheduler.queue[4].clone();
    scheduler.queue.push(second);
    assert_eq!(
        troubles(scheduler),
        [
            told("task-104", "waits for a runtime that does not exist", "/tasks/task-104"),
            told("task-103", "waits because the copilot is shielded", "/tasks/task-103"),
            told("task-107", "has waited for GPU memory for 21 min", "/tasks/task-107"),
            told("task-108", "has waited for disk space for 21 min", "/tasks/task-108"),
            told("task-111", "is overdue by 1 min, and waits still", "/tasks/task-111"),
        ]
    );
    let fresh: Vec<_> = troubles(sample_work::reasons()).into_iter().map(|(object, ..)| object).collect();
    assert_eq!(fresh, ["task-104", "task-103"], "waiting for memory is no trouble at first");
}

#[test]
fn a_drain_that_waits_for_others_and_a_lease_that_ends_ask_for_attention() {
    assert_eq!(troubles(sample_work::draining()), []);
    let mut alone = sample_work::draining();
    let lock = alone.gpus.get_mut(&gpu0()).unwrap();
    (lock.holders, lock.since) = (Vec::new(), at(-200));
    let href = "/locks?gpu=desk%2Fgpu0";
    let title = "has drained for 3 min without a task of ours on it";
    assert_eq!(troubles(alone), [("desk/gpu0".to_owned(), title.to_owned(), href.to_owned())]);

    assert_eq!(troubles(sample_work::leased()), []);
    let mut stuck = sample_work::leased();
    let why = stuck.leases[1].why.as_mut().unwrap();
    why.reason = "CopilotPersistent";
    let title = "waits because the copilot is shielded";
    assert_eq!(troubles(stuck), [("lease 80 (a benchmark)".to_owned(), title.to_owned(), href.to_owned())]);
    let mut ends = sample_work::leased();
    ends.leases[0].until = at(8);
    let title = "ends now, unless its holder shows a sign of life";
    assert_eq!(troubles(ends), [("lease 7f (game night)".to_owned(), title.to_owned(), href.to_owned())]);
}

/// A task as the scheduler takes it.
fn request(n: u64, capability: &str) -> Request {
    Request {
        task: TaskSeq(n),
        id: format!("task-{n}").into(),
        capability: [capability.to_owned()].into(),
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
    }
}

#[tokio::test(start_paused = true)]
async fn a_scheduler_that_never_answers_holds_up_no_page() {
    let silent: Explainer = Arc::new(|_| Box::pin(std::future::pending()));
    let site = Site::explained(sample_work::picture(sample_work::shared()), Some(silent)).await;
    assert_eq!(site.state.explain("task-3").await, None);
}

#[tokio::test]
async fn what_the_scheduler_itself_says_is_what_page_and_json_say() {
    let facts = sample::normal();
    let mut state = State::new();
    let now = Moment { steady_ms: 60_000, wall: at(0) };
    state.apply(Event::WorldChanged(Arc::new(Config::of(&facts.picture.world))), now);
    state.apply(Event::Submitted(Box::new(request(3, "video.gen"))), now);
    state.apply(Event::Submitted(Box::new(request(4, "text.summarize"))), now);
    let told = state.explain(TaskSeq(3), now).expect("it waits: nobody makes videos here");
    let picture = sample_work::picture(state.view(now, 100));
    let state = Mutex::new(state);
    let explainer: Explainer = Arc::new(move |task| {
        let seq = task.strip_prefix("task-").and_then(|seq| seq.parse().ok());
        let told = seq.and_then(|seq| state.lock().unwrap().explain(TaskSeq(seq), now));
        Box::pin(async { told })
    });
    let site = Site::explained(picture, Some(explainer)).await;
    site.add_task("task-3", TaskState::Queued).await;
    site.add_task("task-4", TaskState::Queued).await;
    let json = site.get("/api/v1/tasks/task-3").await.json();
    assert_eq!((&json["why"]["reason"], &json["why"]["message"]), (&json!(told.why.reason), &json!(told.why.message)));
    assert_eq!(told.why.reason, "NoRuntime");
    let page = site.browse("/tasks/task-3").await;
    let page = text(page.text());
    assert!(page.contains(&told.why.message) && told.ruled_out.iter().all(|cause| page.contains(cause)), "{page}");
    let home = site.browse("/").await;
    assert_eq!(faults(home.text()), Vec::<String>::new());
    assert!(text(home.text()).contains("no. 1 in the queue"), "{}", text(home.text()));
    assert_eq!(site.get("/api/v1/resources").await.json()["gpu"]["mode"], json!("shared"));
}

#[tokio::test]
async fn a_queue_of_many_thousands_makes_a_page_as_small_and_as_quick_as_a_short_one() {
    const MANY: u64 = 10_000;
    let mut scheduler = sample_work::shared();
    let lock = scheduler.gpus.get_mut(&gpu0()).unwrap();
    lock.holders = (0..64)
        .map(|n| HolderView { id: format!("task-h{n}").into(), what: "text.embed".into(), since: at(-5), until: None })
        .collect();
    let one = scheduler.queue[0].clone();
    scheduler.queue = (0..1_000)
        .map(|n| arcology::decide::scheduler::view::Waiting { id: format!("task-{n}").into(), ..one.clone() })
        .collect();
    let site = Site::open(sample_work::picture(scheduler)).await;
    let adding = (0..MANY).map(|n| site.state.store.task_add(sample::task(&format!("task-{n}"), TaskState::Queued)));
    futures::future::join_all(adding).await.into_iter().for_each(|added| assert!(added.unwrap().new));
    for path in [
        "/",
        "/?tag=project%3AAcme",
        "/tasks",
        "/tasks?state=queued&capability=text.summarize",
        "/locks",
        "/tasks/task-7",
    ] {
        let begun = Instant::now();
        let page = site.browse(path).await;
        // Wide, for busy machines; it finds what grows with the number of tasks.
        assert!(begun.elapsed() < Duration::from_secs(3), "{path}: {:?}", begun.elapsed());
        assert_eq!((page.status, faults(page.text())), (200, Vec::new()), "{path}");
        assert!(page.body.len() < 256 << 10, "{path}: {} bytes", page.body.len());
        assert!(page.text().matches("<tr").count() < 200, "{path}");
    }
    let home = text(site.browse("/").await.text());
    assert!(home.contains(&format!("and {} more", MANY - 12)), "{home}");
    assert!(home.contains("no. 12 in the queue") && !home.contains("no. 13 in the queue"));
}
