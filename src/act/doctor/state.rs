//! The state directory: whose it is, who else may read it, whether it can be written, its store, and room on its disk.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access, statvfs};

use crate::decide::host_view::gb_of;
use crate::remember::store::{Inspected, inspect};

use super::finding::Finding;

/// What is known of the directory.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    pub dir: PathBuf,
    pub there: There,
    /// The store, where the directory is there and no daemon holds it; its daemon tells of it otherwise.
    pub store: Option<Result<Inspected, String>>,
    /// Room on its disk, in GB.
    pub free_gb: Option<f64>,
    /// What the Host of this machine keeps free; none where none is declared.
    pub reserve_gb: Option<f64>,
    /// Whose rights this program has.
    pub user: u32,
}

/// Whether the directory is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum There {
    No { parent: PathBuf, parent_is_writable: bool },
    Unreadable(String),
    NoFolder,
    Yes { owner: u32, mode: u32, is_writable: bool },
}

/// Looks. `daemon_runs` leaves the store alone.
#[must_use]
pub fn gather(dir: &Path, daemon_runs: bool, reserve_gb: Option<f64>) -> Facts {
    let there = there(dir);
    let exists = matches!(there, There::Yes { .. });
    let store = (exists && !daemon_runs).then(|| inspect(dir).map_err(|error| error.to_string()));
    let on_disk = dir.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("."));
    let free_gb = statvfs(on_disk).ok().map(|disk| gb_of(disk.f_bavail.saturating_mul(disk.f_frsize)));
    Facts { dir: dir.to_owned(), there, store, free_gb, reserve_gb, user: rustix::process::geteuid().as_raw() }
}

fn there(dir: &Path) -> There {
    match dir.metadata() {
        Ok(found) if !found.is_dir() => There::NoFolder,
        Ok(found) => There::Yes {
            owner: found.uid(),
            mode: found.mode() & 0o777,
            is_writable: access(dir, Access::WRITE_OK | Access::EXEC_OK).is_ok(),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let parent = parent.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("."));
            let parent_is_writable = access(parent, Access::WRITE_OK | Access::EXEC_OK).is_ok();
            There::No { parent: parent.to_owned(), parent_is_writable }
        }
        Err(error) => There::Unreadable(error.to_string()),
    }
}

/// Judges.
#[must_use]
pub fn judge(facts: &Facts) -> Vec<Finding> {
    let mut findings = vec![directory(facts)];
    if matches!(facts.there, There::Yes { .. }) {
        findings.push(store(facts));
    }
    findings.push(disk(facts));
    findings
}

fn directory(facts: &Facts) -> Finding {
    const CHECK: &str = "state directory";
    let dir = facts.dir.display();
    let (owner, mode, is_writable) = match &facts.there {
        There::No { parent_is_writable: true, .. } => {
            return Finding::ok(CHECK, format!("{dir} is not there yet; `arcology up` makes it"));
        }
        There::No { parent, parent_is_writable: false } => {
            let seen = format!("{dir} is not there, and {} cannot be written", parent.display());
            return Finding::fail(CHECK, seen, "choose a folder of your own: --state DIR");
        }
        There::Unreadable(why) => return Finding::fail(CHECK, format!("{dir} cannot be looked at: {why}"), OWNER),
        There::NoFolder => {
            return Finding::fail(CHECK, format!("{dir} is no folder"), "choose a folder: --state DIR");
        }
        There::Yes { owner, mode, is_writable } => (*owner, *mode, *is_writable),
    };
    if !is_writable {
        return Finding::fail(CHECK, format!("{dir} cannot be written (owner {owner}, mode {mode:03o})"), OWNER);
    }
    if owner != facts.user {
        let seen = format!("{dir} belongs to user {owner}, and this is user {}", facts.user);
        return Finding::warn(CHECK, seen, OWNER);
    }
    if mode & 0o022 != 0 {
        let seen = format!("{dir} can be written by others (mode {mode:03o})");
        return Finding::warn(CHECK, seen, format!("chmod go-rwx {dir}"));
    }
    Finding::ok(CHECK, format!("{dir} is yours and can be written (mode {mode:03o})"))
}

const OWNER: &str = "run as its owner, give it to yourself (chown), or choose another: --state DIR";

