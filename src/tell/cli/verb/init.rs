//! `arcology init`: a new state repository, commented and valid.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::core::text::shorten;
use crate::declare::manifest::schema;
use crate::tell::cli::failure::{Exit, Failure, Outcome};
use crate::tell::cli::init::{FILES, SCHEMA_PATH};
use crate::tell::cli::ui::Ui;

/// Make a new state repository, commented and valid
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  arcology init my-state            write the files
  arcology init my-state --commit   and make the first commit

The folder must be empty or new; one that holds nothing but .git is fine.")]
pub struct Args {
    /// The folder to fill
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Run git: make it a repository and commit the files, under your own name
    #[arg(long)]
    commit: bool,
}

pub fn run(args: &Args, ui: &mut Ui) -> Outcome {
    let dir = &args.dir;
    refuse_filled(dir)?;
    for (path, text) in FILES {
        write(dir, path, text)?;
    }
    write(dir, SCHEMA_PATH, &schema_text())?;
    if args.commit {
        let has_git = dir.join(".git").exists();
        let begin: &[&[&str]] = if has_git { &[] } else { &[&["init", "--quiet", "--initial-branch=main"]] };
        for step in begin.iter().copied().chain([&["add", "--all"][..], &["commit", "--quiet", "--message", MESSAGE]]) {
            git(dir, step)?;
        }
    }
    ui.say(&format!("wrote {} files to {}", FILES.len() + 1, dir.display()));
    ui.say("next:");
    for step in next_steps(args) {
        ui.say(&format!("  {step}"));
    }
    Ok(Exit::Fine)
}

const MESSAGE: &str = "Begin with a host, the built-in runtime and a first task";

fn next_steps(args: &Args) -> Vec<String> {
    let mut steps = vec![format!("cd {}", args.dir.display())];
    if !args.commit {
        steps.push("git init -b main && git add --all && git commit -m 'Begin'".into());
    }
    steps.extend(["arcology validate", "arcology up", "arcology status    (in a second terminal)"].map(Into::into));
    steps
}

/// The schema as it stands in a file.
#[must_use]
pub fn schema_text() -> String {
    format!("{:#}\n", schema::all())
}

fn refuse_filled(dir: &Path) -> Outcome<()> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Failure::new(format!("the folder cannot be read: {error}")).at(dir.display())),
    };
    for entry in entries {
        let name = entry.map_err(|error| Failure::new(error.to_string()).at(dir.display()))?.file_name();
        if name != ".git" {
            return Err(Failure::new("the folder is not empty, so nothing was written")
                .at(dir.join(name).display())
                .hint("name a new folder: arcology init my-state"));
        }
    }
    Ok(())
}

fn write(dir: &Path, path: &str, text: &str) -> Outcome<()> {
    let file = dir.join(path);
    let parent = file.parent().unwrap_or(dir);
    fs::create_dir_all(parent)
        .and_then(|()| fs::File::create_new(&file))
        .and_then(|mut opened| opened.write_all(text.as_bytes()))
        .map_err(|error| Failure::new(format!("the file cannot be written: {error}")).at(file.display()))
}

fn git(dir: &Path, args: &[&str]) -> Outcome<()> {
    // Set inside hooks: they would make git work on another repository.
    let strays = ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR"];
    let mut command = Command::new("git");
    command.current_dir(dir).args(args);
    for stray in strays {
        command.env_remove(stray);
    }
    let what = format!("`git {}` failed", args.first().copied().unwrap_or_default());
    let output = command.output().map_err(|error| {
        Failure::new(format!("the git program could not be run: {error}")).hint("install git, or leave out --commit")
    })?;
    if output.status.success() {
        return Ok(());
    }
    let words = shorten(String::from_utf8_lossy(&output.stderr).trim(), 400);
    Err(Failure::new(format!("{what}: {words}"))
        .at(dir.display())
        .hint("the files are written; commit them by hand once git is content"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tell::cli::ui::capture::Captured;

    fn init(dir: &Path) -> (Outcome, String) {
        let said = Captured::default();
        let mut ui = Ui::to(Captured::default(), said.clone(), None, false);
        (run(&Args { dir: dir.to_owned(), commit: false }, &mut ui), said.text())
    }

    #[test]
    fn a_new_folder_is_filled_and_the_next_steps_are_told() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("a/new");
        let (outcome, said) = init(&dir);
        assert_eq!(outcome.unwrap(), Exit::Fine);
        for (path, text) in FILES {
            assert_eq!(&fs::read_to_string(dir.join(path)).unwrap(), text, "{path}");
        }
        assert!(said.contains("git init") && said.contains("arcology up"), "{said}");
        assert!(!dir.join(".git").exists());
    }

    #[test]
    fn a_folder_with_anything_but_git_in_it_is_left_alone() {
        let temp = tempfile::tempdir().unwrap();
        fs::create_dir(temp.path().join(".git")).unwrap();
        assert!(init(temp.path()).0.is_ok());

        let temp = tempfile::tempdir().unwrap();
        fs::write(temp.path().join("mine"), "").unwrap();
        assert!(init(temp.path()).0.unwrap_err().what.contains("not empty"));
        assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 1);
    }

    #[test]
    fn the_schema_in_this_repository_is_what_init_writes() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/manifest.json");
        let written = fs::read_to_string(path).unwrap_or_default();
        let help = "schemas/manifest.json is out of date; run: cargo run -- schema > schemas/manifest.json";
        assert!(written == schema_text(), "{help}");
    }

    #[test]
    fn every_manifest_points_its_editor_at_the_schema() {
        for (path, text) in FILES.iter().filter(|(path, _)| path.ends_with(".yaml") && !path.starts_with('.')) {
            let line = format!("# yaml-language-server: $schema=../{SCHEMA_PATH}");
            let documents = text.split("\n---\n").collect::<Vec<_>>();
            assert!(documents.iter().all(|document| document.starts_with(&line)), "{path}");
        }
    }
}
