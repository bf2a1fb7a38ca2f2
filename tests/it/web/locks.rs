//! What the pages say of the scheduler in each of its states: locks, queue, reasons, rules; and that all of it is bounded.

use std::sync::Arc;

use arcology::act::engine::picture::Picture;
use arcology::decide::scheduler::view::{GpuLockView, SchedulerView};
use arcology::remember::store::row::TaskState;
use arcology::tell::web::facts::{Facts, Queue};
use arcology::tell::web::render::{Template, html};
use arcology::tell::web::view;
use arcology::tell::web::view::locks::{GPUS_SHOWN_MAX, LocksQuery, Past};
use arcology::tell::web::view::task::TaskQuery;

use super::html::{faults, links, text};
use super::sample::{self, name};
use super::sample_work::{self, gpu0};

fn scenes() -> [(&'static str, SchedulerView); 5] {
    [
        ("shared", sample_work::shared()),
        ("exclusive", sample_work::exclusive()),
        ("draining", sample_work::draining()),
        ("leased", sample_work::leased()),
        ("reasons", sample_work::reasons()),
    ]
}

fn facts(scheduler: SchedulerView) -> Facts {
    sample::facts(sample_work::picture(scheduler))
}

/// The tasks of a scene as the store has them: what is in the queue, and what runs.
fn queue(scheduler: &SchedulerView) -> Queue {
    let running = scheduler.gpus.values().flat_map(|lock| &lock.holders);
    let running = running.map(|holder| sample::task(&holder.id, TaskState::Running));
    let waiting = scheduler.queue.iter().map(|waiting| {
        let state = if waiting.blocked { TaskState::Blocked } else { TaskState::Queued };
        sample::task(&waiting.id, state)
    });
    Queue { open: running.chain(waiting).collect(), ..sample::queue() }
}

fn locks(facts: &Facts, past: &Past) -> String {
    html(Template::Locks, &view::locks::page(facts, &LocksQuery::default(), past)).unwrap()
}

/// A part of what a text browser shows, by the headings it stands between.
fn between(text: &str, from: &str, to: &str) -> String {
    let start = text.find(from).unwrap_or_else(|| panic!("{from} is not in {text}"));
    let end = text[start..].find(to).map_or(text.len(), |end| start + end);
    text[start..end].trim_end().to_owned()
}

#[test]
fn every_state_of_a_lock_is_told_in_words_on_both_pages() {
    for (scene, scheduler) in scenes() {
        let (queue, facts) = (queue(&scheduler), facts(scheduler));
        let home = html(Template::Home, &view::home::page(&facts, &queue)).unwrap();
        let page = locks(&facts, &sample_work::past());
        assert_eq!((faults(&home), faults(&page)), (Vec::new(), Vec::new()), "{scene}");
        let control = between(&text(&home), "## GPU locks", "## Source");
        insta::with_settings!({prepend_module_to_snapshot => false, omit_expression => true}, {
            insta::assert_snapshot!(format!("control.{scene}"), control);
            insta::assert_snapshot!(format!("locks.{scene}"), text(&page));
        });
    }
}

#[test]
fn a_task_that_waits_is_explained_in_four_parts_and_one_that_runs_is_not() {
    let facts = facts(sample_work::draining());
    let (row, told) = (sample::task("task-3", TaskState::Queued), sample_work::explanation());
    let page = html(Template::Task, &view::task::page(&facts, &row, Some(&told), &[], &[])).unwrap();
    assert_eq!(faults(&page), Vec::<String>::new());
    insta::with_settings!({prepend_module_to_snapshot => false, omit_expression => true}, {
        insta::assert_snapshot!("task_explained", between(&text(&page), "# Task", "## Artifacts"));
    });
    let short = html(Template::Task, &view::task::page(&facts, &row, None, &[], &[])).unwrap();
    let short = text(&short);
    assert!(short.contains("it drains for task-9") && !short.contains("Missing"), "{short}");
    let running = sample::task("task-2", TaskState::Running);
    let running = text(&html(Template::Task, &view::task::page(&facts, &running, None, &[], &[])).unwrap());
    assert!(!running.contains("Why it waits") && running.contains("Expected end: to end in 25 s"), "{running}");
}

#[test]
fn without_gpus_the_page_says_so_and_what_nobody_spoke_of_is_unknown() {
    let none = Facts::at(Arc::new(Picture::default()), sample::at(0));
    let page = locks(&none, &Past::default());
    assert_eq!(faults(&page), Vec::<String>::new());
    assert!(text(&page).contains("No host declares a GPU"), "{}", text(&page));

    let silent = facts(SchedulerView::default());
    let page = text(&locks(&silent, &Past { spans: Vec::new(), problem: Some("the store is closed".into()) }));
    assert!(page.contains("? unknown") && page.contains("The scheduler has said nothing of this GPU yet."), "{page}");
    assert!(page.contains("The past is not known: the store is closed"), "{page}");
    assert!(!page.contains("Nobody is on it") && !page.contains("Nobody held it"), "{page}");
}

#[test]
fn a_gpu_that_is_simulated_says_so_wherever_it_stands() {
    let mut scheduler = sample_work::shared();
    scheduler.gpus.get_mut(&gpu0()).unwrap().simulated = true;
    let facts = facts(scheduler);
    let home = text(&html(Template::Home, &view::home::page(&facts, &sample::queue())).unwrap());
    assert!(between(&home, "## GPU locks", "## Work").contains("shared simulated"), "{home}");
    assert!(text(&locks(&facts, &Past::default())).contains("shared simulated"));
}

#[test]
fn each_rule_in_force_leads_to_the_line_that_says_so() {
    let facts = sample::normal();
    let home = html(Template::Home, &view::home::page(&facts, &sample::queue())).unwrap();
    let lines: Vec<_> = links(&home).into_iter().filter(|link| link.contains("#line-")).collect();
    let line = |n| format!("/objects/Policy/default#line-{n}");
    assert_eq!(lines, [line(5), line(6), line(7), line(9), line(8)]);
    let key = sample::key("Policy/default");
    let page = html(Template::Object, &view::object::page(&facts, &key, &[], &[]).unwrap()).unwrap();
    assert!(page.contains("<span id=\"line-6\">  gpuSharedSlots: 2\n</span>"), "{page}");
}

#[test]
fn a_brake_is_told_with_the_line_that_pulls_it() {
    let paused = sample::POLICY.replace("  drift: correct\n", "  drift: correct\n  paused: true\n");
    let mut files = sample::usual();
    files[3].1 = &paused;
    let mut picture = sample::normal_picture();
    picture.world = Arc::new(sample::world(&files, None, sample::revision(1, "Pause", "Ada Lovelace", -60)));
    let home = html(Template::Home, &view::home::page(&sample::facts(picture), &sample::queue())).unwrap();
    let rules = between(&text(&home), "## Rules in force", "## Source");
    assert!(rules.contains("‖ paused nothing new starts here") && rules.contains("paused true"), "{rules}");
    assert!(links(&home).contains(&"/objects/Policy/default#line-9".to_owned()));
}

#[test]
fn a_thousand_holders_and_forty_gpus_make_a_bounded_page() {
    let mut scheduler = sample_work::shared();
    let lock: GpuLockView = scheduler.gpus.remove(&gpu0()).unwrap();
    for n in 0..40 {
        let mut lock = GpuLockView { slots: 64, ..lock.clone() };
        let holder = lock.holders[0].clone();
        let many = (0..1_000).map(|n| arcology::decide::scheduler::view::HolderView {
            id: format!("task-{n}").into(),
            ..holder.clone()
        });
        lock.holders = many.take(if n == 0 { 1_000 } else { 64 }).collect();
        let mut gpu = gpu0();
        gpu.gpu = name(&format!("gpu{n}"));
        scheduler.gpus.insert(gpu, lock);
    }
    let facts = facts(scheduler);
    let page = locks(&facts, &Past::default());
    assert_eq!(faults(&page), Vec::<String>::new());
    assert_eq!(page.matches("<svg class=\"timeline\"").count(), GPUS_SHOWN_MAX);
    assert!(text(&page).contains(&format!("and {} more: choose one above.", 40 - GPUS_SHOWN_MAX)));
    assert!(page.len() < 4 << 20, "{} bytes", page.len());
}

#[test]
fn the_address_of_a_filtered_front_page_keeps_its_filter() {
    let query = TaskQuery { tag: Some("project:Acme".into()), ..TaskQuery::default() };
    let queue = Queue { query, open: Vec::new(), ..sample::queue() };
    let home = html(Template::Home, &view::home::page(&sample::normal(), &queue)).unwrap();
    assert!(links(&home).contains(&"/?tag=project%3AAcme".to_owned()), "reload keeps it");
    let shown = text(&home);
    assert!(shown.contains("Nothing that runs or waits matches this filter.") && shown.contains("clear filter"));
    assert_eq!(faults(&home), Vec::<String>::new());
}
