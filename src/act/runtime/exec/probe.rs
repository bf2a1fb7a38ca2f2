//! What this machine has to offer: programs, and means to protect itself from them. Looks; changes nothing.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::declare::manifest::kind::options::exec::Sandboxing;

use super::level::Abi;
use super::{process, sandbox};

/// Where programs are looked for when the manifest does not say it.
pub(super) const USUAL: &[&str] = &["/usr/local/bin", "/usr/bin", "/bin"];
/// Where the tools of protection are, besides [`USUAL`].
const SYSTEM_TOOLS: &[&str] = &["/run/current-system/sw/bin"];
/// From this version of Linux on, processes are counted for each user namespace, so that a limit can be set within one.
const COUNTS_PROCESSES_SINCE: (u32, u32) = (5, 14);

/// Where a program's own file can be found while it runs, also when it was replaced.
const OWN_PROGRAM: &str = "/proc/self/exe";

/// Where the tools of protection are looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tools {
    /// Folders with `bwrap`, and with `prlimit` and `setpriv`, which are used only where there is no `confiner`.
    pub folders: Vec<PathBuf>,
    /// The program that understands `confine`, which is `arcology` itself; none where that is not what runs.
    pub confiner: Option<PathBuf>,
}

impl Tools {
    /// Those of the program `arcology`, and only of that: it confines with itself.
    #[must_use]
    pub fn of_arcology() -> Self {
        Self { confiner: Some(OWN_PROGRAM.into()), ..Self::without_confiner() }
    }

    /// Those of any other program that has this library in it.
    #[must_use]
    pub fn without_confiner() -> Self {
        Self { folders: USUAL.iter().chain(SYSTEM_TOOLS).map(PathBuf::from).collect(), confiner: None }
    }
}

/// The means of protection that are there, and why others are not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Protection {
    /// Tried, and found to work.
    pub(super) bubblewrap: Option<Bubblewrap>,
    /// Why bubblewrap is not used.
    pub(super) without: Option<String>,
    /// What the kernel enforces, tried; none where it does not, or is not to.
    pub(super) landlock: Option<Abi>,
    /// Why Landlock is not used where bubblewrap is not.
    pub(super) unlocked: Option<String>,
    /// The program that confines, tried.
    pub(super) confiner: Option<PathBuf>,
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
    pub(in crate::act) fn found(wish: Sandboxing, tools: &Tools) -> Self {
        let tool = |name: &str| find(name, tools.folders.iter().map(PathBuf::as_path));
        let off = || Some("the manifest says `sandbox: off`".to_owned());
        let (bubblewrap, without) = match (wish, tool("bwrap")) {
            (Sandboxing::Off, _) => (None, off()),
            (Sandboxing::Auto | Sandboxing::Required, None) => (None, Some("bubblewrap is not installed".to_owned())),
            (Sandboxing::Auto | Sandboxing::Required, Some(path)) => match tried(path) {
                Ok(bubblewrap) => (Some(bubblewrap), None),
                Err(why) => (None, Some(why)),
            },
        };
        let (confiner, landlock) = confining(tools.confiner.as_deref());
        let (landlock, unlocked) = match (wish, landlock) {
            (Sandboxing::Off, _) => (None, off()),
            (Sandboxing::Auto | Sandboxing::Required, Ok(abi)) => (Some(abi), None),
            (Sandboxing::Auto | Sandboxing::Required, Err(why)) => (None, Some(why)),
        };
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let kernel_counts = version(&release).is_some_and(|version| version >= COUNTS_PROCESSES_SINCE);
        let (prlimit, setpriv) = (tool("prlimit"), tool("setpriv"));
        Self { bubblewrap, without, landlock, unlocked, confiner, prlimit, setpriv, kernel_counts }
    }

    /// Whether the kernel can be told how many processes there may be. Outside of a sandbox it counts all of this user's.
    pub(super) fn counts_processes(&self) -> bool {
        self.bubblewrap.is_some() && self.kernel_counts
    }

    /// What a machine has that has Landlock and nothing else.
    #[cfg(test)]
    pub(in crate::act) fn with_landlock(abi: u32) -> Self {
        let without = Some("bubblewrap is not installed".to_owned());
        Self { without, landlock: Some(Abi(abi)), confiner: Some("/usr/bin/arcology".into()), ..Self::default() }
    }

    /// Whether bubblewrap works here.
    #[must_use]
    pub fn has_bubblewrap(&self) -> bool {
        self.bubblewrap.is_some()
    }

    /// What Landlock enforces here; else why it is not used.
    ///
    /// # Errors
    /// Why it is not.
    pub fn landlock(&self) -> Result<Abi, &str> {
        self.landlock.ok_or_else(|| self.unlocked.as_deref().unwrap_or("it was not looked for"))
    }

    /// The program that confines where bubblewrap does not.
    pub(super) fn confined_by(&self) -> Option<&Path> {
        self.confiner.as_deref().filter(|_| self.bubblewrap.is_none())
    }

    /// Whether each process is held to limits by the kernel.
    fn limits(&self) -> bool {
        self.confined_by().is_some() || self.prlimit.is_some()
    }

    /// What protects this machine, in one sentence.
    #[must_use]
    pub fn in_words(&self) -> String {
        let mut has = Vec::new();
        match (&self.bubblewrap, self.landlock) {
            (Some(_), _) => has.push("bubblewrap (own files, processes and network; no new privileges)".to_owned()),
            (None, Some(abi)) => has.push(abi.holds()),
            (None, None) if self.confiner.is_some() || self.setpriv.is_some() => {
                has.push("no new privileges".to_owned());
            }
            (None, None) => {}
        }
        if self.limits() {
            has.push("limits of the kernel for each process".to_owned());
        }
        has.push("a watch on time, memory, processes, disk and output".to_owned());
        format!("protected by {}", has.join(", "))
    }

    /// What is missing, in one sentence; none when nothing is.
    #[must_use]
    pub fn missing(&self) -> Option<String> {
        let mut missing = Vec::new();
        match (&self.without, self.landlock) {
            (None, _) => {}
            (Some(why), Some(abi)) => missing.push(format!("{why}: {}", abi.leaves_open())),
            (Some(why), None) => {
                let both = self.unlocked.as_ref().filter(|unlocked| *unlocked != why);
                let both = both.map(|unlocked| format!(", and {unlocked}")).unwrap_or_default();
                missing.push(format!(
                    "{why}{both}: programs can read and write whatever this user can, and reach the network and other processes"
                ));
                if self.confiner.is_none() && self.setpriv.is_none() {
                    missing.push("setpriv is not installed: programs can gain privileges".to_owned());
                }
            }
        }
        if !self.limits() {
            missing.push(
                "prlimit is not installed: one process is not held by the kernel before the watch sees it".to_owned(),
            );
        }
        (!missing.is_empty()).then(|| format!("{}; it is {}", missing.join("; "), self.in_words()))
    }

    /// Why nothing is run where a sandbox is required.
    pub(super) fn refusal(&self) -> Option<String> {
        let why = self.without.as_ref().filter(|_| self.bubblewrap.is_none())?;
        let instead = self
            .landlock
            .map(|abi| format!("; without `required` it would be {}, and {}", abi.holds(), abi.leaves_open()));
        Some(format!("{why}{}", instead.unwrap_or_default()))
    }
}

