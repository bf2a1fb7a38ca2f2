//! Random scripts against the runner on a paused clock: what must hold for every run of every key, whatever happens.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use proptest::prelude::*;
use tokio::runtime::Builder;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{Controller, Handle, Lane, Options, Outcome, Run};
use crate::core::backoff::CAP;

const KEYS: u8 = 5;
const EDGES: u8 = 2;
const FAST_SLOTS: usize = 2;
const SLOW_SLOTS: usize = 1;
const RUN_DEADLINE: Duration = Duration::from_secs(20);

/// Something told to the controller.
#[derive(Clone, Debug)]
enum Told {
    Trigger(u8, Lane),
    TriggerAll(Lane),
    Changed(u8, u64),
    Wake(u8),
    Forget(u8),
}

/// How one run behaves: how long it takes, and what it says.
#[derive(Clone, Debug)]
enum Behaviour {
    Says(Duration, Outcome<u8>),
    Panics(Duration),
    Hangs,
}

/// What happened, in order.
#[derive(Clone, Debug, PartialEq)]
enum Note {
    /// The key was promised a run that starts after this.
    Promised(u8),
    Forgotten(u8),
    Started(u8),
    Ended(u8),
}

type Notes = Arc<Mutex<Vec<Note>>>;

/// Notes the end of a run, however it ends.
struct NotesEnd(u8, Notes);

impl Drop for NotesEnd {
    fn drop(&mut self) {
        self.1.lock().unwrap().push(Note::Ended(self.0));
    }
}

fn told() -> impl Strategy<Value = Told> {
    let lane = || prop::sample::select(vec![Lane::Person, Lane::Drift, Lane::Retry, Lane::Resync]);
    prop_oneof![
        5 => (0..KEYS, lane()).prop_map(|(key, lane)| Told::Trigger(key, lane)),
        1 => lane().prop_map(Told::TriggerAll),
        2 => (0..KEYS, 0u64..4).prop_map(|(key, generation)| Told::Changed(key, generation)),
        3 => (0..EDGES).prop_map(Told::Wake),
        1 => (0..KEYS).prop_map(Told::Forget),
    ]
}

fn lengths() -> impl Strategy<Value = Duration> {
    prop::sample::select(vec![0, 0, 1, 300, 1_500, 5_000]).prop_map(Duration::from_millis)
}

fn behaviours() -> impl Strategy<Value = Behaviour> {
    let outcome = prop_oneof![
        3 => prop::option::of(lengths()).prop_map(|resync| Outcome::Done { resync }),
        3 => (prop::collection::vec(0..EDGES, 0..2), lengths()).prop_map(|(on, rest)| Outcome::wait(on, rest, "waits")),
        2 => Just(Outcome::retry("failed")),
        2 => (0..EDGES).prop_map(|edge| Outcome::retry_dependency(edge, "down")),
    ];
    prop_oneof![
        8 => (lengths(), outcome).prop_map(|(length, outcome)| Behaviour::Says(length, outcome)),
        1 => lengths().prop_map(Behaviour::Panics),
        1 => Just(Behaviour::Hangs),
    ]
}

fn behave(behaviour: Behaviour) -> BoxFuture<'static, Outcome<u8>> {
    async move {
        match behaviour {
            Behaviour::Says(length, outcome) => {
                sleep(length).await;
                outcome
            }
            Behaviour::Panics(length) => {
                sleep(length).await;
                std::panic::resume_unwind(Box::new("on purpose"))
            }
            Behaviour::Hangs => pending().await,
        }
    }
    .boxed()
}

fn tell(handle: &Handle<u8, u8>, told: &Told, notes: &Notes) {
    let promise = |key| notes.lock().unwrap().push(Note::Promised(key));
    match told {
        Told::Trigger(key, lane) => {
            promise(*key);
            handle.trigger(key, *lane, "script");
        }
        Told::TriggerAll(lane) => {
            let known = known(&notes.lock().unwrap());
            known.into_iter().for_each(promise);
            handle.trigger_all(*lane, "script");
        }
        Told::Changed(key, generation) => {
            if handle.changed(key, *generation) {
                promise(*key);
            }
        }
        Told::Wake(edge) => handle.wake(edge),
        Told::Forget(key) => {
            notes.lock().unwrap().push(Note::Forgotten(*key));
            handle.forget(key);
        }
    }
}

