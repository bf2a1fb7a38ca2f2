//! Which built-in models are loaded: one small file a model, so that it can be seen, and undone, from outside.
//!
//! `<state>/builtin/<runtime>/loaded/<model>`: the file is there = the model is loaded. A restart of Arcology unloads
//! nothing, as with a runtime in a process of its own; deleting the file by hand really unloads. Reading never writes.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

/// Counts the drafts of this process. It starts anew with the process, so what a crash leaves behind is written over.
static TURN: AtomicU64 = AtomicU64::new(0);

const CONTENT: &str = "This model of the built-in runtime is loaded. Deleting this file unloads it.\n";

/// The folder in which the loaded models of one runtime are written down.
#[derive(Clone, Debug)]
pub struct Loaded {
    folder: PathBuf,
}

impl Loaded {
    /// The set of the runtime called `runtime`, under the daemon's state folder. Touches nothing yet.
    #[must_use]
    pub fn new(state_dir: &Path, runtime: &str) -> Self {
        Self { folder: state_dir.join("builtin").join(runtime).join("loaded") }
    }

    /// The file that stands for `model`.
    #[must_use]
    pub fn file(&self, model: &str) -> PathBuf {
        self.folder.join(model)
    }

    /// Whether `model` is loaded. Only a plain file counts: a folder or a link of that name was put there by mistake.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub async fn contains(&self, model: &str) -> io::Result<bool> {
        match tokio::fs::symlink_metadata(self.file(model)).await {
            Ok(metadata) => Ok(metadata.is_file()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// When the set last changed, as the file system tells; none when nothing was ever loaded.
    pub async fn touched(&self) -> Option<SystemTime> {
        tokio::fs::metadata(&self.folder).await.ok()?.modified().ok()
    }

    /// Loads `model`: the file appears whole, or not at all.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub async fn insert(&self, model: &str) -> io::Result<()> {
        if self.contains(model).await? {
            return Ok(());
        }
        tokio::fs::create_dir_all(&self.folder).await?;
        // A name of its own for each call: the loop and a task may load the same model at the same moment.
        let turn = TURN.fetch_add(1, Ordering::Relaxed);
        let draft = self.folder.join(format!(".{model}.{turn}.draft"));
        tokio::fs::write(&draft, CONTENT).await?;
        tokio::fs::rename(&draft, self.file(model)).await
    }

    /// Unloads `model`. Not loaded is success.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub async fn remove(&self, model: &str) -> io::Result<()> {
        match tokio::fs::remove_file(self.file(model)).await {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_loaded_survives_and_a_deleted_file_is_an_unloaded_model() {
        let state = tempfile::tempdir().unwrap();
        let loaded = Loaded::new(state.path(), "desk");
        assert!(!loaded.contains("lead").await.unwrap());
        assert!(!state.path().join("builtin").exists(), "reading must not write");
        loaded.insert("lead").await.unwrap();
        loaded.insert("lead").await.unwrap();

        let after_restart = Loaded::new(state.path(), "desk");
        assert!(after_restart.contains("lead").await.unwrap());
        assert!(!Loaded::new(state.path(), "other").contains("lead").await.unwrap());

        std::fs::remove_file(state.path().join("builtin/desk/loaded/lead")).unwrap();
        assert!(!after_restart.contains("lead").await.unwrap());
        after_restart.remove("lead").await.unwrap();
    }

    #[tokio::test]
    async fn loading_a_model_from_many_sides_at_once_loads_it_and_fails_nobody() {
        let state = tempfile::tempdir().unwrap();
        let loaded = Loaded::new(state.path(), "desk");
        for _ in 0..20 {
            let all = futures::future::join_all((0..8).map(|_| loaded.insert("lead"))).await;
            assert!(all.iter().all(Result::is_ok), "{all:?}");
            assert!(loaded.contains("lead").await.unwrap());
            loaded.remove("lead").await.unwrap();
        }
        assert_eq!(std::fs::read_dir(state.path().join("builtin/desk/loaded")).unwrap().count(), 0, "no draft is left");
    }

    #[tokio::test]
    async fn a_folder_in_the_place_of_the_file_is_no_loaded_model_and_loading_says_so() {
        let state = tempfile::tempdir().unwrap();
        let loaded = Loaded::new(state.path(), "desk");
        std::fs::create_dir_all(loaded.file("lead")).unwrap();
        assert!(!loaded.contains("lead").await.unwrap());
        assert!(loaded.insert("lead").await.is_err());
    }
}
