//! The command line as a type: global flags and one variant a verb. What a verb takes stands in the verb's own file.

use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand};

use super::ui::Colour;
use super::verb;

/// The state directory when nothing else is said.
pub const STATE_DIR: &str = ".arcology";
/// The control socket's name within the state directory.
pub const CONTROL_SOCKET: &str = "control.sock";

/// GitOps for the AI runtimes on your own machines.
///
/// Commit YAML that says which models should be loaded where and which work should be done; Arcology watches the
/// repository and drives the runtimes there.
#[derive(Debug, Parser)]
#[command(
    name = "arcology",
    version,
    disable_help_subcommand = true,
    subcommand_value_name = "VERB",
    subcommand_help_heading = "Verbs",
    after_help = "Begin with:\n  arcology init my-state --commit   a new state repository with everything in it\n  \
                  arcology up --repo my-state       reconcile it; the page is at http://127.0.0.1:7480\n  \
                  arcology status                   what is so, and what needs attention"
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub verb: Verb,
}

/// Flags that every verb takes.
#[derive(Clone, Debug, clap::Args)]
pub struct Global {
    /// Where the daemon keeps its store, artifacts and control socket
    #[arg(long, global = true, value_name = "DIR", env = "ARCOLOGY_STATE", default_value = STATE_DIR)]
    #[arg(help_heading = "Global options", display_order = 100)]
    pub state: PathBuf,
    /// The daemon's control socket [default: control.sock in the state directory]
    #[arg(long, global = true, value_name = "SOCKET", env = "ARCOLOGY_CONTROL")]
    #[arg(help_heading = "Global options", display_order = 101)]
    pub control: Option<PathBuf>,
    /// When to use colour
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t)]
    #[arg(help_heading = "Global options", display_order = 102)]
    pub color: Colour,
    /// Tell more: the reasons beneath an error, the daemon's debug log; twice for its trace
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    #[arg(help_heading = "Global options", display_order = 103)]
    pub verbose: u8,
}

impl Global {
    /// The socket that was named, or the one in the state directory.
    #[must_use]
    pub fn control_socket(&self) -> PathBuf {
        self.control.clone().unwrap_or_else(|| in_state(&self.state))
    }
}

fn in_state(state: &Path) -> PathBuf {
    state.join(CONTROL_SOCKET)
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    Up(verb::up::Args),
    Validate(verb::validate::Args),
    Plan(verb::plan::Args),
    Status(verb::status::Args),
    Get(verb::get::Args),
    Why(verb::why::Args),
    Simulate(verb::simulate::Args),
    Submit(verb::submit::Args),
    Cancel(verb::cancel::Args),
    Retry(verb::retry::Args),
    Reroute(verb::reroute::Args),
    Lease(verb::lease::Args),
    Reconcile(verb::reconcile::Args),
    Discover(verb::discover::Args),
    Doctor(verb::doctor::Args),
    Explain(verb::explain::Args),
    Init(verb::init::Args),
    Schema(verb::schema::Args),
    Completions(verb::completions::Args),
    #[command(hide = true)]
    Reference(verb::reference::Args),
    #[command(hide = true)]
    Soak(verb::soak::Args),
    #[command(hide = true)]
    Confine(verb::confine::Args),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_socket_is_the_named_one_or_lies_in_the_state_directory() {
        let global = |args: &[&str]| Cli::try_parse_from([&["arcology", "status"], args].concat()).unwrap().global;
        assert_eq!(global(&["--state", "/s"]).control_socket(), Path::new("/s/control.sock"));
        assert_eq!(global(&["--state", "/s", "--control", "/c"]).control_socket(), Path::new("/c"));
    }

    #[test]
    fn every_verb_has_an_example() {
        for verb in Cli::command().get_subcommands().filter(|verb| !verb.is_hide_set()) {
            let name = verb.get_name();
            let after = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(after.contains(&format!("arcology {name}")), "{name} has no example");
            assert!(verb.get_about().is_some(), "{name} does not say what it does");
        }
    }

    #[test]
    fn a_command_line_that_makes_no_sense_leaves_with_2() {
        for args in [&["arcology", "plam"][..], &["arcology", "status", "extra"], &["arcology"]] {
            assert_eq!(Cli::try_parse_from(args).unwrap_err().exit_code(), 2, "{args:?}");
        }
        assert_eq!(Cli::try_parse_from(["arcology", "--help"]).unwrap_err().exit_code(), 0);
    }
}