/// The keys that were named and not forgotten since.
fn known(notes: &[Note]) -> Vec<u8> {
    let newest = |key| {
        notes.iter().rev().find(|note| matches!(note, Note::Promised(k) | Note::Forgotten(k) if *k == key)).cloned()
    };
    (0..KEYS).filter(|key| newest(*key) == Some(Note::Promised(*key))).collect()
}

/// Plays a script and lets everything that follows from it end. Runs without a behaviour of their own are done.
async fn play(script: Vec<(Duration, Told)>, behaviours: Vec<Behaviour>, seed: u64) -> Vec<Note> {
    let options = Options {
        fast_slots: FAST_SLOTS,
        slow_slots: SLOW_SLOTS,
        run_deadline: RUN_DEADLINE,
        seed,
        ..Options::default()
    };
    let (controller, notes, left) = (Controller::new(options), Notes::default(), Mutex::new(behaviours));
    let (handle, shutdown) = (controller.handle(), CancellationToken::new());
    let noted = Arc::clone(&notes);
    let reconcile = move |run: Run<u8, u8>, _| {
        noted.lock().unwrap().push(Note::Started(run.key));
        let (end, next) = (NotesEnd(run.key, Arc::clone(&noted)), left.lock().unwrap().pop());
        let said = behave(next.unwrap_or(Behaviour::Says(Duration::ZERO, Outcome::done())));
        async move {
            let outcome = said.await;
            drop(end);
            outcome
        }
        .boxed()
    };
    let runner = tokio::spawn(controller.run(reconcile, shutdown.clone()));
    for (pause, what) in script {
        sleep(pause).await;
        tell(&handle, &what, &notes);
        assert_eq!(handle.snapshot().defect, None);
    }
    // Every behaviour is used up or no key is left that would run; no backoff lasts longer than this.
    for _ in 0..60 {
        sleep(2 * CAP).await;
    }
    timeout(RUN_DEADLINE, handle.settled()).await.expect("it settles").expect("it runs");
    shutdown.cancel();
    let unfinished = timeout(RUN_DEADLINE, runner).await.expect("it stops").expect("the runner never panics");
    assert!(unfinished.dropped.is_empty() && unfinished.owed.is_empty(), "{unfinished:?}");
    notes.lock().unwrap().clone()
}

/// One key never twice at once, and never more runs at once than there are slots.
fn check_concurrency(notes: &[Note]) {
    let mut running: BTreeMap<u8, usize> = BTreeMap::new();
    for note in notes {
        match note {
            Note::Started(key) => *running.entry(*key).or_default() += 1,
            Note::Ended(key) => *running.get_mut(key).expect("only what started ends") -= 1,
            Note::Promised(_) | Note::Forgotten(_) => {}
        }
        assert!(running.values().all(|runs| *runs <= 1), "two runs of one key at once: {notes:?}");
        assert!(running.values().sum::<usize>() <= FAST_SLOTS + SLOW_SLOTS, "more runs than slots: {notes:?}");
    }
    assert!(running.values().all(|runs| *runs == 0), "a run never ended: {notes:?}");
}

/// Every promise is kept by a run that starts after it, unless the key was forgotten.
fn check_promises(notes: &[Note]) {
    for (nth, note) in notes.iter().enumerate() {
        let Note::Promised(key) = note else { continue };
        let kept = notes[nth..].iter().any(|later| *later == Note::Started(*key) || *later == Note::Forgotten(*key));
        assert!(kept, "nothing came of the trigger {nth} of {key}: {notes:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_promise_is_kept_and_no_key_runs_twice_at_once(
        seed: u64,
        script in prop::collection::vec((lengths(), told()), 1..40),
        behaviours in prop::collection::vec(behaviours(), 0..40),
    ) {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let notes = runtime.block_on(play(script, behaviours, seed));
        check_concurrency(&notes);
        check_promises(&notes);
    }
}
