//! When to look: file notifications on refs, and a slow look behind them.
//!
//! Notifications are hints. They get lost (network file systems, containers, overflow), so that every interval is a
//! look as well; and they come in bursts, so that a short quiet is waited for, but never longer than
//! [`BURST_MAX`]. What is watched are the places where git writes a ref, never its objects, and with `--worktree` the
//! manifest folders. Reading never wakes: notifications about mere access are ignored.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind};
use notify::{Config, Event, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::core::rng::Rng;

use super::error;
use super::options::FOLDERS;

/// Without a further notification for this long, a burst is over.
const QUIET: Duration = Duration::from_millis(8);
/// From the first notification of a burst to the look, at most.
const BURST_MAX: Duration = Duration::from_millis(40);
/// Files of a git directory itself that say where a branch is.
const REF_FILES: [&str; 2] = ["HEAD", "packed-refs"];

/// What to watch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// Git directories: of the checkout, and the common one.
    git: Vec<PathBuf>,
    /// Folders that matter with everything below them.
    whole: Vec<PathBuf>,
    /// The working directory, for manifest folders that come and go.
    root: Option<PathBuf>,
}

impl Places {
    /// The refs of a repository, and with a working directory also its manifest folders.
    pub(super) fn of_repository(git_dir: &Path, common_dir: &Path, workdir: Option<&Path>) -> Self {
        let mut git = vec![git_dir.to_owned()];
        if common_dir != git_dir {
            git.push(common_dir.to_owned());
        }
        let mut places = workdir.map(Self::of_folder).unwrap_or_default();
        places.whole.extend([common_dir.join("refs"), common_dir.join("logs")]);
        places.git = git;
        places
    }

    /// The manifest folders in a folder.
    pub(super) fn of_folder(root: &Path) -> Self {
        let whole = FOLDERS.iter().map(|folder| root.join(folder)).collect();
        Self { git: Vec::new(), whole, root: Some(root.to_owned()) }
    }

    fn is_empty(&self) -> bool {
        self.git.is_empty() && self.whole.is_empty() && self.root.is_none()
    }

    /// Which folders stand there now: device and inode. A repository that is moved away with the folder it stands in
    /// gives no notification.
    fn identity(&self) -> Vec<Option<(u64, u64)>> {
        let identity = |path: &PathBuf| path.metadata().ok().map(|metadata| (metadata.dev(), metadata.ino()));
        self.git.iter().chain(&self.root).map(identity).collect()
    }

    /// Whether a notification is about something that the next look may see.
    fn concerns(&self, event: &Event) -> bool {
        let kind_matters = match event.kind {
            EventKind::Access(access) => access == AccessKind::Close(AccessMode::Write),
            EventKind::Any | EventKind::Create(_) | EventKind::Modify(_) | EventKind::Remove(_) | EventKind::Other => {
                true
            }
        };
        kind_matters && event.paths.iter().any(|path| self.concerns_path(path))
    }

    fn concerns_path(&self, path: &Path) -> bool {
        if path.extension().is_some_and(|extension| extension == "lock") {
            return false;
        }
        let named = |folder: &Path, names: &[&str]| {
            path == folder || names.iter().any(|name| path.parent() == Some(folder) && path.ends_with(name))
        };
        self.git.iter().any(|git| named(git, &REF_FILES))
            || self.whole.iter().any(|folder| path.starts_with(folder))
            || self.root.as_deref().is_some_and(|root| named(root, &FOLDERS) || path == root.join(".gitignore"))
    }

    /// Whether after a notification something may be there that is not watched yet, or no longer is.
    fn unsettled_by(&self, event: &Event) -> bool {
        let comes_or_goes =
            matches!(event.kind, EventKind::Create(_) | EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)));
        let watched =
            |path: &PathBuf| self.git.contains(path) || self.whole.contains(path) || self.root.as_ref() == Some(path);
        comes_or_goes && event.paths.iter().any(watched)
    }
}

/// Why it is time to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// Something was written.
    Noticed,
    /// The interval is over.
    Due,
}

