//! Manifests read without a daemon: a revision of a repository or the files of a folder, and the world they add up to.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::act::source::{Error, Options, Snapshot, Source};
use crate::core::{Commit, ObjectKey};
use crate::declare::manifest::{Diagnostic, ParsedFile};
use crate::declare::world::{self, Assembly, Object, World};

use super::failure::{Failure, chain};

/// The repository at `repo`, for looking at revisions. `state` holds the clone when it is a remote one.
///
/// # Errors
/// When the address can never work.
pub fn source(repo: &str, state: &Path, worktree: bool) -> Result<Source, Failure> {
    Source::open(Options { worktree, ..Options::new(repo, state) }).map_err(|error| failed(&error))
}

/// What the source says of its own errors, for a person.
#[must_use]
pub fn failed(error: &Error) -> Failure {
    let failure = Failure::new(chain(error));
    match error.help() {
        Some(help) => failure.hint(help),
        None => failure,
    }
}

/// Every problem of a snapshot by itself.
#[must_use]
pub fn check(snapshot: &Snapshot) -> Vec<Diagnostic> {
    world::check(&snapshot.files, &|path| snapshot.paths.exists(path))
}

/// The world of a snapshot on top of what was in force before.
#[must_use]
pub fn assemble(snapshot: &Snapshot, in_force: &BTreeMap<ObjectKey, Arc<Object>>) -> Assembly {
    world::assemble(&world::Inputs {
        revision: snapshot.revision.clone(),
        files: &snapshot.files,
        in_force,
        commit_of: &|path| -> Option<Commit> { snapshot.commits.get(path).cloned() },
        exists: &|path| snapshot.paths.exists(path),
        prune_confirmed: snapshot.prune_confirmed,
    })
}

/// The world that `files` add up to in the place of the one in force.
#[must_use]
pub fn assemble_files(files: &BTreeMap<Arc<str>, Arc<ParsedFile>>, in_force: &World) -> Option<World> {
    let inputs = world::Inputs {
        revision: in_force.revision.clone()?,
        files,
        in_force: &in_force.objects,
        commit_of: &|_| None,
        // Files that tasks name are not looked for: they have no say here.
        exists: &|_| true,
        prune_confirmed: true,
    };
    Some(world::assemble(&inputs).world)
}
