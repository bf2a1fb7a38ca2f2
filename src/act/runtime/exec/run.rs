//! One run: a folder, the inputs in it, the commands one after the other, the files that came of it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::act::runtime::adapter::{Fault, Invocation, Outcome, Output, Progress, RuntimeError};
use crate::core::text::shorten;
use crate::declare::manifest::kind::options::exec::{ExecOptions, OutputFile, Program, Stdin, Step, short_type};

use super::arguments::{self, Values};
use super::family::MARK;
use super::folder::Folder;
use super::probe::{self, Protection, USUAL};
use super::process::Start;
use super::report::Report;
use super::sandbox::{self, Seen};
use super::supervise::{self, Surroundings};

/// The most bytes that all results have together.
const RESULT_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// The most files that are a result.
const RESULTS_MAX: usize = 1_000;
/// The longest command that is told, in characters.
const COMMAND_CHARS_MAX: usize = 300;

/// What one run needs.
pub(super) struct Run {
    pub options: Arc<ExecOptions>,
    pub program: Program,
    pub protection: Arc<Protection>,
    /// Where folders of runs are made.
    pub home: PathBuf,
    pub invocation: Invocation,
    /// What the manifest says of the model.
    pub model_value: Option<String>,
    /// The longest that it may take.
    pub time: Duration,
    pub progress: Progress,
    pub cancelled: CancellationToken,
}

impl Run {
    /// Carries it out. The folder is gone afterwards, whatever happens.
    pub async fn carry_out(self) -> Result<Outcome, RuntimeError> {
        let began = Instant::now();
        let settings = arguments::settings(&self.invocation.capability, &self.program, &self.invocation.params)?;
        let (home, files, text) = (self.home.clone(), self.invocation.files.clone(), self.invocation.text.clone());
        let (folder, inputs, text_file) = blocking("the folder of the run cannot be made", move || {
            let folder = Folder::new(&home)?;
            let (inputs, text_file) = folder.give(&files, text.as_deref())?;
            Ok((Arc::new(folder), inputs, text_file))
        })
        .await?;
        let worked = self.work(&folder, &inputs, text_file.as_deref(), settings, began).await;
        // A folder may hold much, so it is not removed on a thread that others wait for.
        drop(tokio::task::spawn_blocking(move || folder.remove()).await);
        let (outputs, peak) = worked?;
        let figures = BTreeMap::from([
            ("wall_ms".to_owned(), began.elapsed().as_secs_f64() * 1e3),
            ("peak_memory_mb".to_owned(), u32::try_from(peak / (1024 * 1024)).unwrap_or(u32::MAX).into()),
        ]);
        Ok(Outcome { outputs, model: self.invocation.model, prompt: None, figures })
    }

    /// The steps in order: their results, and the most memory that one took.
    async fn work(
        &self,
        folder: &Arc<Folder>,
        inputs: &[String],
        text_file: Option<&str>,
        settings: BTreeMap<String, String>,
        began: Instant,
    ) -> Result<(Vec<Output>, u64), RuntimeError> {
        let seen = Seen::of(&self.protection, folder);
        let values = Values {
            inputs: inputs.iter().map(|name| seen.inputs.join(name)).collect(),
            text_file: text_file.map(|name| seen.inputs.join(name)),
            model: self.model_value.clone(),
            settings,
        };
        self.progress.say(&self.protection.in_words());
        let mut peak = 0;
        for (step, n) in self.program.steps.iter().zip(1..) {
            peak = peak.max(self.step(n, step, folder, &seen, &values, began + self.time).await?);
        }
        Ok((self.results(folder).await?, peak))
    }

    /// Runs one step, for each of its files where it has some; the most memory that it took.
    async fn step(
        &self,
        n: usize,
        step: &Step,
        folder: &Arc<Folder>,
        seen: &Seen,
        values: &Values,
        deadline: Instant,
    ) -> Result<u64, RuntimeError> {
        let name = step.run.first().and_then(|first| first.literal()).unwrap_or_default();
        let program = found(&self.options, name)?;
        let each = match &step.each {
            None => vec![None],
            Some(pattern) => self.each(name, pattern, folder).await?.into_iter().map(Some).collect(),
        };
        let (mut printed, mut peak) = (Vec::new(), 0);
        for file in &each {
            let path = file.as_ref().map(|file| seen.outputs.join(file));
            let arguments = arguments::fill(&step.run, values, path.as_deref())?;
            let line = format!("step {n} of {}: {name} {}", self.program.steps.len(), arguments.join(" "));
            self.progress.say(&shorten(&line, COMMAND_CHARS_MAX));
            let start = self.start(step, folder, seen, &program, arguments)?;
            let around = Surroundings {
                folder,
                limits: &self.program.limits,
                deadline,
                time: self.time,
                cancelled: &self.cancelled,
                is_sandboxed: self.protection.bubblewrap.is_some(),
                progress: &self.progress,
            };
            let report = Report::new(step.progress.as_deref());
            let left = supervise::command(name, start, step.stdout.is_some(), report, &around).await?;
            peak = peak.max(left.memory_bytes_peak);
            printed.extend(left.stdout);
            if printed.len() as u64 > RESULT_BYTES_MAX {
                return Err(failed(format!("{name} printed more than {RESULT_BYTES_MAX} bytes in all")));
            }
        }
        if let Some(file) = step.stdout.clone() {
            let folder = folder.clone();
            blocking("what a program printed cannot be kept", move || folder.keep(&file, &printed)).await?;
        }
        Ok(peak)
    }

