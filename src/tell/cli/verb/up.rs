//! `arcology up`: everything that runs. This file reads the flags; the daemon itself is handed in from above.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::ValueEnum;

use crate::core::unit::Span;
use crate::tell::cli::args::Global;

/// Run everything: watch the repository, reconcile, serve the page and the control socket
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  arcology up                                    the repository in this folder
  arcology up --repo https://git.example/state.git --branch main
  arcology up --worktree                         try uncommitted manifests out
  arcology up --once                             reconcile until settled, then leave

Exit codes: 0 stopped or settled, 1 failed, 2 usage.")]
pub struct Args {
    /// The state repository: a folder or an address
    #[arg(long, value_name = "PATH|URL", default_value = ".")]
    repo: String,
    /// The branch to follow [default: the one that is checked out]
    #[arg(long, value_name = "BRANCH")]
    branch: Option<String>,
    /// Where the page and the JSON API listen
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7480")]
    listen: String,
    /// How often a remote repository is looked at
    #[arg(long, value_name = "SPAN", default_value = "10s", value_parser = Span::parse)]
    interval: Span,
    /// Take the files as they lie in the folder, committed or not
    #[arg(long, conflicts_with_all = ["branch", "verify"])]
    worktree: bool,
    /// Reconcile until settled, then leave
    #[arg(long)]
    once: bool,
    /// Accept only commits signed by one of these signers (ssh allowed_signers file)
    #[arg(long, value_name = "FILE")]
    verify: Option<PathBuf>,
    /// The folder with tokens and keys; nothing else is ever used
    #[arg(long, value_name = "DIR")]
    credentials: Option<PathBuf>,
    /// A folder whose files submitted tasks may read; may be given several times
    #[arg(long, value_name = "DIR")]
    inputs: Vec<PathBuf>,
    /// How the log is written to stderr
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    log: LogFormat,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

/// All that the daemon is told, free of the command line.
#[derive(Clone, Debug, PartialEq)]
pub struct UpArgs {
    pub repo: String,
    /// None: the branch that is checked out.
    pub branch: Option<String>,
    pub state: PathBuf,
    /// `HOST:PORT`; loopback only.
    pub listen: String,
    pub control: PathBuf,
    pub interval: Duration,
    pub worktree: bool,
    pub once: bool,
    /// An `allowed_signers` file.
    pub verify: Option<PathBuf>,
    pub credentials: Option<PathBuf>,
    /// Folders below which submitted tasks may name files.
    pub inputs: Vec<PathBuf>,
    pub log: LogFormat,
    /// 0 the usual, 1 debug, 2 and more trace.
    pub verbose: u8,
}

/// What runs the daemon until it is stopped. It stands above the wings, so it is handed in by `main`.
pub type Daemon = fn(UpArgs) -> ExitCode;

/// The only place from which the daemon is started.
pub fn run(args: Args, global: &Global, daemon: Daemon) -> ExitCode {
    daemon(plain(args, global))
}

fn plain(args: Args, global: &Global) -> UpArgs {
    UpArgs {
        repo: args.repo,
        branch: args.branch,
        state: global.state.clone(),
        listen: args.listen,
        control: global.control_socket(),
        interval: args.interval.get(),
        worktree: args.worktree,
        once: args.once,
        verify: args.verify,
        credentials: args.credentials,
        inputs: args.inputs,
        log: args.log,
        verbose: global.verbose,
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::tell::cli::args::{Cli, Verb};

    fn parse(args: &[&str]) -> UpArgs {
        let cli = Cli::try_parse_from([&["arcology", "up"], args].concat()).unwrap();
        match cli.verb {
            Verb::Up(up) => plain(up, &cli.global),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_not_said_has_the_published_default() {
        let up = parse(&["--state", ".arcology"]);
        assert_eq!((up.repo.as_str(), up.listen.as_str()), (".", "127.0.0.1:7480"));
        assert_eq!((up.interval, up.log), (Duration::from_secs(10), LogFormat::Text));
        assert!(up.branch.is_none() && !up.worktree && !up.once && up.verify.is_none() && up.inputs.is_empty());
    }

    #[test]
    fn every_flag_reaches_the_daemon() {
        let up = parse(&[
            "--repo",
            "r",
            "--branch",
            "b",
            "--state",
            "s",
            "--listen",
            "127.0.0.1:0",
            "--control",
            "c",
            "--interval",
            "1m30s",
            "--once",
            "--verify",
            "v",
            "--credentials",
            "k",
            "--inputs",
            "i",
            "--inputs",
            "j",
            "--log",
            "json",
            "-vv",
        ]);
        let path = PathBuf::from;
        assert_eq!(
            up,
            UpArgs {
                repo: "r".into(),
                branch: Some("b".into()),
                state: path("s"),
                listen: "127.0.0.1:0".parse().unwrap(),
                control: path("c"),
                interval: Duration::from_secs(90),
                worktree: false,
                once: true,
                verify: Some(path("v")),
                credentials: Some(path("k")),
                inputs: vec![path("i"), path("j")],
                log: LogFormat::Json,
                verbose: 2,
            }
        );
    }
}
