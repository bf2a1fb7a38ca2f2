//! Git: the program, for remote repositories and signatures, and the name under which commits are made.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::act::source::options::PROGRAM_PATH;

use super::ask;
use super::finding::Finding;

/// The oldest Git with settings in variables (`GIT_CONFIG_COUNT`), by which it is run in a sealed way (its release notes).
const OLDEST: (u32, u32) = (2, 31);
const INSTALL: &str = "install Git 2.31 or newer (apt install git, dnf install git, brew install git)";

/// What is known of Git.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The program that the daemon uses, from folders of its own.
    pub daemons: Option<PathBuf>,
    /// The program on the `PATH` of whoever asks.
    pub on_path: Option<PathBuf>,
    /// What `git --version` said of the first of these.
    pub version: Option<Result<String, String>>,
    /// Name and mail address, as far as they are set.
    pub name: Option<String>,
    pub email: Option<String>,
}

/// Looks. `path` is the variable `PATH`; `folder` is the repository's, whose own settings count too; `env` reads a variable.
pub async fn gather(path: Option<&OsStr>, folder: &Path, env: impl Fn(&str) -> Option<String>) -> Facts {
    let daemons = find(OsStr::new(PROGRAM_PATH));
    let on_path = path.and_then(find);
    let Some(program) = on_path.clone().or_else(|| daemons.clone()) else { return Facts::default() };
    let folder = if folder.is_dir() { folder } else { Path::new("/") };
    let version = ask::first_line(&program, &["--version"], folder).await;
    let mut own = [None, None];
    for (at, (variable, setting)) in
        [("GIT_COMMITTER_NAME", "user.name"), ("GIT_COMMITTER_EMAIL", "user.email")].into_iter().enumerate()
    {
        own[at] = match env(variable).filter(|value| !value.is_empty()) {
            Some(value) => Some(value),
            None => ask::first_line(&program, &["config", "--get", setting], folder).await.ok(),
        };
    }
    let [name, email] = own.map(|value| value.filter(|value| !value.is_empty()));
    Facts { daemons, on_path, version: Some(version), name, email }
}

fn find(path: &OsStr) -> Option<PathBuf> {
    let executable = |path: &PathBuf| {
        path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
    };
    std::env::split_paths(path).filter(|folder| folder.is_absolute()).map(|folder| folder.join("git")).find(executable)
}

/// Judges.
#[must_use]
pub fn judge(facts: &Facts) -> Vec<Finding> {
    let Some(version) = &facts.version else {
        let seen = format!(
            "no program `git` is on PATH or in {PROGRAM_PATH}: a repository on this machine can be read without it, a remote one cannot, and `init --commit` and signatures need it"
        );
        return vec![Finding::warn("git", seen, INSTALL)];
    };
    let program = match version {
        Err(why) => Finding::fail("git", format!("`git --version` does not work: {why}"), INSTALL),
        Ok(told) => match numbers(told) {
            Some(found) if found < OLDEST => Finding::fail("git", format!("{told} is too old"), INSTALL),
            _ if facts.daemons.is_none() => Finding::warn(
                "git",
                format!(
                    "{told}, and none in {PROGRAM_PATH}, where the daemon looks: it can follow no remote repository"
                ),
                "install it there, or link it: ln -s \"$(command -v git)\" /usr/local/bin/git",
            ),
            _ if facts.on_path.is_none() => Finding::warn(
                "git",
                format!("{told}, and not on PATH: `init --commit` cannot use it"),
                "put its folder on PATH",
            ),
            _ => Finding::ok("git", told.clone()),
        },
    };
    let identity = match (&facts.name, &facts.email) {
        (Some(name), Some(email)) => Finding::ok("git identity", format!("commits are made by {name} <{email}>")),
        (name, email) => {
            let missing: Vec<&str> = [(name, "user.name"), (email, "user.email")]
                .into_iter()
                .filter(|(value, _)| value.is_none())
                .map(|(_, setting)| setting)
                .collect();
            Finding::warn(
                "git identity",
                format!("{} not set, so Git makes no commit", missing.join(" and ")),
                "git config --global user.name 'Your Name' && git config --global user.email you@example.org",
            )
        }
    };
    vec![program, identity]
}

/// The first two numbers of `git version 2.47.3`.
fn numbers(told: &str) -> Option<(u32, u32)> {
    let mut numbers = told.strip_prefix("git version ")?.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::act::doctor::Status;

    #[test]
    fn what_is_missing_is_told_with_what_it_is_needed_for() {
        let good = Facts {
            daemons: Some("/usr/bin/git".into()),
            on_path: Some("/usr/bin/git".into()),
            version: Some(Ok("git version 2.47.3".into())),
            name: Some("Ada".into()),
            email: Some("ada@example.org".into()),
        };
        let told = |facts: Facts| judge(&facts).iter().map(|finding| finding.status).collect::<Vec<_>>();
        assert_eq!(told(good.clone()), [Status::Ok, Status::Ok]);
        assert_eq!(told(Facts::default()), [Status::Warn]);
        assert_eq!(told(Facts { daemons: None, ..good.clone() }), [Status::Warn, Status::Ok]);
        assert_eq!(told(Facts { on_path: None, ..good.clone() }), [Status::Warn, Status::Ok]);
        assert_eq!(told(Facts { email: None, ..good.clone() }), [Status::Ok, Status::Warn]);
        assert_eq!(
            told(Facts { version: Some(Ok("git version 2.30.9".into())), ..good.clone() }),
            [Status::Fail, Status::Ok]
        );
        assert_eq!(told(Facts { version: Some(Err("it left with 1".into())), ..good }), [Status::Fail, Status::Ok]);
    }

    #[test]
    fn versions_are_read() {
        for (told, expected) in [
            ("git version 2.47.3", Some((2, 47))),
            ("git version 2.39.5 (Apple Git-154)", Some((2, 39))),
            ("git", None),
        ] {
            assert_eq!(numbers(told), expected, "{told}");
        }
    }
}
