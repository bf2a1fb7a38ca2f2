//! Work that waits for a person, or for longer than it should: each told once, with what it waits for.
//!
//! That a task waits is no trouble. It becomes one when nothing but a change will ever let it start, when it is overdue by
//! what was told when it was asked for, or when memory or disk have been missing for long.

use crate::core::Timestamp;
use crate::core::clock::millis_since;
use crate::core::text::{age, count};
use crate::decide::scheduler::GpuId;
use crate::decide::scheduler::view::{GpuLockView, LeaseView, Waiting};
use crate::tell::web::api::lock::lease_name;
use crate::tell::web::facts::Facts;
use crate::tell::web::view::href;

use super::{Attention, Severity, short};

/// For how long memory or disk may be missing before somebody should know.
const MISSING_FOR_MS: u64 = 10 * 60 * 1_000;
/// For how long a GPU may drain after the last of our own tasks there has ended.
const DRAINS_ALONE_MS: u64 = 60 * 1_000;
/// How far behind what was told a task may be before somebody should know. Most estimates are of seconds.
const LATE_BY_MS: u64 = 60 * 1_000;
/// A lease that shows no sign of life ends so soon: its holder has missed more than one.
const LEASE_ENDS_MS: u64 = 10 * 1_000;

/// What only a change can clear: a reason, and how the trouble is called.
const STUCK: [(&str, &str); 2] = [
    ("NoRuntime", "waits for a runtime that does not exist"),
    ("CopilotPersistent", "waits because the copilot is shielded"),
];
/// What clears by itself, but should not take long.
const MISSING: [(&str, &str); 2] = [("VramFull", "GPU memory"), ("DiskFull", "disk space")];

/// Tasks, locks and leases, those first that will never clear by themselves.
#[must_use]
pub fn list(facts: &Facts) -> Vec<Attention> {
    let (view, now) = (&facts.picture.scheduler, facts.now);
    let waits = |reason: &'static str| view.queue.iter().filter(move |waiting| waiting.why.reason == reason);
    let stuck = STUCK.iter().filter_map(|(reason, title)| group(waits(reason).collect(), |_| (*title).to_owned()));
    let long = |waiting: &&Waiting| millis_since(waiting.since, now) >= MISSING_FOR_MS;
    let missing = MISSING.iter().filter_map(|(reason, what)| {
        group(waits(reason).filter(long).collect(), |first| {
            format!("has waited for {what} for {}", age(millis_since(first.since, now)))
        })
    });
    // What is stuck or starved was told already.
    let told = |reason: &str| STUCK.iter().chain(&MISSING).any(|(known, _)| *known == reason);
    let late = |waiting: &&Waiting| {
        waiting.due_by.is_some_and(|due| millis_since(due, now) >= LATE_BY_MS) && !told(waiting.why.reason)
    };
    let overdue = group(view.queue.iter().filter(late).collect(), |first| {
        let by = first.due_by.map_or(0, |due| millis_since(due, now));
        format!("is overdue by {}, and waits still", age(by))
    });
    let drains = view.gpus.iter().filter_map(|(gpu, lock)| drains_alone(facts, gpu, lock));
    let leases = view.leases.iter().filter_map(|lease| lease_ends(lease, now).or_else(|| lease_stuck(lease)));
    stuck.chain(drains).chain(leases).chain(missing).chain(overdue).collect()
}

/// Tasks of one trouble are one item, told of the first in the queue.
fn group(tasks: Vec<&Waiting>, title: impl Fn(&Waiting) -> String) -> Option<Attention> {
    let first = *tasks.first()?;
    let others = match tasks.len() - 1 {
        0 => String::new(),
        n => format!("; so do {} behind it", count(n, "task")),
    };
    Some(Attention {
        severity: Severity::Warning,
        object: Some(first.id.to_string()),
        title: title(first),
        message: short(&format!("{}: {}{others}", first.why.reason, first.why.message)),
        href: format!("/tasks/{}", href::segment(&first.id)),
        next: Some(format!("arcology why {}", first.id)),
    })
}

/// A drain whose GPU has none of our tasks left: it waits for requests of others, which nobody here can end.
fn drains_alone(facts: &Facts, gpu: &GpuId, lock: &GpuLockView) -> Option<Attention> {
    let owner = lock.owner.as_ref().filter(|_| lock.mode == "draining" && lock.holders.is_empty())?;
    let since = millis_since(lock.since, facts.now);
    if since < DRAINS_ALONE_MS {
        return None;
    }
    let waiting = facts.picture.scheduler.queue.iter().find(|waiting| Some(&waiting.id) == lock.owner_task.as_ref());
    let why = waiting.map_or("what is left there is not known", |waiting| waiting.why.message.as_str());
    Some(Attention {
        severity: Severity::Warning,
        object: Some(gpu.to_string()),
        title: format!("has drained for {} without a task of ours on it", age(since)),
        message: short(&format!("{owner} is to own it: {why}")),
        href: href::with_query("/locks", [("gpu", Some(gpu.to_string().as_str()))]),
        next: lock
            .owner_task
            .as_ref()
            .map(|task| format!("arcology why {task}"))
            .or_else(|| Some("arcology status".into())),
    })
}

/// A lease that waits for what only a change can clear.
fn lease_stuck(lease: &LeaseView) -> Option<Attention> {
    let why = lease.why.as_ref().filter(|_| !lease.granted)?;
    let (_, title) = STUCK.iter().find(|(reason, _)| *reason == why.reason)?;
    Some(of_lease(lease, (*title).to_owned(), &format!("{}: {}", why.reason, why.message)))
}

/// A lease whose holder has shown no sign of life for so long that it is about to be taken back.
fn lease_ends(lease: &LeaseView, now: Timestamp) -> Option<Attention> {
    let left = millis_since(now, lease.until);
    if !lease.granted || left > LEASE_ENDS_MS {
        return None;
    }
    let gpus: Vec<String> = lease.gpus.iter().map(ToString::to_string).collect();
    let message = format!("{} holds {} until {}", lease.holder, gpus.join(", "), lease.until);
    Some(of_lease(lease, "ends now, unless its holder shows a sign of life".to_owned(), &message))
}

fn of_lease(lease: &LeaseView, title: String, message: &str) -> Attention {
    let first = lease.gpus.first().map(ToString::to_string);
    Attention {
        severity: Severity::Warning,
        object: Some(lease_name(lease)),
        title,
        message: short(message),
        href: href::with_query("/locks", [("gpu", first.as_deref())]),
        next: Some("arcology lease list".into()),
    }
}
