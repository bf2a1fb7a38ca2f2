//! The program `arcology`: all of it is in the library; here the command line meets the daemon.

use std::process::ExitCode;

fn main() -> ExitCode {
    arcology::tell::cli::main(arcology::daemon::run)
}