/// Tells when to look. Look once after it was made: what happened before is not told.
pub struct Watcher {
    places: Places,
    interval: Duration,
    rng: Rng,
    shared: Arc<Shared>,
    armed: Option<RecommendedWatcher>,
    /// The folders that the watches were set on: another one may come to stand at the same path.
    identity: Vec<Option<(u64, u64)>>,
    problem: Option<String>,
    next_due: Instant,
    burst: Option<Burst>,
}

#[derive(Default)]
struct Shared {
    noticed: Notify,
    /// The watches must be set anew.
    unsettled: AtomicBool,
}

#[derive(Clone, Copy)]
struct Burst {
    quiet_at: Instant,
    over_at: Instant,
}

impl Watcher {
    /// Watches `places` and wakes at least every `interval`; without places (a remote) the interval is jittered by a
    /// tenth, so that many followers do not ask at once.
    #[must_use]
    pub fn new(places: Places, interval: Duration) -> Self {
        let seed = crate::core::Timestamp::now().as_nanosecond() as u64;
        let mut watcher = Self {
            places,
            interval,
            rng: Rng::new(seed),
            shared: Arc::default(),
            armed: None,
            identity: Vec::new(),
            problem: None,
            next_due: Instant::now(),
            burst: None,
        };
        watcher.arm();
        watcher.next_due = watcher.due_after(Instant::now());
        watcher
    }

    /// Watches other places from now on, when they are others. Call it after each look: a repository that was not there
    /// before may be there now.
    pub fn set_places(&mut self, places: Places) {
        if self.places != places {
            self.places = places;
            self.arm();
        }
    }

    /// Why notifications do not work, so that changes are only found every interval.
    #[must_use]
    pub fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// Waits until it is time to look. May be dropped and called again at any time without losing anything.
    pub async fn changed(&mut self) -> Wake {
        loop {
            let settled = self.burst.map(|burst| burst.quiet_at.min(burst.over_at));
            tokio::select! {
                biased;
                () = until(settled) => return self.wake(Wake::Noticed),
                () = sleep_until(self.next_due) => return self.wake(Wake::Due),
                () = self.shared.noticed.notified() => {
                    let now = Instant::now();
                    let over_at = self.burst.map_or(now + BURST_MAX, |burst| burst.over_at);
                    self.burst = Some(Burst { quiet_at: now + QUIET, over_at });
                }
            }
        }
    }

    /// The watches are set anew before the look that follows, so that nothing falls between the two.
    fn wake(&mut self, wake: Wake) -> Wake {
        self.burst = None;
        self.next_due = self.due_after(Instant::now());
        let unsettled = self.shared.unsettled.swap(false, Ordering::AcqRel);
        if unsettled || (wake == Wake::Due && (self.problem.is_some() || self.places.identity() != self.identity)) {
            self.arm();
        }
        wake
    }

    fn due_after(&mut self, now: Instant) -> Instant {
        if self.places.is_empty() {
            // 90 % to 110 % of the interval.
            return now + self.interval * u32::try_from(self.rng.between(900, 1_100)).unwrap_or(1_000) / 1_000;
        }
        now + self.interval
    }

    fn arm(&mut self) {
        self.armed = None;
        self.problem = None;
        self.identity = self.places.identity();
        if self.places.is_empty() {
            return;
        }
        match self.watch() {
            Ok(armed) => self.armed = Some(armed),
            Err(error) => {
                let detail = error::detail(&error.to_string());
                let seconds = self.interval.as_secs_f64();
                self.problem =
                    Some(format!("file notifications do not work here ({detail}); looking every {seconds} s"));
            }
        }
    }

