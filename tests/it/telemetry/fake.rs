//! The stand-in for NVIDIA's library, compiled for one test, and the file that steers it.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A compiled stand-in in a directory of its own.
pub struct FakeNvml {
    dir: tempfile::TempDir,
}

impl FakeNvml {
    /// A driver of today in this state: `present`, `none`, `unloaded`, `forbidden`, `lost`, `silent`, `absurd`, `crowded`, `hang`, or `loaded`, which
    /// is `present` with 8 GB more in use on the first card.
    pub fn new(state: &str) -> Self {
        Self::compiled(state, &[])
    }

    /// One that lacks what drivers before version 510 lack.
    pub fn old(state: &str) -> Self {
        Self::compiled(state, &["-DOLD"])
    }

    fn compiled(state: &str, flags: &[&str]) -> Self {
        let fake = Self { dir: tempfile::tempdir().unwrap() };
        fake.set(state);
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/telemetry/fake_nvml.c");
        let define = |name: &str, path: PathBuf| format!("-D{name}=\"{}\"", path.display());
        let output = Command::new("cc")
            .args(["-shared", "-fPIC", "-Wall", "-Wextra", "-Werror"])
            .args(flags)
            .arg(define("STATE", fake.state_file()))
            .arg(define("INITS", fake.dir.path().join("inits")))
            .arg("-o")
            .args([fake.library(), source])
            .output()
            .expect("a C compiler is needed to build Arcology, and this test needs it too");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        fake
    }

    /// The library, under the name by which the loader looks for it.
    pub fn library(&self) -> PathBuf {
        self.dir.path().join("libnvidia-ml.so.1")
    }

    fn state_file(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// What the driver does from now on. The file is replaced at once, so that nobody reads half a word.
    pub fn set(&self, state: &str) {
        let new = self.dir.path().join("state.new");
        std::fs::write(&new, state).unwrap();
        std::fs::rename(new, self.state_file()).unwrap();
    }

    /// How often the library was initialised.
    pub fn inits(&self) -> usize {
        std::fs::read(self.dir.path().join("inits")).map_or(0, |bytes| bytes.len())
    }
}

impl Drop for FakeNvml {
    /// A thread that hangs in the library must be able to leave it before it goes away.
    fn drop(&mut self) {
        self.set("present");
    }
}
