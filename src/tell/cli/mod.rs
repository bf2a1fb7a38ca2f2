//! The command line: one file a verb, all output through one place.
//!
//! [`args`] says what may be typed, [`verb`] holds what each verb does, [`plan`], [`columns`] and
//! [`diagnostics`](super::diagnostics) turn values into text, [`client`] talks to the daemon, [`load`] reads manifests
//! without one, [`ui`] prints. What a person sees of an error is a [`failure::Failure`].

pub mod args;
pub mod client;
pub mod columns;
pub mod discover;
pub mod doctor;
pub mod failure;
pub mod follow;
mod host;
pub mod init;
pub mod load;
pub mod plan;
pub mod read;
pub mod simulate;
pub mod table;
pub mod ui;
pub mod verb;
pub mod yaml;

use std::process::ExitCode;

use clap::Parser as _;

use args::{Cli, Verb};
use ui::Ui;
use verb::up::Daemon;

/// Carries out the command line of this process. `daemon` is what `arcology up` runs.
#[must_use]
pub fn main(daemon: Daemon) -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help that nobody reads to its end is no failure.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(failure::Exit::Usage.code()));
        }
    };
    let mut ui = Ui::of_process(cli.global.color, cli.global.verbose > 0);
    let global = &cli.global;
    let outcome = match cli.verb {
        Verb::Up(args) => return verb::up::run(args, global, daemon),
        Verb::Validate(args) => verb::validate::run(&args, global, &mut ui),
        Verb::Plan(args) => verb::plan::run(&args, global, &mut ui),
        Verb::Status(args) => verb::status::run(&args, global, &mut ui),
        Verb::Get(args) => verb::get::run(&args, global, &mut ui),
        Verb::Why(args) => verb::why::run(&args, global, &mut ui),
        Verb::Simulate(args) => verb::simulate::run(&args, global, &mut ui),
        Verb::Submit(args) => verb::submit::run(&args, global, &mut ui),
        Verb::Cancel(args) => verb::cancel::run(&args, global, &mut ui),
        Verb::Retry(args) => verb::retry::run(&args, global, &mut ui),
        Verb::Reroute(args) => verb::reroute::run(&args, global, &mut ui),
        Verb::Lease(args) => verb::lease::run(args, global, &mut ui),
        Verb::Reconcile(args) => verb::reconcile::run(&args, global, &mut ui),
        Verb::Discover(args) => verb::discover::run(&args, &mut ui),
        Verb::Doctor(args) => verb::doctor::run(&args, global, &mut ui),
        Verb::Explain(args) => verb::explain::run(&args, &mut ui),
        Verb::Init(args) => verb::init::run(&args, &mut ui),
        Verb::Schema(args) => verb::schema::run(&args, &mut ui),
        Verb::Completions(args) => verb::completions::run(&args, &mut ui),
        Verb::Reference(args) => verb::reference::run(&args, &mut ui),
        Verb::Soak(args) => verb::soak::run(&args, &mut ui),
        Verb::Confine(args) => verb::confine::run(args, &mut ui),
    };
    let exit = outcome.unwrap_or_else(|failure| {
        ui.fail(&failure);
        failure.exit
    });
    ExitCode::from(exit.code())
}
