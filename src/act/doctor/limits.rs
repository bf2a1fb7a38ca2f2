//! Limits of the system that are met sooner or later: watches on files, and open files.

use rustix::process::{Resource, getrlimit};

use super::finding::Finding;

/// A repository has a watch for each of its folders; below this other programs soon take the last ones.
const WATCHES_MIN: u64 = 8_192;
/// Each watcher of each program of this user is one.
const INSTANCES_MIN: u64 = 64;
/// Connections of the page, of runtimes, and files of the store.
const OPEN_FILES_MIN: u64 = 1_024;

/// What is known of the limits; none where the system does not tell, or has no such limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    pub watches: Option<u64>,
    pub instances: Option<u64>,
    pub open_files: Option<u64>,
}

/// Looks.
#[must_use]
pub fn gather() -> Facts {
    let read =
        |name: &str| std::fs::read_to_string(format!("/proc/sys/fs/inotify/{name}")).ok()?.trim().parse::<u64>().ok();
    let open_files = getrlimit(Resource::Nofile).current;
    Facts { watches: read("max_user_watches"), instances: read("max_user_instances"), open_files }
}

/// Judges.
#[must_use]
pub fn judge(facts: &Facts) -> Vec<Finding> {
    let watches = match (facts.watches, facts.instances) {
        (Some(watches), Some(instances)) if watches < WATCHES_MIN || instances < INSTANCES_MIN => Finding::warn(
            "file watches",
            format!(
                "at most {watches} watches and {instances} watchers for each user: without one, a commit is seen after up to 10 s"
            ),
            "sysctl fs.inotify.max_user_watches=65536 fs.inotify.max_user_instances=256",
        ),
        (Some(watches), Some(instances)) => {
            Finding::ok("file watches", format!("{watches} watches, {instances} watchers"))
        }
        _ => Finding::skipped("file watches", "this system does not tell how many there may be"),
    };
    let files = match facts.open_files {
        Some(files) if files < OPEN_FILES_MIN => Finding::warn(
            "open files",
            format!("at most {files} at once"),
            "ulimit -n 4096 before arcology up, or LimitNOFILE= in its unit",
        ),
        Some(files) => Finding::ok("open files", format!("at most {files} at once")),
        None => Finding::ok("open files", "no limit"),
    };
    vec![watches, files]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::act::doctor::Status;

    #[test]
    fn low_limits_are_told_and_unknown_ones_are_no_trouble() {
        let told = |watches, instances, open_files| {
            judge(&Facts { watches, instances, open_files }).iter().map(|finding| finding.status).collect::<Vec<_>>()
        };
        assert_eq!(told(Some(65_536), Some(128), Some(1_024)), [Status::Ok, Status::Ok]);
        assert_eq!(told(Some(100), Some(128), Some(256)), [Status::Warn, Status::Warn]);
        assert_eq!(told(Some(65_536), Some(1), None), [Status::Warn, Status::Ok]);
        assert_eq!(told(None, None, None), [Status::Skipped, Status::Ok]);
    }
}
