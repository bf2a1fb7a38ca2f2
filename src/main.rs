//! The program `arcology`: all of it is in the library; here the command line meets the daemon.

use std::process::ExitCode;

use arcology::tell::cli;
use arcology::tell::cli::verb::up::UpArgs;

fn main() -> ExitCode {
    cli::main(daemon)
}

fn daemon(args: UpArgs) -> ExitCode {
    eprintln!("error: this build has no daemon, so {} is not watched", args.repo);
    ExitCode::FAILURE
}
