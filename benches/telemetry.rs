//! What one look at the machine costs, in time of the thread that looks, beside reading the two files that it rests on.

use std::hint::black_box;
use std::process::Command;
use std::time::{Duration, Instant};

use arcology::act::telemetry::machine::Machine;
use arcology::act::telemetry::nvml::Driver;

use crate::measure::{Times, row};

const ROUNDS: usize = 2_000;
const MACHINE_ROUNDS: usize = 60;
/// Looks in quicker succession than 200 ms leave the processor out.
const MACHINE_PAUSE: Duration = Duration::from_millis(250);

pub fn run() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut machine = Machine::new(dir.path().to_owned());
    let machine = Times::of(
        (0..MACHINE_ROUNDS)
            .map(|_| {
                std::thread::sleep(MACHINE_PAUSE);
                let start = Instant::now();
                black_box(machine.look().expect("this machine can be asked"));
                start.elapsed()
            })
            .collect(),
    );
    let files = Times::measure(ROUNDS, || {
        ["/proc/stat", "/proc/meminfo"].map(|path| std::fs::read(path).expect("Linux has it").len())
    });
    row("processor, memory and disk", format!("{machine}, {:.1} times the yardstick", machine.against(&files)));
    row("  reading /proc/stat and /proc/meminfo", &files);
    match Driver::new(None).look() {
        Ok(cards) => {
            let mut driver = Driver::new(None);
            row(
                format!("{} cards of this machine by NVML", cards.len()),
                Times::measure(ROUNDS / 10, || driver.look()),
            );
        }
        Err(fault) => row("cards of this machine by NVML", format!("not measured: {fault}")),
    }
    stand_in(dir.path());
}

/// Two cards of the tests' stand-in for NVIDIA's library: what is ours of a look, without what a driver takes.
fn stand_in(dir: &std::path::Path) {
    let (library, state) = (dir.join("libnvidia-ml.so.1"), dir.join("state"));
    std::fs::write(&state, "present").expect("it is written");
    let compiled = Command::new("cc")
        .args(["-O2", "-shared", "-fPIC"])
        .arg(format!("-DSTATE=\"{}\"", state.display()))
        .arg(format!("-DINITS=\"{}\"", dir.join("inits").display()))
        .arg("-o")
        .arg(&library)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/telemetry/fake_nvml.c"))
        .status();
    assert!(compiled.is_ok_and(|status| status.success()), "a C compiler is needed to build Arcology");
    let mut driver = Driver::new(Some(library));
    row("two cards of a stand-in for NVML", Times::measure(ROUNDS, || driver.look().expect("it is there")));
}
