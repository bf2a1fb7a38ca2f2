//! The runner on a paused clock, and once on real threads: each guarantee of the controller by name.

use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{Controller, Handle, Lane, Options, Outcome, Place, Reason, Run, Standing, Stopped, Unfinished};
use crate::core::backoff::{BASE, CAP};

type Said = Outcome<&'static str>;
type Look = Run<u32, &'static str>;

/// A controller that runs, and everything it ran.
struct Bench {
    handle: Handle<u32, &'static str>,
    shutdown: CancellationToken,
    runner: JoinHandle<Unfinished<u32>>,
    looks: Arc<Mutex<Vec<Look>>>,
}

impl Bench {
    fn start<F>(options: Options, reconcile: F) -> Self
    where
        F: Fn(Look, CancellationToken) -> BoxFuture<'static, Said> + Send + Sync + 'static,
    {
        let controller = Controller::new(options);
        let (handle, shutdown, looks) = (controller.handle(), CancellationToken::new(), Arc::default());
        let noted: Arc<Mutex<Vec<Look>>> = Arc::clone(&looks);
        let noting = move |run: Look, stop| {
            noted.lock().unwrap().push(run.clone());
            reconcile(run, stop)
        };
        let runner = tokio::spawn(controller.run(noting, shutdown.clone()));
        Self { handle, shutdown, runner, looks }
    }

    fn ask(&self, key: u32) {
        self.handle.trigger(&key, Lane::Drift, "asked");
    }

    fn looked_at(&self) -> Vec<u32> {
        self.looks.lock().unwrap().iter().map(|run| run.key).collect()
    }

    fn standing(&self, key: u32) -> Standing<u32, &'static str> {
        let snapshot = self.handle.snapshot();
        assert_eq!(snapshot.defect, None);
        snapshot.standings.into_iter().find(|standing| standing.key == key).expect("the key is known")
    }

    async fn settled(&self) {
        timeout(Duration::from_secs(60), self.handle.settled()).await.expect("it settles").expect("the runner runs");
    }

    async fn stop(self) -> Unfinished<u32> {
        self.shutdown.cancel();
        timeout(Duration::from_secs(60), self.runner).await.expect("it stops in time").expect("the runner never panics")
    }
}

