//! A thread of its own for looks that may block, and a deadline for each of them.
//!
//! 1. The first look starts the thread; it makes what it looks with, there, and keeps it.
//! 2. A look that is not answered in time stays owed. While it is owed no other is begun, so that a call which hangs costs
//!    one thread and never two. Its late answer is thrown away: nobody knows of which moment it tells.
//! 3. A look that panics ends the thread; the next look starts another.
//!
//! These are plain threads and not tokio's: a runtime waits for its blocking tasks when it ends, and a driver that hangs
//! would keep the program from ending.

use std::sync::mpsc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

/// Makes what looks, on the thread that it will live on.
type Make<T> = std::sync::Arc<dyn Fn() -> Box<dyn FnMut() -> T> + Send + Sync>;

/// A thread that looks when it is asked to.
pub struct Probe<T> {
    name: &'static str,
    deadline: Duration,
    make: Make<T>,
    thread: Option<Thread<T>>,
}

struct Thread<T> {
    ask: mpsc::SyncSender<oneshot::Sender<T>>,
    /// Ends with the thread.
    gone: oneshot::Receiver<()>,
    /// A look that was not answered in time.
    owed: Option<oneshot::Receiver<T>>,
}

/// Why a look brought nothing. The words stay the same for as long as the cause does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    #[error("it has not answered within {} s and may hang", .0.as_secs_f64())]
    Late(Duration),
    #[error("looking at it broke off")]
    Broken,
    #[error("no thread could be started to look at it")]
    NoThread,
}

impl<T: Send + 'static> Probe<T> {
    /// A probe whose looks take at most `deadline`. Nothing is started yet.
    pub fn new<L: FnMut() -> T + 'static>(
        name: &'static str,
        deadline: Duration,
        make: impl Fn() -> L + Send + Sync + 'static,
    ) -> Self {
        let make: Make<T> = std::sync::Arc::new(move || Box::new(make()));
        Self { name, deadline, make, thread: None }
    }

    /// Looks now.
    ///
    /// # Errors
    /// When there is no answer in time, or the look broke off.
    pub async fn look(&mut self) -> Result<T, NoAnswer> {
        let until = Instant::now() + self.deadline;
        let mut thread = match self.thread.take() {
            Some(thread) => thread,
            None => self.start()?,
        };
        if let Some(mut owed) = thread.owed.take() {
            match timeout_at(until, &mut owed).await {
                Ok(Ok(_late)) => {}
                Ok(Err(_)) => return Err(NoAnswer::Broken),
                Err(_) => {
                    thread.owed = Some(owed);
                    self.thread = Some(thread);
                    return Err(NoAnswer::Late(self.deadline));
                }
            }
        }
        let (reply, mut answer) = oneshot::channel();
        thread.ask.try_send(reply).map_err(|_| NoAnswer::Broken)?;
        match timeout_at(until, &mut answer).await {
            Ok(Ok(seen)) => {
                self.thread = Some(thread);
                Ok(seen)
            }
            Ok(Err(_)) => Err(NoAnswer::Broken),
            Err(_) => {
                thread.owed = Some(answer);
                self.thread = Some(thread);
                Err(NoAnswer::Late(self.deadline))
            }
        }
    }

    /// Ends the thread and waits for it, at most as long as a look may take: a library should be closed before the program
    /// ends, but one that hangs does not keep it from ending.
    pub async fn end(self) {
        if let Some(Thread { ask, gone, .. }) = self.thread {
            drop(ask);
            let _ = tokio::time::timeout(self.deadline, gone).await;
        }
    }

    fn start(&self) -> Result<Thread<T>, NoAnswer> {
        let (ask, asked) = mpsc::sync_channel::<oneshot::Sender<T>>(1);
        let (alive, gone) = oneshot::channel();
        let make = std::sync::Arc::clone(&self.make);
        let run = move || {
            let _alive: oneshot::Sender<()> = alive;
            let mut look = make();
            while let Ok(reply) = asked.recv() {
                // Nobody waits any more when the program ends meanwhile.
                let _ = reply.send(look());
            }
        };
        match std::thread::Builder::new().name(self.name.to_owned()).spawn(run) {
            Ok(_) => Ok(Thread { ask, gone, owed: None }),
            Err(_) => Err(NoAnswer::NoThread),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::{Arc, PoisonError};

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn looks_are_answered_by_one_thread_that_keeps_what_it_made() {
        let mut probe = Probe::new("counting", LONG, || {
            let mut n = 0;
            move || {
                n += 1;
                (n, std::thread::current().name().map(str::to_owned))
            }
        });
        let name = Some("counting".to_owned());
        assert_eq!(probe.look().await, Ok((1, name.clone())));
        assert_eq!(probe.look().await, Ok((2, name)));
        probe.end().await;
    }

    #[tokio::test]
    async fn a_look_that_hangs_is_late_again_and_again_and_costs_one_thread() {
        let (held, gate) = mpsc::channel::<()>();
        let gate = Arc::new(Mutex::new(gate));
        let begun = Arc::new(AtomicU32::new(0));
        let (at_gate, looks) = (Arc::clone(&gate), Arc::clone(&begun));
        let short = Duration::from_millis(20);
        let mut probe = Probe::new("hanging", short, move || {
            let (at_gate, looks) = (Arc::clone(&at_gate), Arc::clone(&looks));
            move || {
                let n = looks.fetch_add(1, Ordering::SeqCst);
                // Nothing is ever sent: it waits until the other end is dropped.
                let _ = at_gate.lock().unwrap_or_else(PoisonError::into_inner).recv();
                n
            }
        });
        for _ in 0..3 {
            assert_eq!(probe.look().await, Err(NoAnswer::Late(short)));
        }
        assert!(begun.load(Ordering::SeqCst) <= 1, "no second look is begun while one hangs");
        drop(held);
        probe.deadline = LONG;
        assert_eq!(probe.look().await, Ok(1), "the late answer is not taken for a new one");
        probe.end().await;
    }

    #[tokio::test]
    async fn a_look_that_panics_costs_one_look() {
        let made = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&made);
        let mut probe = Probe::new("panicking", LONG, move || {
            let first = counted.fetch_add(1, Ordering::SeqCst) == 0;
            move || {
                assert!(!first, "the first one panics");
                7
            }
        });
        assert_eq!(probe.look().await, Err(NoAnswer::Broken));
        assert_eq!(probe.look().await, Ok(7));
        assert_eq!(made.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn ending_waits_until_what_looked_is_gone() {
        struct Closed(Arc<AtomicU32>);
        impl Drop for Closed {
            fn drop(&mut self) {
                self.0.fetch_add(1, Ordering::SeqCst);
            }
        }
        let closed = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&closed);
        let mut probe = Probe::new("closing", LONG, move || {
            let held = Closed(Arc::clone(&counted));
            move || held.0.load(Ordering::SeqCst)
        });
        assert_eq!(probe.look().await, Ok(0));
        probe.end().await;
        assert_eq!(closed.load(Ordering::SeqCst), 1);
    }
}
