//! The inputs of a task: files of the repository at the task's revision, or of folders that the daemon may read.

use std::path::Path;
use std::sync::{Arc, PoisonError};

use crate::act::runtime::InputFile;
use crate::remember::store::row::TaskRow;

use super::shared::Shared;

/// The most bytes of one input file.
pub const INPUT_BYTES_MAX: u64 = 64 << 20;

/// Reads every input file of a task.
///
/// # Errors
/// A sentence that names the file and says what to do.
pub async fn read(shared: &Arc<Shared>, row: &TaskRow) -> Result<Vec<InputFile>, String> {
    if row.spec.inputs.files.is_empty() {
        return Ok(Vec::new());
    }
    let (shared, row) = (Arc::clone(shared), row.clone());
    tokio::task::spawn_blocking(move || {
        row.spec.inputs.files.iter().map(|path| read_one(&shared, &row, path)).collect()
    })
    .await
    .map_err(|panic| format!("reading the inputs broke off: {panic}"))?
}

/// Reads a file that a manifest in force names, as the revision in force has it, under its whole path.
///
/// # Errors
/// A sentence that names the file and says what to do.
pub async fn read_in_force(shared: &Arc<Shared>, path: &str) -> Result<InputFile, String> {
    let commit = shared.memory().world.revision.as_ref().map(|revision| revision.commit.sha.clone());
    let commit = commit.ok_or_else(|| format!("{path}: no revision is in force to read it from"))?;
    let (shared, name) = (Arc::clone(shared), path.to_owned());
    tokio::task::spawn_blocking(move || {
        let source = shared.source.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = source.read_file(&commit, &name, INPUT_BYTES_MAX).map_err(|error| format!("{name}: {error}"))?;
        Ok(InputFile { name, bytes: Arc::from(bytes.as_slice()) })
    })
    .await
    .map_err(|panic| format!("reading {path} broke off: {panic}"))?
}

fn read_one(shared: &Shared, row: &TaskRow, path: &str) -> Result<InputFile, String> {
    let name = path.rsplit('/').next().unwrap_or(path).to_owned();
    let bytes = if row.object.is_some() {
        let commit = row.revision.as_ref().map(|revision| revision.commit.sha.clone());
        let Some(commit) = commit else { return Err(format!("{path}: the task has no revision to read it from")) };
        let source = shared.source.lock().unwrap_or_else(PoisonError::into_inner);
        source.read_file(&commit, path, INPUT_BYTES_MAX).map_err(|error| format!("{path}: {error}"))?
    } else {
        read_allowed(shared, path)?
    };
    Ok(InputFile { name, bytes: Arc::from(bytes.as_slice()) })
}

/// A file below one of the folders that `up --inputs` allows, links resolved first so that none leads out of them.
fn read_allowed(shared: &Shared, path: &str) -> Result<Vec<u8>, String> {
    let real = Path::new(path).canonicalize().map_err(|error| format!("{path}: {error}"))?;
    let allowed = shared.inputs_dirs.iter().filter_map(|dir| dir.canonicalize().ok()).any(|dir| real.starts_with(dir));
    if !allowed {
        return Err(format!(
            "{path} is not below a folder that this daemon may read; start it with `arcology up --inputs DIR`"
        ));
    }
    let size = real.metadata().map_err(|error| format!("{path}: {error}"))?.len();
    if size > INPUT_BYTES_MAX {
        return Err(format!("{path} has {size} bytes; at most {INPUT_BYTES_MAX} are read"));
    }
    std::fs::read(&real).map_err(|error| format!("{path}: {error}"))
}
