//! What the source is told: where, which branch, whom to trust. And its limits.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use crate::declare::manifest::limit;

/// The folders that manifests are read from; any kind may stand in any of them.
pub const FOLDERS: [&str; 4] = ["blueprints", "goldensets", "manifests", "policies"];
/// Manifest files that are read, in the order of their paths; further ones are reported and not read.
pub const MANIFESTS_MAX: usize = 20_000;
/// Entries of the manifest folders that are looked at in one comparison: a bound against trees that repeat themselves.
pub const ENTRIES_MAX: usize = 200_000;
/// Folders inside folders.
pub const DEPTH_MAX: usize = 16;
/// Bytes of a manifest file.
pub const MANIFEST_BYTES_MAX: u64 = limit::FILE_BYTES_MAX as u64;
/// Bytes of a `.json` file below `goldensets/` that are looked at to tell cases from a manifest.
pub const DATA_BYTES_MAX: u64 = 16 << 20;
/// Commits that are looked at to find who changed a file last, and that a range lists.
pub const COMMITS_MAX: usize = 2_000;
/// How often a repository is looked at when nothing else asks for it.
pub const INTERVAL: Duration = Duration::from_secs(10);
/// Where programs (`git`, `ssh`, `ssh-keygen`) are looked for. The daemon's own `PATH` is not trusted with this.
pub const PROGRAM_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// What the source is told.
#[derive(Clone, Debug)]
pub struct Options {
    /// A path or an address. Credentials inside an address are refused.
    pub repo: String,
    /// The branch to follow; none: the one that is checked out when the source is opened, or the remote's default.
    pub branch: Option<String>,
    /// The state directory: the clone of a remote lives in `source.git` below it.
    pub state_dir: PathBuf,
    /// An allowed-signers file as `ssh-keygen` reads it: every new commit must be signed by one of them.
    pub allowed_signers: Option<PathBuf>,
    /// Read the files as they are on disk instead of commits.
    pub worktree: bool,
    /// The folder that the deploy key or token is taken from.
    pub credentials_dir: Option<PathBuf>,
    /// `:`-separated folders that `git`, `ssh` and `ssh-keygen` are looked for in.
    pub program_path: String,
    /// How long a question to a remote, or a check of signatures, may take.
    pub remote_timeout: Duration,
    /// How long fetching what is new may take. A transfer that stalls is given up sooner.
    pub fetch_timeout: Duration,
    /// Set to end a running `git` program: a look under way then fails instead of delaying the shutdown.
    pub stop: Arc<AtomicBool>,
}

impl Options {
    /// Follows the checked-out branch of `repo`, verifying nothing.
    #[must_use]
    pub fn new(repo: impl Into<String>, state_dir: impl Into<PathBuf>) -> Self {
        Self {
            repo: repo.into(),
            branch: None,
            state_dir: state_dir.into(),
            allowed_signers: None,
            worktree: false,
            credentials_dir: None,
            program_path: PROGRAM_PATH.into(),
            remote_timeout: Duration::from_secs(30),
            fetch_timeout: Duration::from_secs(15 * 60),
            stop: Arc::default(),
        }
    }
}
