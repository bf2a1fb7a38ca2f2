//! `arcology confine` (hidden): puts rules on itself and becomes another program. The adapter `exec` starts programs through
//! it where there is no bubblewrap; what the rules are is `act::runtime::exec`'s.

use std::ffi::OsString;
use std::path::PathBuf;

use serde_json::json;

use crate::act::runtime::exec::confine::{Limits, Rules, View, become_confined, try_out};
use crate::tell::cli::failure::{Exit, Failure, Outcome};
use crate::tell::cli::ui::Ui;

/// Run a program that can reach no more than is named
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Say which version of Landlock the kernel enforces, as JSON, and run nothing
    #[arg(long, exclusive = true)]
    probe: bool,
    /// Keep it to what is named with Landlock, of this version or a newer one
    #[arg(long, value_name = "ABI")]
    landlock: Option<u32>,
    /// A file or folder that it may read and execute
    #[arg(long, value_name = "PATH", requires = "landlock")]
    read: Vec<PathBuf>,
    /// A folder that it may use in every way
    #[arg(long, value_name = "PATH", requires = "landlock")]
    write: Vec<PathBuf>,
    /// A device that it may use
    #[arg(long, value_name = "PATH", requires = "landlock")]
    device: Vec<PathBuf>,
    /// It may use TCP
    #[arg(long, requires = "landlock")]
    network: bool,
    /// The most memory of its own that a process may have
    #[arg(long, value_name = "BYTES")]
    data: Option<u64>,
    /// The largest file that it may write
    #[arg(long, value_name = "BYTES")]
    fsize: Option<u64>,
    /// The most open files of a process
    #[arg(long, value_name = "N")]
    nofile: Option<u64>,
    /// The most processor time of a process
    #[arg(long, value_name = "SECONDS")]
    cpu: Option<u64>,
    /// The program and its arguments
    #[arg(last = true, value_name = "PROGRAM", required_unless_present = "probe")]
    command: Vec<OsString>,
}

pub fn run(args: Args, ui: &mut Ui) -> Outcome {
    if args.probe {
        let told = match try_out() {
            Ok(abi) => json!({"landlock": abi.0}),
            Err(why) => json!({"landlock": null, "why": why}),
        };
        ui.plain(&format!("{told}\n"))?;
        return Ok(Exit::Fine);
    }
    let Args { probe: _, landlock, read, write, device, network, data, fsize, nofile, cpu, command } = args;
    let view = landlock.map(|abi_min| View { abi_min, read, write, devices: device, network });
    let limits = Limits { data_bytes: data, file_bytes: fsize, open_files: nofile, cpu_s: cpu };
    match become_confined(&Rules { view, limits }, &command) {
        Ok(never) => match never {},
        Err(why) => Err(Failure::new(format!("the program was not run, since it cannot be confined: {why}"))),
    }
}
