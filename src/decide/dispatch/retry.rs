//! Whether and when a task is tried again.

use std::time::Duration;

use crate::core::clock::{after, millis_since};
use crate::core::rng::Rng;
use crate::core::{Digest, backoff};
use crate::decide::scheduler::{Config, Moment};
use crate::declare::manifest::kind::policy::RetriesSpec;

use super::input::RunFailure;
use super::record::AttemptEnd;
use super::stored::Stored;

/// A task that the program ended under this often is given up: something about it may be what ends the program.
pub const INTERRUPTIONS_MAX: u32 = 2;
/// The longest rest of a backoff after a restart where no host is known: the longest a policy can ask.
const BACKOFF_REST_MAX: Duration = Duration::from_secs(24 * 3_600);

/// A failure that trying again can mend is tried again, as often as the policy says; any other is the end.
pub(super) fn next_try(
    id: &str,
    attempt: u32,
    failures: u32,
    policy: Option<&RetriesSpec>,
    failure: RunFailure,
    now: Moment,
) -> AttemptEnd {
    let RunFailure { code, message, transient, retry_after_ms } = failure;
    let Some(policy) = policy.filter(|policy| transient && failures < policy.max) else {
        return AttemptEnd::Failed { code, message };
    };
    let wait = wait(id, failures, policy.backoff.get(), policy.max_backoff.get());
    let wait = wait.max(Duration::from_millis(retry_after_ms.unwrap_or(0)));
    let message = format!("attempt {attempt} failed ({message})");
    AttemptEnd::Again { retry_at: after(now.wall, wait), code, message }
}

/// The wait after the failure that comes after so many others: grows, differs between tasks, and repeats for one.
pub(super) fn wait(id: &str, failures: u32, base: Duration, cap: Duration) -> Duration {
    let hex = Digest::of(format!("{id}/{failures}").as_bytes()).hex();
    let mut rng = Rng::new(u64::from_str_radix(&hex[..16], 16).unwrap_or(0));
    backoff::next(base.saturating_mul(failures), base, cap, &mut rng)
}

/// The longest rest of a backoff after a restart, whatever the clock was set to meanwhile: the longest that any host asks.
/// Where a task failed is not looked up; at worst it is tried a little later than where it was.
pub(super) fn rest_max(config: &Config) -> Duration {
    config.hosts.values().map(|host| host.policy.retries.max_backoff.get()).max().unwrap_or(BACKOFF_REST_MAX)
}

/// For how long a stored task has waited, and what is left of its backoff. The wall clock may have been set meanwhile:
/// nothing is negative, and no rest is longer than `rest_max`.
pub(super) fn ages(stored: &Stored, rest_max: Duration, now: Moment) -> (u64, Option<(u64, String)>) {
    let rest_max = u64::try_from(rest_max.as_millis()).unwrap_or(u64::MAX);
    let backoff = stored.retry_at.as_ref().and_then(|(at, failed)| {
        let rest = millis_since(now.wall, *at).min(rest_max);
        (rest > 0).then(|| (rest, failed.clone()))
    });
    (millis_since(stored.created_at, now.wall), backoff)
}

/// Whether a task that was running when the program ended is tried once more.
pub(super) fn is_tried_again(interruptions: u32) -> bool {
    interruptions + 1 < INTERRUPTIONS_MAX
}
