//! The inputs of a task: its text, files of the repository at the task's revision or of folders that the daemon may read,
//! and for a task that has none of these what the tasks that it depends on made.

use std::path::Path;
use std::sync::{Arc, PoisonError};

use crate::act::runtime::InputFile;
use crate::core::Digest;
use crate::remember::store::row::{ArtifactRow, TaskRow};
use crate::remember::store::{ArtifactFilter, PAGE_ITEMS_MAX, Page};
use crate::remember::vault::Input;

use super::intake::resolve;
use super::shared::Shared;

/// The most bytes of one input file.
pub const INPUT_BYTES_MAX: u64 = 64 << 20;
/// The most bytes of all that the tasks before made.
const MADE_BYTES_MAX: u64 = 256 << 20;

/// What a task works on.
#[derive(Debug, Default)]
pub struct Inputs {
    pub text: Option<String>,
    pub files: Vec<InputFile>,
    /// All of it, by checksum: an artifact of another task is found again by that.
    pub lineage: Vec<Input>,
}

impl Inputs {
    /// What was made before, to be worked on: texts together, anything else as files.
    pub fn of_made<'a>(made: impl IntoIterator<Item = (&'a str, &'a str, &'a [u8])>) -> Self {
        let (mut texts, mut inputs) = (Vec::new(), Self::default());
        for (name, kind, bytes) in made {
            inputs.lineage.push(named(name, bytes));
            match std::str::from_utf8(bytes) {
                Ok(words) if matches!(kind, "md" | "txt") => texts.push(words),
                _ => inputs.files.push(InputFile { name: name.to_owned(), bytes: Arc::from(bytes) }),
            }
        }
        inputs.text = (!texts.is_empty()).then(|| texts.join("\n\n"));
        inputs
    }
}

/// Reads everything that a task works on.
///
/// # Errors
/// A sentence that names the file, or the task, and says what to do.
pub async fn read(shared: &Arc<Shared>, row: &TaskRow) -> Result<Inputs, String> {
    let own = &row.spec.inputs;
    if own.text.is_none() && own.files.is_empty() && !row.spec.dependencies.is_empty() {
        return made_before(shared, row).await;
    }
    let files = files(shared, row).await?;
    let mut lineage: Vec<Input> = files.iter().map(|file| named(&file.name, &file.bytes)).collect();
    lineage.extend(own.text.iter().map(|text| named("text", text.as_bytes())));
    Ok(Inputs { text: own.text.clone(), files, lineage })
}

pub fn named(name: &str, bytes: &[u8]) -> Input {
    Input { name: name.to_owned(), sha256: Digest::of(bytes), bytes: bytes.len() as u64 }
}

/// What the tasks that this one depends on made, in the order in which it names them. One that failed and was not waited
/// for made nothing.
async fn made_before(shared: &Arc<Shared>, row: &TaskRow) -> Result<Inputs, String> {
    let names = &row.spec.dependencies;
    let ids: Vec<String> = if row.object.is_some() {
        resolve(&shared.memory().world, names).into_iter().map(|on| on.id.to_string()).collect()
    } else {
        names.clone()
    };
    let mut rows = Vec::new();
    for (name, id) in names.iter().zip(ids) {
        let filter = ArtifactFilter { task: Some(id), ..ArtifactFilter::default() };
        let page = Page::new(Some(PAGE_ITEMS_MAX), None);
        let made =
            shared.store.artifacts(filter, page).await.map_err(|e| format!("what {name} made is not known: {e}"))?;
        if made.next.is_some() {
            return Err(format!("{name} made more than {PAGE_ITEMS_MAX} files; name those to work on in `inputs`"));
        }
        rows.extend(made.items.into_iter().rev());
    }
    if rows.is_empty() {
        let all = names.join(", ");
        return Err(format!("there is nothing to work on: no `inputs`, and nothing that was made by {all}"));
    }
    let vault = shared.vault.clone();
    let reading = move || {
        let bytes: u64 = rows.iter().map(|row| row.bytes).sum();
        let too_large = rows.iter().find(|row| row.bytes > INPUT_BYTES_MAX).map(|row| row.path.as_str());
        if bytes > MADE_BYTES_MAX || too_large.is_some() {
            let what = too_large.unwrap_or("what the tasks before made");
            return Err(format!(
                "{what} is too large: at most {INPUT_BYTES_MAX} bytes a file and {MADE_BYTES_MAX} in all"
            ));
        }
        let contents = rows
            .iter()
            .map(|row| vault.read(row.sha256, 0, INPUT_BYTES_MAX).map_err(|error| format!("{}: {error}", row.path)));
        let contents = contents.collect::<Result<Vec<_>, String>>()?;
        Ok(Inputs::of_made(
            rows.iter().zip(&contents).map(|(row, bytes)| (file_name(row), row.kind.as_str(), &**bytes)),
        ))
    };
    tokio::task::spawn_blocking(reading).await.map_err(|panic| format!("reading the inputs broke off: {panic}"))?
}

fn file_name(row: &ArtifactRow) -> &str {
    row.path.rsplit('/').next().unwrap_or(&row.path)
}

async fn files(shared: &Arc<Shared>, row: &TaskRow) -> Result<Vec<InputFile>, String> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_were_made_before_are_one_text_and_the_rest_is_files() {
        let made: [(&str, &str, &[u8]); 4] =
            [("a.txt", "txt", b"one"), ("s.wav", "wav", b"RIFF"), ("b.md", "md", b"two"), ("bad.txt", "txt", b"\xff")];
        let inputs = Inputs::of_made(made);
        assert_eq!(inputs.text.as_deref(), Some("one\n\ntwo"));
        assert_eq!(inputs.files.iter().map(|file| file.name.as_str()).collect::<Vec<_>>(), ["s.wav", "bad.txt"]);
        let sums: Vec<Digest> = inputs.lineage.iter().map(|input| input.sha256).collect();
        assert_eq!(sums, made.map(|(_, _, bytes)| Digest::of(bytes)));
        assert_eq!(Inputs::of_made([]).text, None);
    }
}