/// Whether `confiner` understands what is wanted of it, and what Landlock enforces when it puts that on itself.
fn confining(confiner: Option<&Path>) -> (Option<PathBuf>, Result<Abi, String>) {
    let Some(path) = confiner else { return (None, Err("there is no program to confine with".to_owned())) };
    let said = match process::asked(&[path.into(), "confine".into(), "--probe".into()]) {
        Ok(said) => said,
        Err(why) => return (None, Err(format!("{} cannot confine ({})", path.display(), shown(&why)))),
    };
    let Ok(told) = serde_json::from_str::<Told>(&said) else {
        return (None, Err(format!("{} cannot confine (it said: {})", path.display(), shown(&said))));
    };
    let landlock = told.landlock.map(Abi).ok_or_else(|| told.why.unwrap_or_default());
    (Some(path.to_owned()), landlock)
}

/// What `arcology confine --probe` prints.
#[derive(serde::Deserialize)]
struct Told {
    landlock: Option<u32>,
    why: Option<String>,
}

fn shown(said: &str) -> String {
    crate::core::text::shorten(said.trim(), 200)
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
        match process::asked(&argv) {
            Ok(_) => return Ok(bubblewrap),
            Err(said) => why = said,
        }
    }
    Err(format!("bubblewrap cannot make a sandbox here ({})", shown(&why)))
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
        let some = Protection { setpriv: Some("/usr/bin/setpriv".into()), prlimit: whole.prlimit.clone(), ..poor };
        insta::assert_snapshot!(some.missing().unwrap(), @"bubblewrap is not installed: programs can read and write whatever this user can, and reach the network and other processes; it is protected by no new privileges, limits of the kernel for each process, a watch on time, memory, processes, disk and output");
        assert!(!some.counts_processes());
        let locked = Protection::with_landlock(7);
        insta::assert_snapshot!(locked.missing().unwrap(), @"bubblewrap is not installed: programs can still reach Unix sockets, Arcology's own among them, use the network but for TCP (UDP, for one), change the mode and times of this user's files, learn which files and processes there are; it is protected by Landlock ABI 7 (own files, no TCP unless asked for, no signals to other processes, no privileges), limits of the kernel for each process, a watch on time, memory, processes, disk and output");
        insta::assert_snapshot!(locked.refusal().unwrap(), @"bubblewrap is not installed; without `required` it would be Landlock ABI 7 (own files, no TCP unless asked for, no signals to other processes, no privileges), and programs can still reach Unix sockets, Arcology's own among them, use the network but for TCP (UDP, for one), change the mode and times of this user's files, learn which files and processes there are");
        let limited = Protection { landlock: None, unlocked: Some("the kernel has no Landlock".into()), ..locked };
        insta::assert_snapshot!(limited.missing().unwrap(), @"bubblewrap is not installed, and the kernel has no Landlock: programs can read and write whatever this user can, and reach the network and other processes; it is protected by no new privileges, limits of the kernel for each process, a watch on time, memory, processes, disk and output");
        insta::assert_snapshot!(limited.refusal().unwrap(), @"bubblewrap is not installed");
        assert_eq!(whole.refusal(), None);
    }
}
