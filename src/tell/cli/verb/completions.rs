//! `arcology completions`: scripts that complete verbs and flags in a shell.

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::tell::cli::args::Cli;
use crate::tell::cli::failure::{Exit, Outcome};
use crate::tell::cli::ui::Ui;

/// Print a completion script for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  arcology completions bash > ~/.local/share/bash-completion/completions/arcology
  arcology completions zsh > ~/.zfunc/_arcology
  arcology completions fish > ~/.config/fish/completions/arcology.fish")]
pub struct Args {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub fn run(args: &Args, ui: &mut Ui) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "arcology", &mut script);
    ui.data(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Fine)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tell::cli::ui::capture::Captured;

    #[test]
    fn every_shell_gets_a_script_that_knows_the_verbs() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let out = Captured::default();
            run(&Args { shell }, &mut Ui::to(out.clone(), Captured::default(), None, false)).unwrap();
            assert!(out.text().contains("reconcile"), "{shell}");
        }
    }
}
