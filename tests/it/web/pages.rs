//! Every page in good times, on the first day, with old observations, and when everything is wrong: what a text browser
//! shows of it, and that it is well made.

use arcology::core::Digest;
use arcology::remember::store::row::{JournalRow, JournalState, TaskState};
use arcology::tell::web::api::drift::DriftFilter;
use arcology::tell::web::api::runtime::RuntimeFacts;
use arcology::tell::web::facts::{Facts, Queue};
use arcology::tell::web::render::{Template, html};
use arcology::tell::web::view;
use arcology::tell::web::view::vault::Preview;

use super::html::{faults, text};
use super::sample::{self, artifact, at, key, name};
use super::sample_work;

/// Every page that is made of facts alone.
pub fn of_facts(facts: &Facts, queue: &Queue) -> Vec<(&'static str, String)> {
    let all = DriftFilter::default();
    let mut pages = vec![
        ("home", html(Template::Home, &view::home::page(facts, queue)).unwrap()),
        ("drift", html(Template::Drift, &view::drift::page(facts, &all, 200, None)).unwrap()),
        ("locks", html(Template::Locks, &view::locks::page(facts, &Default::default(), &sample_work::past())).unwrap()),
        ("models", html(Template::Models, &view::model::page(facts)).unwrap()),
    ];
    if let Some(page) = view::runtime::page(facts, &RuntimeFacts::of(facts, &name("swap"))) {
        pages.push(("runtime", html(Template::Runtime, &page).unwrap()));
    }
    for (label, object) in [("loadout", "Loadout/desk"), ("policy", "Policy/default")] {
        if let Some(page) = view::object::page(facts, &key(object), &journal(), &sample::audit()) {
            pages.push((label, html(Template::Object, &page).unwrap()));
        }
    }
    pages
}

fn journal() -> Vec<JournalRow> {
    vec![JournalRow {
        id: "a1".into(),
        object: key("Loadout/desk"),
        verb: "load".into(),
        target: "{}".into(),
        reason: "the copilot is missing".into(),
        revision: None,
        started_at: at(-650),
        state: JournalState::Done,
        finished_at: Some(at(-640)),
        result: None,
    }]
}

/// Every page that is made of rows of the store, with rows and without.
pub fn of_rows(facts: &Facts) -> Vec<(&'static str, String)> {
    let (query, none) = (view::task::TaskQuery::default(), (None, None));
    let tasks = [
        sample::task("task-3", TaskState::Queued),
        sample::task("task-2", TaskState::Running),
        sample::task("task-1", TaskState::Done),
        sample::task("task-0", TaskState::Error),
    ];
    let files = [artifact("task-1", "brief.md", b"# Brief\n"), artifact("task-1", "stats.json", b"{}")];
    let counts = sample::queue().counts;
    let list = |rows| html(Template::Tasks, &view::task::list(facts, &query, counts, rows, 50, none)).unwrap();
    let one = |task, attempts: &[_], files: &[_]| {
        html(Template::Task, &view::task::page(facts, task, None, attempts, files)).unwrap()
    };
    let vault = |rows| html(Template::Vault, &view::vault::list(facts, &Default::default(), rows, 50, none)).unwrap();
    let audit = |rows| {
        html(Template::Audit, &view::audit::page(facts, &Default::default(), rows, 100, (None, Some("a1")))).unwrap()
    };
    vec![
        ("tasks", list(&tasks)),
        ("tasks_none", list(&[])),
        ("task_done", one(&tasks[2], &sample::attempts("task-1"), &files)),
        ("task_queued", one(&tasks[0], &[], &[])),
        ("task_failed", one(&tasks[3], &[], &[])),
        ("vault", vault(&files)),
        ("vault_none", vault(&[])),
        ("artifact", artifact_page(facts, Preview::Text { text: "# Brief\n".into(), cut: false })),
        ("artifact_gone", artifact_page(facts, Preview::Gone { why: "no artifact is in the vault".into() })),
        ("artifact_image", artifact_page(facts, Preview::Image { src: "/artifacts/ab/raw".into() })),
        ("artifact_audio", artifact_page(facts, Preview::Audio { src: "/artifacts/ab/raw".into() })),
        ("artifact_video", artifact_page(facts, Preview::Video { src: "/artifacts/ab/raw".into() })),
        ("artifact_file", artifact_page(facts, Preview::Download)),
        ("audit", audit(&sample::audit())),
        ("audit_none", audit(&[])),
    ]
}

fn artifact_page(facts: &Facts, preview: Preview) -> String {
    let rows = [artifact("task-1", "brief.md", b"# Brief\n")];
    let used = [artifact("task-5", "voice.wav", b"RIFF")];
    let page = view::vault::page(facts, Digest::of(b"# Brief\n"), &rows, (&used, false), preview).unwrap();
    html(Template::Artifact, &page).unwrap()
}

fn check(state: &str, pages: Vec<(&'static str, String)>) {
    for (page, html) in pages {
        assert_eq!(faults(&html), Vec::<String>::new(), "{page} when {state}");
        insta::with_settings!({prepend_module_to_snapshot => false, omit_expression => true}, {
            insta::assert_snapshot!(format!("{page}.{state}"), text(&html));
        });
    }
}

#[test]
fn in_good_times_every_page_says_so_and_why() {
    check("normal", of_facts(&sample::normal(), &sample::queue()));
}

#[test]
fn on_the_first_day_every_page_says_what_to_do() {
    check("empty", of_facts(&sample::empty(), &Queue { counts: Some(Default::default()), ..Queue::default() }));
}

#[test]
fn old_observations_are_shown_as_old_and_nothing_is_green_because_of_them() {
    let facts = sample::stale();
    let pages = of_facts(&facts, &sample::queue());
    let home = &pages[0].1;
    assert!(!text(home).contains("✓ loaded") && !text(home).contains("✓ Healthy"), "{}", text(home));
    check("stale", pages);
}

#[test]
fn when_everything_is_wrong_the_page_says_what_comes_first() {
    check("broken", of_facts(&sample::broken(), &sample::troubled_queue()));
}

#[test]
fn a_queue_that_cannot_be_read_is_not_shown_as_empty() {
    let queue = Queue { problem: Some("the store is closed".into()), ..Queue::default() };
    let shown = text(&html(Template::Home, &view::home::page(&sample::normal(), &queue)).unwrap());
    assert!(shown.contains("the queue is not known") && shown.contains("The queue is not known: the store is closed"));
    assert!(
        shown.contains("? ↻ tasks running (not known)") || shown.contains("? ? tasks running (not known)"),
        "{shown}"
    );
    assert!(!shown.contains("Nothing waits"));
}

#[test]
fn pages_of_rows_say_what_the_store_remembers() {
    check("rows", of_rows(&sample::normal()));
}

#[test]
fn an_error_is_a_page_that_leads_on() {
    let page = view::message::error(404, "Not Found", "no task is called `task-9`", Some("arcology get tasks"), at(0));
    let html = html(Template::Message, &page).unwrap();
    assert_eq!(faults(&html), Vec::<String>::new());
    insta::assert_snapshot!(text(&html), @r"
    # Not Found
    ✕ error 404
    no task is called `task-9`
    arcology get tasks
    - Status
    - All objects
    ");
}
