//! `arcology reference` (hidden): prints `docs/cli.md`, so that the documentation is what the program understands.

use std::fmt::Write as _;

use clap::{Arg, Command, CommandFactory as _};

use crate::tell::cli::args::Cli;
use crate::tell::cli::failure::{Exit, Outcome};
use crate::tell::cli::ui::Ui;

/// Print the reference of the command line as Markdown
#[derive(Debug, clap::Args)]
pub struct Args {}

pub fn run(_: &Args, ui: &mut Ui) -> Outcome {
    ui.data(&markdown())?;
    Ok(Exit::Fine)
}

/// The reference as Markdown.
#[must_use]
pub fn markdown() -> String {
    let mut root = Cli::command().term_width(100);
    root.build();
    let mut text = format!(
        "# The command line\n\n<!-- Written by `arcology reference > docs/cli.md`; a test keeps it true. -->\n\n{}\n",
        paragraphs(root.get_long_about().or_else(|| root.get_about()))
    );
    examples(&mut text, &root);
    text.push_str("\n| verb | does |\n| --- | --- |\n");
    for verb in shown(&root) {
        let _ = writeln!(text, "| [`{0}`](#{0}) | {1} |", verb.get_name(), cell(&paragraphs(verb.get_about())));
    }
    text.push_str("\n## Global options\n\n");
    options(&mut text, root.get_arguments().filter(|arg| arg.is_global_set()));
    for verb in shown(&root) {
        one(&mut text, verb, "##", "");
    }
    text
}

fn shown(root: &Command) -> impl Iterator<Item = &Command> {
    root.get_subcommands().filter(|verb| !verb.is_hide_set())
}

/// One verb, and below it what it consists of.
fn one(text: &mut String, verb: &Command, heading: &str, of: &str) {
    let usage = verb.clone().render_usage().to_string();
    let _ = write!(
        text,
        "\n{heading} {of}{}\n\n{}\n\n```text\n{}\n```\n",
        verb.get_name(),
        paragraphs(verb.get_long_about().or_else(|| verb.get_about())),
        usage.trim_start_matches("Usage: ").trim()
    );
    let own: Vec<&Arg> = verb.get_arguments().filter(|arg| !arg.is_global_set() && arg.get_id() != "help").collect();
    if !own.is_empty() {
        text.push('\n');
        options(text, own.into_iter());
    }
    examples(text, verb);
    let of = format!("{of}{} ", verb.get_name());
    for part in shown(verb).filter(|part| part.get_name() != "help") {
        one(text, part, &format!("{heading}#"), &of);
    }
}

fn examples(text: &mut String, command: &Command) {
    if let Some(after) = command.get_after_help() {
        let _ = write!(text, "\n```text\n{}\n```\n", after.to_string().trim_end());
    }
}

fn options<'a>(text: &mut String, args: impl Iterator<Item = &'a Arg>) {
    text.push_str("| argument | meaning |\n| --- | --- |\n");
    for arg in args.filter(|arg| !arg.is_hide_set()) {
        let mut meaning = paragraphs(arg.get_long_help().or_else(|| arg.get_help()));
        let values: Vec<String> =
            arg.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
        if arg.get_action().takes_values() && !values.is_empty() {
            let _ = write!(meaning, "; one of {}", values.join(", "));
        }
        if let [default] = arg.get_default_values()
            && !default.is_empty()
            && arg.get_action().takes_values()
        {
            let _ = write!(meaning, "; default `{}`", default.to_string_lossy());
        }
        if let Some(variable) = arg.get_env() {
            let _ = write!(meaning, "; environment `{}`", variable.to_string_lossy());
        }
        let _ = writeln!(text, "| {} | {} |", name(arg), cell(&meaning));
    }
}

fn name(arg: &Arg) -> String {
    let value = arg.get_value_names().and_then(<[_]>::first).map(|name| name.as_str()).unwrap_or_default();
    let flag = match (arg.get_short(), arg.get_long()) {
        (Some(short), Some(long)) => format!("-{short}, --{long}"),
        (Some(short), None) => format!("-{short}"),
        (None, Some(long)) => format!("--{long}"),
        (None, None) => return format!("`{}`", cell(value)),
    };
    let value = if arg.get_action().takes_values() { format!(" {value}") } else { String::new() };
    format!("`{}`", cell(&format!("{flag}{value}")))
}

fn paragraphs(text: Option<&clap::builder::StyledStr>) -> String {
    text.map(ToString::to_string).unwrap_or_default().trim().to_owned()
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_in_the_repository_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/cli.md");
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert!(written == markdown(), "docs/cli.md is out of date; run: cargo run -- reference > docs/cli.md");
    }

    #[test]
    fn what_a_verb_consists_of_is_told_with_all_its_arguments() {
        let text = markdown();
        let run = text.split("\n### lease run\n").nth(1).and_then(|rest| rest.split("\n### ").next()).unwrap();
        for told in ["arcology lease run", "`--gpu GPU`", "`--ttl TIME`", "`--within TIME`", "`CMD`"] {
            assert!(run.contains(told), "{told}: {run}");
        }
        assert!(!text.contains("default ``"), "no default is none");
    }

    #[test]
    fn the_reference_does_not_depend_on_the_environment() {
        assert!(!markdown().contains("[env:"), "values of the environment must not reach the page");
    }
}