    /// The files that a step is run for.
    async fn each(&self, name: &str, pattern: &str, folder: &Arc<Folder>) -> Result<Vec<String>, RuntimeError> {
        let (folder, wanted) = (folder.clone(), pattern.to_owned());
        let names = blocking("the folder of the run cannot be read", move || folder.matching(&wanted)).await?;
        match names.len() {
            0 => Err(failed(format!("{name} has nothing to do: the steps before it left no file `{pattern}`"))),
            1..=RESULTS_MAX => Ok(names),
            many => Err(failed(format!("{many} files are called `{pattern}`, more than {RESULTS_MAX}"))),
        }
    }

    fn start(
        &self,
        step: &Step,
        folder: &Folder,
        seen: &Seen,
        program: &Path,
        arguments: Vec<String>,
    ) -> Result<Start, RuntimeError> {
        let stdin = match step.stdin {
            None => None,
            Some(Stdin::Text) if self.invocation.text.is_none() => {
                return Err(bad("it needs a text, and was given none"));
            }
            Some(Stdin::Text) => Some(folder.inputs().join("text.txt")),
            Some(Stdin::Input) => Some(self.first_input(folder)?),
        };
        let opened = stdin.map(File::open).transpose();
        let stdin = opened.map_err(|error| failed(format!("its input cannot be opened: {error}")))?;
        let temporary = seen.temporary.to_string_lossy().into_owned();
        let mut env = vec![
            ("PATH".to_owned(), folders(&self.options).collect::<Vec<_>>().join(":")),
            ("HOME".to_owned(), temporary.clone()),
            ("TMPDIR".to_owned(), temporary),
            ("LANG".to_owned(), "C.UTF-8".to_owned()),
        ];
        env.extend(self.program.env.clone());
        // Last, so that nothing takes its place: by it a run finds what it has to end.
        env.push((MARK.to_owned(), folder.mark.clone()));
        let argv = sandbox::wrapped(&self.protection, folder, (&self.options, &self.program), program, arguments);
        Ok(Start { argv, env, folder: folder.outputs(), stdin })
    }

    fn first_input(&self, folder: &Folder) -> Result<PathBuf, RuntimeError> {
        let names = std::fs::read_dir(folder.inputs()).into_iter().flatten().flatten();
        let first = names.map(|entry| entry.path()).find(|path| path.file_stem().is_some_and(|stem| stem == "1"));
        first.ok_or_else(|| bad("it needs a file to work on, and was given none"))
    }

    async fn results(&self, folder: &Arc<Folder>) -> Result<Vec<Output>, RuntimeError> {
        let (folder, wanted) = (folder.clone(), self.program.outputs.clone());
        let collected = tokio::task::spawn_blocking(move || collect(&folder, &wanted)).await;
        collected.map_err(|error| failed(format!("collecting the results broke off: {error}")))?
    }
}

/// Reads what is a result.
fn collect(folder: &Folder, wanted: &[OutputFile]) -> Result<Vec<Output>, RuntimeError> {
    let mut outputs: Vec<Output> = Vec::new();
    let mut left = RESULT_BYTES_MAX;
    for output in wanted {
        let names =
            folder.matching(&output.file).map_err(|error| failed(format!("the folder cannot be read: {error}")))?;
        if names.is_empty() && !output.optional {
            return Err(failed(format!("it ended well, but left no file `{}`", output.file)));
        }
        for name in names {
            if outputs.iter().any(|known| known.name == name) {
                continue;
            }
            if outputs.len() >= RESULTS_MAX {
                return Err(failed(format!("it left more than {RESULTS_MAX} files")));
            }
            let taken =
                folder.take(&name, left).map_err(|error| failed(format!("`{name}` cannot be read: {error}")))?;
            let bytes = taken.ok_or_else(|| failed(format!("its results have more than {RESULT_BYTES_MAX} bytes")))?;
            left -= bytes.len() as u64;
            let kind = match &output.media_type {
                Some(media_type) => short_type(media_type),
                None => name.rsplit_once('.').map_or("bin", |(_, end)| end).to_lowercase(),
            };
            outputs.push(Output { name, kind, bytes });
        }
    }
    Ok(outputs)
}

/// The folders in which programs are looked for.
fn folders(options: &ExecOptions) -> impl Iterator<Item = &str> {
    let usual: &[&str] = if options.path.is_empty() { USUAL } else { &[] };
    options.path.iter().map(String::as_str).chain(usual.iter().copied())
}

/// Where the program `name` is.
///
/// # Errors
/// Not found, with where it was looked for.
pub(super) fn found(options: &ExecOptions, name: &str) -> Result<PathBuf, RuntimeError> {
    probe::find(name, folders(options).map(Path::new)).ok_or_else(|| {
        let place = match name.starts_with('/') {
            true => "there is no executable file of that name".to_owned(),
            false => format!("it is in none of {}", folders(options).collect::<Vec<_>>().join(", ")),
        };
        RuntimeError::new(Fault::NotFound, format!("the program `{name}` is not installed: {place}"))
    })
}

async fn blocking<T: Send + 'static>(
    what: &str,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, RuntimeError> {
    let worked = tokio::task::spawn_blocking(work).await;
    worked.map_err(io::Error::other).flatten().map_err(|error| failed(format!("{what}: {error}")))
}

fn failed(message: String) -> RuntimeError {
    RuntimeError::new(Fault::RuntimeError, message)
}

fn bad(message: &str) -> RuntimeError {
    RuntimeError::new(Fault::BadInput, message)
}