fn says(outcome: Said) -> BoxFuture<'static, Said> {
    async { outcome }.boxed()
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// Lets everything that can happen without time passing happen.
async fn breathe() {
    sleep(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_run_gets_every_reason_that_was_gathered_for_it() {
    let bench = Bench::start(Options::default(), |_, _| says(Outcome::done()));
    bench.handle.changed(&7, 3);
    bench.handle.trigger(&7, Lane::Drift, "the model is gone");
    bench.settled().await;
    let looks = bench.looks.lock().unwrap();
    assert_eq!((looks.len(), looks[0].generation, looks[0].lane), (1, Some(3), Lane::Person));
    assert_eq!(looks[0].reasons.to_string(), "changed to generation 3; the model is gone");
}

#[tokio::test(start_paused = true)]
async fn triggers_act_at_once_without_waiting_for_a_timer() {
    let bench = Bench::start(Options::default(), |_, _| says(Outcome::wait(["edge"], secs(600), "")));
    let began = Instant::now();
    bench.ask(1);
    bench.settled().await;
    bench.handle.wake(&"edge");
    bench.settled().await;
    bench.handle.trigger_all(Lane::Person, "arcology reconcile");
    bench.settled().await;
    assert_eq!(bench.looked_at(), [1, 1, 1]);
    assert_eq!(began.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn the_runner_arms_the_timers_that_outcomes_ask_for() {
    let bench = Bench::start(Options::default(), |run, _| {
        says(match run.key {
            1 => Outcome::resync(secs(60)),
            _ => Outcome::wait(["never"], secs(90), "waits"),
        })
    });
    bench.ask(1);
    bench.ask(2);
    bench.settled().await;
    assert_eq!(bench.standing(1).place, Place::Scheduled { due_in: secs(60), lane: Lane::Resync });
    assert_eq!(bench.standing(2).place, Place::Waiting { on: vec!["never"], left: secs(90) });
    sleep(secs(100)).await;
    assert_eq!(bench.looked_at(), [1, 2, 1, 2]);
    assert!(bench.looks.lock().unwrap()[2].reasons.contains(&Reason::Resync));
    assert!(bench.looks.lock().unwrap()[3].reasons.contains(&Reason::DeadlinePassed));
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_an_error_of_that_object_alone() {
    let bench = Bench::start(Options::default(), |run, _| match run.key {
        1 if run.failures == 0 => panic!("before there is a future"),
        1 if run.failures == 1 => async { panic!("{}", "inside the future") }.boxed(),
        _ => says(Outcome::done()),
    });
    bench.ask(1);
    bench.ask(2);
    bench.settled().await;
    assert_eq!(bench.standing(2).place, Place::Idle);
    assert_eq!(bench.standing(1).said.as_deref(), Some("the reconciliation panicked: before there is a future"));
    assert!(matches!(bench.standing(1).place, Place::Scheduled { due_in, lane: Lane::Retry } if due_in >= BASE));
    sleep(3 * CAP).await;
    assert_eq!(bench.looked_at(), [1, 2, 1, 1]);
    assert_eq!((bench.standing(1).place, bench.standing(1).failures), (Place::Idle, 0));
}

#[tokio::test(start_paused = true)]
async fn an_overrun_is_an_error_of_that_object_alone_and_its_future_is_dropped() {
    let dropped = CancellationToken::new();
    let is_dropped = dropped.clone();
    let options = Options { fast_slots: 1, run_deadline: secs(30), ..Options::default() };
    let bench = Bench::start(options, move |run, _| match run.key {
        1 if run.failures == 0 => {
            let told_when_dropped = dropped.clone().drop_guard();
            pending::<Said>().map(|said| (told_when_dropped, said).1).boxed()
        }
        _ => says(Outcome::done()),
    });
    let began = Instant::now();
    bench.ask(1);
    breathe().await;
    bench.ask(2);
    sleep(secs(5)).await;
    assert_eq!(bench.looked_at(), [1, 2], "the one slot was given to the other when the first turned out slow");
    is_dropped.cancelled().await;
    breathe().await;
    assert_eq!((began.elapsed() - secs(30)).as_secs(), 0);
    assert_eq!(bench.standing(1).said.as_deref(), Some("it took longer than 30 s"));
    sleep(CAP).await;
    assert_eq!(bench.standing(1).place, Place::Idle);
}

#[tokio::test(start_paused = true)]
async fn an_edge_during_the_run_that_will_wait_for_it_is_not_lost() {
    let go_on = Arc::new(Notify::new());
    let gate = Arc::clone(&go_on);
    let bench = Bench::start(Options::default(), move |run, _| {
        let gate = Arc::clone(&gate);
        let first = !run.reasons.contains(&Reason::Woken { by: "swap is up" });
        async move {
            if first {
                // It has looked, and seen that swap is down; now swap comes up, and only then it says that it waits.
                gate.notified().await;
                return Outcome::wait(["swap is up"], secs(600), "swap is down");
            }
            Outcome::done()
        }
        .boxed()
    });
    bench.ask(1);
    breathe().await;
    bench.handle.wake(&"swap is up");
    go_on.notify_one();
    bench.settled().await;
    assert_eq!(bench.looked_at(), [1, 1]);
    assert_eq!(bench.standing(1).place, Place::Idle);
}

#[tokio::test(start_paused = true)]
async fn a_new_generation_and_forgetting_ask_a_run_to_end_early() {
    let bench = Bench::start(Options::default(), |run, stop| {
        async move {
            if run.generation == Some(1) {
                stop.cancelled().await;
                return Outcome::stalled("what an old generation says does not count");
            }
            Outcome::done()
        }
        .boxed()
    });
    bench.handle.changed(&1, 1);
    bench.handle.changed(&2, 1);
    breathe().await;
    bench.handle.changed(&1, 2);
    bench.handle.forget(&2);
    bench.settled().await;
    let snapshot = bench.handle.snapshot();
    let left: Vec<_> = snapshot.standings.iter().map(|standing| (standing.key, &standing.place)).collect();
    assert_eq!(left, [(1, &Place::Idle)]);
    assert_eq!(bench.looked_at(), [1, 2, 1]);
}

#[tokio::test(start_paused = true)]
async fn shutdown_starts_nothing_new_and_lets_runs_finish_within_the_grace_time() {
    let options = Options { fast_slots: 1, grace: secs(10), ..Options::default() };
    let bench = Bench::start(options, |_, _| sleep(secs(1)).map(|()| Outcome::done()).boxed());
    bench.ask(1);
    bench.ask(2);
    breathe().await;
    let (handle, looks) = (bench.handle.clone(), Arc::clone(&bench.looks));
    bench.shutdown.cancel();
    breathe().await;
    handle.trigger(&3, Lane::Person, "too late to run, not too late to be remembered");
    let unfinished = bench.stop().await;
    assert_eq!(unfinished, Unfinished { dropped: vec![], owed: vec![2, 3] });
    assert_eq!(looks.lock().unwrap().len(), 1);
    assert_eq!(handle.snapshot().standings[0].place, Place::Idle, "the first one finished");
}

#[tokio::test(start_paused = true)]
async fn what_is_told_together_with_shutdown_is_owed_and_not_started() {
    let bench = Bench::start(Options::default(), |_, _| says(Outcome::done()));
    breathe().await;
    bench.ask(1);
    let looks = Arc::clone(&bench.looks);
    assert_eq!(bench.stop().await, Unfinished { dropped: vec![], owed: vec![1] });
    assert!(looks.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn shutdown_drops_what_outlives_the_grace_time_and_says_so() {
    let bench = Bench::start(Options { grace: secs(10), ..Options::default() }, |run, stop| match run.key {
        1 => pending().boxed(),
        2 => async move {
            stop.cancelled().await;
            Outcome::retry("was asked to end early")
        }
        .boxed(),
        3 => says(Outcome::wait(["edge"], secs(600), "")),
        _ => says(Outcome::resync(secs(600))),
    });
    (1..=4).for_each(|key| bench.ask(key));
    breathe().await;
    let (began, handle) = (Instant::now(), bench.handle.clone());
    assert_eq!(bench.stop().await, Unfinished { dropped: vec![1], owed: vec![1, 2, 3] });
    assert_eq!(began.elapsed(), secs(10));
    let dropped = handle.snapshot().standings.into_iter().find(|standing| standing.key == 1).unwrap();
    assert!(matches!(dropped.place, Place::Pending { .. }), "what was cut short is requeued");
    assert!(dropped.reasons.contains(&Reason::CutShort));
}

#[tokio::test(start_paused = true)]
async fn settled_means_that_nothing_runs_or_is_due_and_waits_do_not_count() {
    let bench = Bench::start(Options::default(), |run, _| match run.key {
        1 => says(Outcome::wait(["edge"], secs(600), "")),
        2 => says(Outcome::retry("no")),
        _ => sleep(secs(5)).map(|()| Outcome::done()).boxed(),
    });
    assert!(bench.handle.is_settled(), "nothing was asked for yet");
    let began = Instant::now();
    bench.ask(1);
    bench.ask(2);
    assert!(!bench.handle.is_settled(), "asked for is not settled, even before the runner saw it");
    bench.settled().await;
    assert_eq!(began.elapsed(), Duration::ZERO);
    bench.ask(3);
    bench.settled().await;
    assert!(began.elapsed() >= secs(5));
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_a_runner_that_ended_is_told() {
    let bench = Bench::start(Options::default(), |_, _| pending().boxed());
    bench.ask(1);
    breathe().await;
    let waiting = tokio::spawn({
        let handle = bench.handle.clone();
        async move { handle.settled().await }
    });
    breathe().await;
    bench.runner.abort();
    assert_eq!(timeout(secs(5), waiting).await.expect("told at once").unwrap(), Err(Stopped));
}

#[tokio::test(start_paused = true)]
async fn among_a_thousand_hanging_and_failing_objects_a_persons_change_runs_at_once() {
    let options = Options { fast_slots: 2, slow_slots: 2, ..Options::default() };
    let bench = Bench::start(options, |run, _| match run.key {
        0..1_000 if run.failures == 0 => says(Outcome::retry("no")),
        0..1_000 => pending().boxed(),
        _ => says(Outcome::done()),
    });
    (0..1_000).for_each(|key| bench.ask(key));
    sleep(secs(60)).await;
    let began = Instant::now();
    bench.handle.changed(&5_000, 1);
    breathe().await;
    assert_eq!(bench.standing(5_000).place, Place::Idle);
    assert_eq!(bench.looked_at().last(), Some(&5_000));
    assert!(began.elapsed() <= Duration::from_millis(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_real_threads_no_trigger_is_lost_and_no_key_runs_twice_at_once() {
    const KEYS: u32 = 20;
    let running: Arc<Vec<AtomicUsize>> = Arc::new((0..KEYS).map(|_| AtomicUsize::new(0)).collect());
    let seen: Arc<Vec<AtomicUsize>> = Arc::new((0..KEYS).map(|_| AtomicUsize::new(0)).collect());
    let told: Arc<Vec<AtomicUsize>> = Arc::new((0..KEYS).map(|_| AtomicUsize::new(0)).collect());
    let bench = Bench::start(Options::default(), {
        let (running, seen, told) = (Arc::clone(&running), Arc::clone(&seen), Arc::clone(&told));
        move |run, _| {
            let (running, seen, told) = (Arc::clone(&running), Arc::clone(&seen), Arc::clone(&told));
            let nth = run.key as usize;
            async move {
                assert_eq!(running[nth].fetch_add(1, Ordering::SeqCst), 0, "two runs of one key at once");
                seen[nth].store(told[nth].load(Ordering::SeqCst), Ordering::SeqCst);
                tokio::task::yield_now().await;
                running[nth].fetch_sub(1, Ordering::SeqCst);
                Outcome::wait(["edge"], secs(600), "")
            }
            .boxed()
        }
    });
    let tellers = (0..4).map(|teller| {
        let (handle, told) = (bench.handle.clone(), Arc::clone(&told));
        tokio::spawn(async move {
            for round in 0..500u32 {
                let key = (round * 7 + teller) % KEYS;
                told[key as usize].fetch_add(1, Ordering::SeqCst);
                if round % 5 == 0 {
                    handle.wake(&"edge")
                } else {
                    handle.trigger(&key, Lane::Drift, "told")
                };
                // A wake reaches only who waits already; the trigger makes it certain.
                handle.trigger(&key, Lane::Person, "told");
                tokio::task::yield_now().await;
            }
        })
    });
    for teller in tellers.collect::<Vec<_>>() {
        teller.await.unwrap();
    }
    bench.settled().await;
    for nth in 0..KEYS as usize {
        assert_eq!(seen[nth].load(Ordering::SeqCst), told[nth].load(Ordering::SeqCst), "key {nth} was looked at last");
        assert_eq!(bench.standing(nth as u32).failures, 0);
    }
    assert_eq!(bench.stop().await, Unfinished { dropped: vec![], owed: (0..KEYS).collect() });
}