fn store(facts: &Facts) -> Finding {
    const CHECK: &str = "store";
    match &facts.store {
        None => Finding::skipped(CHECK, "the daemon holds it; `arcology status` tells whether it can be written"),
        Some(Ok(Inspected::Absent)) => Finding::ok(CHECK, "there is none yet; `arcology up` makes it"),
        Some(Ok(Inspected::Unfinished)) => {
            Finding::skipped(CHECK, "its last daemon did not close it; the next start takes up what was written")
        }
        Some(Ok(Inspected::Sound { schema, bytes, whole })) => {
            let checked = if *whole { "sound" } else { "too large to be checked through" };
            Finding::ok(CHECK, format!("schema {schema}, {:.1} MB, {checked}", *bytes as f64 / 1e6))
        }
        Some(Ok(Inspected::Older { schema, known })) => {
            Finding::ok(CHECK, format!("schema {schema}; the next `arcology up` brings it to {known}"))
        }
        Some(Err(why)) => Finding::fail(CHECK, why.clone(), "docs/operations.md tells how to restore a backup"),
    }
}

/// Below this much room, in GB, nothing good is to be expected.
const FREE_GB_MIN: f64 = 1.0;

fn disk(facts: &Facts) -> Finding {
    const CHECK: &str = "disk";
    let Some(free) = facts.free_gb else { return Finding::skipped(CHECK, "the file system does not tell its room") };
    let mend = "free some room, or put the state directory elsewhere: --state DIR";
    match facts.reserve_gb {
        Some(reserve) if free < reserve => {
            Finding::fail(CHECK, format!("{free:.1} GB free, and the Host keeps {reserve:.1} GB in reserve"), mend)
        }
        _ if free < FREE_GB_MIN => Finding::warn(CHECK, format!("only {free:.1} GB free"), mend),
        Some(reserve) => Finding::ok(CHECK, format!("{free:.1} GB free, {reserve:.1} GB in reserve")),
        None => Finding::ok(CHECK, format!("{free:.1} GB free")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::act::doctor::Status;

    fn facts(there: There) -> Facts {
        Facts {
            dir: "/s".into(),
            there,
            store: Some(Ok(Inspected::Absent)),
            free_gb: Some(50.0),
            reserve_gb: None,
            user: 1_000,
        }
    }

    #[test]
    fn a_directory_is_judged_by_owner_mode_and_rights() {
        let yes = |owner, mode, is_writable| There::Yes { owner, mode, is_writable };
        let no = |parent_is_writable| There::No { parent: "/".into(), parent_is_writable };
        for (there, expected) in [
            (yes(1_000, 0o700, true), Status::Ok),
            (yes(1_000, 0o755, true), Status::Ok),
            (yes(1_000, 0o777, true), Status::Warn),
            (yes(0, 0o777, true), Status::Warn),
            (yes(0, 0o755, false), Status::Fail),
            (no(true), Status::Ok),
            (no(false), Status::Fail),
            (There::NoFolder, Status::Fail),
            (There::Unreadable("permission denied".into()), Status::Fail),
        ] {
            let finding = directory(&facts(there.clone()));
            assert_eq!(finding.status, expected, "{there:?}");
            assert_eq!(finding.mend.is_some(), expected >= Status::Warn, "{finding:?}");
        }
    }

    #[test]
    fn room_is_held_against_the_reserve() {
        let there = There::NoFolder;
        for (free_gb, reserve_gb, expected) in [
            (Some(50.0), Some(20.0), Status::Ok),
            (Some(10.0), Some(20.0), Status::Fail),
            (Some(0.5), None, Status::Warn),
            (None, Some(20.0), Status::Skipped),
        ] {
            assert_eq!(disk(&Facts { free_gb, reserve_gb, ..facts(there.clone()) }).status, expected);
        }
    }

    #[test]
    fn a_store_is_told_as_it_was_found() {
        let there = There::NoFolder;
        for (found, expected) in [
            (None, Status::Skipped),
            (Some(Ok(Inspected::Absent)), Status::Ok),
            (Some(Ok(Inspected::Unfinished)), Status::Skipped),
            (Some(Ok(Inspected::Sound { schema: 3, bytes: 10, whole: true })), Status::Ok),
            (Some(Ok(Inspected::Older { schema: 1, known: 3 })), Status::Ok),
            (Some(Err("damaged".to_owned())), Status::Fail),
        ] {
            assert_eq!(store(&Facts { store: found.clone(), ..facts(there.clone()) }).status, expected, "{found:?}");
        }
    }
}
