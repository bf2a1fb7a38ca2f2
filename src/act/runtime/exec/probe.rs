//! What this machine has to offer: programs, and means to protect itself from them. Looks; changes nothing.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::declare::manifest::kind::options::exec::Sandboxing;

use super::{process, sandbox};

/// Where programs are looked for when the manifest does not say it.
pub(super) const USUAL: &[&str] = &["/usr/local/bin", "/usr/bin", "/bin"];
/// Where the tools of protection are, besides [`USUAL`].
const SYSTEM_TOOLS: &[&str] = &["/run/current-system/sw/bin"];
/// From this version of Linux on, processes are counted for each user namespace, so that a limit can be set within one.
const COUNTS_PROCESSES_SINCE: (u32, u32) = (5, 14);

/// The means of protection that are there, and why others are not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Protection {
    /// Tried, and found to work.
    pub(super) bubblewrap: Option<Bubblewrap>,
    /// Why bubblewrap is not used.
    pub(super) without: Option<String>,
    pub(super) prlimit: Option<PathBuf>,
    pub(super) setpriv: Option<PathBuf>,
    /// Whether the kernel counts processes for each user namespace.
    pub(super) kernel_counts: bool,
}

/// A bubblewrap that works here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bubblewrap {
    pub path: PathBuf,
    /// Since bubblewrap 0.8.
    pub disables_user_namespaces: bool,
}

impl Protection {
    /// Looks and tries. Blocks for some milliseconds.
    pub(in crate::act) fn found(wish: Sandboxing) -> Self {
        let tool = |name: &str| find(name, USUAL.iter().chain(SYSTEM_TOOLS).map(Path::new));
        let (bubblewrap, without) = match (wish, tool("bwrap")) {
            (Sandboxing::Off, _) => (None, Some("the manifest says `sandbox: off`".to_owned())),
            (Sandboxing::Auto | Sandboxing::Required, None) => (None, Some("bubblewrap is not installed".to_owned())),
            (Sandboxing::Auto | Sandboxing::Required, Some(path)) => match tried(path) {
                Ok(bubblewrap) => (Some(bubblewrap), None),
                Err(why) => (None, Some(why)),
            },
        };
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let kernel_counts = version(&release).is_some_and(|version| version >= COUNTS_PROCESSES_SINCE);
        Self { bubblewrap, without, prlimit: tool("prlimit"), setpriv: tool("setpriv"), kernel_counts }
    }

    /// Whether the kernel can be told how many processes there may be. Outside of a sandbox it counts all of this user's.
    pub(super) fn counts_processes(&self) -> bool {
        self.bubblewrap.is_some() && self.kernel_counts
    }

    /// What protects this machine, in one sentence.
    #[must_use]
    pub fn in_words(&self) -> String {
        let mut has = Vec::new();
        if self.bubblewrap.is_some() {
            has.push("bubblewrap (own files, processes and network; no new privileges)");
        } else if self.setpriv.is_some() {
            has.push("no new privileges");
        }
        if self.prlimit.is_some() {
            has.push("limits of the kernel for each process");
        }
        has.push("a watch on time, memory, processes, disk and output");
        format!("protected by {}", has.join(", "))
    }

    /// What is missing, in one sentence; none when nothing is.
    #[must_use]
    pub fn missing(&self) -> Option<String> {
        let mut missing = Vec::new();
        if let Some(why) = &self.without {
            missing.push(format!(
                "{why}: programs can read and write whatever this user can, and reach the network and other processes"
            ));
            if self.setpriv.is_none() {
                missing.push("setpriv is not installed: programs can gain privileges".to_owned());
            }
        }
        if self.prlimit.is_none() {
            missing.push(
                "prlimit is not installed: one process is not held by the kernel before the watch sees it".to_owned(),
            );
        }
        (!missing.is_empty()).then(|| format!("{}; it is {}", missing.join("; "), self.in_words()))
    }
}

/// The executable called `name`, which may be an absolute path, in the first of `folders` that has it.
pub(super) fn find<'a>(name: &str, folders: impl Iterator<Item = &'a Path>) -> Option<PathBuf> {
    let executable = |path: &PathBuf| {
        path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
    };
    if name.starts_with('/') {
        return Some(PathBuf::from(name)).filter(executable);
    }
    folders.map(|folder| folder.join(name)).find(executable)
}

/// Makes a sandbox with nothing in it but bubblewrap's own version.
fn tried(path: PathBuf) -> Result<Bubblewrap, String> {
    let mut why = String::new();
    for disables_user_namespaces in [true, false] {
        let bubblewrap = Bubblewrap { path: path.clone(), disables_user_namespaces };
        let mut argv = sandbox::bare(&bubblewrap);
        argv.push("--unshare-net".into());
        argv.extend(["--".into(), path.clone().into(), "--version".into()]);
        match process::tried(&argv) {
            Ok(()) => return Ok(bubblewrap),
            Err(said) => why = said,
        }
    }
    let shown = crate::core::text::shorten(why.trim(), 200);
    Err(format!("bubblewrap cannot make a sandbox here ({shown})"))
}

/// The first two numbers of a release such as `6.1.0-18-amd64`.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_read() {
        for (release, expected) in
            [("6.1.0-18-amd64\n", Some((6, 1))), ("5.14", Some((5, 14))), ("", None), ("x", None), ("4", None)]
        {
            assert_eq!(version(release), expected, "{release}");
        }
    }

    #[test]
    fn what_is_missing_is_said_with_what_remains() {
        let bubblewrap = Bubblewrap { path: "/usr/bin/bwrap".into(), disables_user_namespaces: true };
        let whole = Protection {
            bubblewrap: Some(bubblewrap),
            prlimit: Some("/usr/bin/prlimit".into()),
            kernel_counts: true,
            ..Protection::default()
        };
        assert_eq!(whole.missing(), None);
        assert!(whole.counts_processes());
        let poor = Protection { without: Some("bubblewrap is not installed".into()), ..Protection::default() };
        insta::assert_snapshot!(poor.missing().unwrap(), @"bubblewrap is not installed: programs can read and write whatever this user can, and reach the network and other processes; setpriv is not installed: programs can gain privileges; prlimit is not installed: one process is not held by the kernel before the watch sees it; it is protected by a watch on time, memory, processes, disk and output");
        let some = Protection { setpriv: Some("/usr/bin/setpriv".into()), prlimit: whole.prlimit, ..poor };
        insta::assert_snapshot!(some.missing().unwrap(), @"bubblewrap is not installed: programs can read and write whatever this user can, and reach the network and other processes; it is protected by no new privileges, limits of the kernel for each process, a watch on time, memory, processes, disk and output");
        assert!(!some.counts_processes());
    }
}
