//! The clock, held against the newest commit: ages, leases and `until` go by it. Pure.

use crate::core::Timestamp;

use super::finding::Finding;

/// A commit may come from a machine whose clock is ahead by this much, in seconds.
const AHEAD_SECONDS_MAX: i64 = 300;

/// Judges `now` against the time of the newest commit.
#[must_use]
pub fn judge(now: Timestamp, newest_commit: Option<Timestamp>) -> Vec<Finding> {
    const CHECK: &str = "clock";
    let shown = now.strftime("%Y-%m-%d %H:%M UTC");
    let Some(commit) = newest_commit else {
        return vec![Finding::skipped(CHECK, format!("{shown}, with no commit to hold it against"))];
    };
    let ahead = commit.as_second() - now.as_second();
    vec![if ahead > AHEAD_SECONDS_MAX {
        let seen = format!("{shown}, and the newest commit was made {} min later", ahead / 60);
        Finding::warn(CHECK, seen, "let the clock be set: timedatectl set-ntp true; or the clock of whoever commits")
    } else {
        Finding::ok(CHECK, format!("{shown}, after the newest commit"))
    }]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::act::doctor::Status;

    #[test]
    fn a_commit_from_the_future_makes_the_clock_doubtful() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let told = |commit| judge(at(1_000_000), commit)[0].status;
        assert_eq!(told(Some(at(999_000))), Status::Ok);
        assert_eq!(told(Some(at(1_000_200))), Status::Ok);
        assert_eq!(told(Some(at(1_000_301))), Status::Warn);
        assert_eq!(told(None), Status::Skipped);
    }
}