    fn watch(&self) -> notify::Result<RecommendedWatcher> {
        let (shared, places) = (self.shared.clone(), self.places.clone());
        let handle = move |event: notify::Result<Event>| {
            let (concerns, unsettled) = match &event {
                Ok(event) if event.need_rescan() => (true, true),
                Ok(event) => (places.concerns(event), places.unsettled_by(event)),
                Err(_) => (true, true),
            };
            if unsettled {
                shared.unsettled.store(true, Ordering::Release);
            }
            if concerns || unsettled {
                shared.noticed.notify_one();
            }
        };
        let mut watcher = RecommendedWatcher::new(handle, Config::default().with_follow_symlinks(false))?;
        for folder in self.places.git.iter().chain(&self.places.root) {
            watcher.watch(folder, RecursiveMode::NonRecursive)?;
        }
        for folder in &self.places.whole {
            // A folder that is not there yet is noticed when it comes.
            if folder.symlink_metadata().is_ok_and(|metadata| metadata.is_dir()) {
                watcher.watch(folder, RecursiveMode::Recursive)?;
            }
        }
        Ok(watcher)
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use notify::event::{CreateKind, DataChange, RenameMode};

    use super::*;

    fn places() -> Places {
        Places::of_repository(Path::new("/r/.git/worktrees/w"), Path::new("/r/.git"), Some(Path::new("/w")))
    }

    fn event(kind: EventKind, path: &str) -> Event {
        Event::new(kind).add_path(path.into())
    }

    #[test]
    fn writing_a_ref_or_a_manifest_concerns_and_objects_locks_and_other_files_do_not() {
        let written = EventKind::Modify(ModifyKind::Data(DataChange::Any));
        for path in [
            "/r/.git/worktrees/w/HEAD",
            "/r/.git/packed-refs",
            "/r/.git/refs/heads/main",
            "/r/.git/logs/HEAD",
            "/w/manifests/a.yaml",
            "/w/policies",
            "/w/.gitignore",
        ] {
            assert!(places().concerns(&event(written, path)), "{path}");
        }
        for path in [
            "/r/.git/refs/heads/main.lock",
            "/r/.git/index",
            "/r/.git/objects/ab",
            "/r/.git/COMMIT_EDITMSG",
            "/r/.git/worktrees/w/index.lock",
            "/w/README.md",
            "/w/src/manifests",
        ] {
            assert!(!places().concerns(&event(written, path)), "{path}");
        }
    }

    #[test]
    fn reading_never_concerns_and_the_end_of_writing_does() {
        let path = "/r/.git/refs/heads/main";
        for access in
            [AccessKind::Any, AccessKind::Read, AccessKind::Open(AccessMode::Any), AccessKind::Close(AccessMode::Read)]
        {
            assert!(!places().concerns(&event(EventKind::Access(access), path)), "{access:?}");
        }
        assert!(places().concerns(&event(EventKind::Access(AccessKind::Close(AccessMode::Write)), path)));
        // A ref is written beside its place and renamed into it: both names come in one notification.
        let renamed = EventKind::Modify(ModifyKind::Name(RenameMode::Both));
        assert!(places().concerns(&event(renamed, "/r/.git/refs/heads/main.lock").add_path(path.into())));
    }

    #[test]
    fn a_watched_folder_that_comes_or_goes_calls_for_new_watches() {
        let created = EventKind::Create(CreateKind::Folder);
        for path in ["/w/manifests", "/w", "/r/.git", "/r/.git/logs"] {
            assert!(places().unsettled_by(&event(created, path)), "{path}");
        }
        for path in ["/w/manifests/a", "/r/.git/refs/heads/x"] {
            assert!(!places().unsettled_by(&event(created, path)), "{path}");
        }
        assert!(!places().unsettled_by(&event(EventKind::Modify(ModifyKind::Any), "/w/manifests")));
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_waited_out_but_not_for_ever() {
        let mut watcher = Watcher::new(Places::default(), Duration::from_secs(3_600));
        let shared = watcher.shared.clone();
        let begin = Instant::now();
        shared.noticed.notify_one();
        assert_eq!(watcher.changed().await, Wake::Noticed);
        assert!((QUIET..BURST_MAX).contains(&begin.elapsed()), "{:?}", begin.elapsed());

        let begin = Instant::now();
        let noise = tokio::spawn(async move {
            loop {
                shared.noticed.notify_one();
                tokio::time::sleep(QUIET / 4).await;
            }
        });
        assert_eq!(watcher.changed().await, Wake::Noticed);
        assert!((BURST_MAX..BURST_MAX * 2).contains(&begin.elapsed()), "{:?}", begin.elapsed());
        noise.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn dropping_the_wait_in_the_middle_of_a_burst_loses_nothing() {
        let mut watcher = Watcher::new(Places::default(), Duration::from_secs(3_600));
        watcher.shared.noticed.notify_one();
        assert!(tokio::time::timeout(QUIET / 2, watcher.changed()).await.is_err());
        assert_eq!(tokio::time::timeout(BURST_MAX, watcher.changed()).await, Ok(Wake::Noticed));
    }
}
