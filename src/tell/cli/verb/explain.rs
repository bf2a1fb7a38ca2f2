//! `arcology explain`: the page of a diagnostic code.

use crate::act::source;
use crate::declare::manifest::code::Code;
use crate::declare::{manifest, world};
use crate::tell::cli::failure::{Exit, Failure, Outcome};
use crate::tell::cli::table::Table;
use crate::tell::cli::ui::Ui;

/// Explain a diagnostic code, or list them all
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  arcology explain ARC301
  arcology explain

Exit codes: 0 told, 1 there is no such code, 2 usage.")]
pub struct Args {
    /// The code, such as ARC301; without it, all codes are listed
    #[arg(value_name = "CODE")]
    code: Option<String>,
}

pub fn run(args: &Args, ui: &mut Ui) -> Outcome {
    let Some(wanted) = &args.code else {
        let mut table = Table::new(&["CODE", "MEANS"]);
        for code in all() {
            table.row([code.code.into(), code.title.into()]);
        }
        ui.data(&table.render(ui.width(), ui.paint()))?;
        return Ok(Exit::Fine);
    };
    let code = find(&wanted.to_ascii_uppercase()).ok_or_else(|| {
        Failure::new(format!("there is no code `{wanted}`"))
            .did_you_mean(&wanted.to_ascii_uppercase(), all().map(|code| code.code))
            .hint("to list them all: arcology explain")
    })?;
    ui.data(&format!("{}\n", code.page.trim_end()))?;
    Ok(Exit::Fine)
}

/// The page of a code, whichever room it belongs to.
#[must_use]
pub fn find(code: &str) -> Option<&'static Code> {
    manifest::code::find(code).or_else(|| world::code::find(code)).or_else(|| source::code::find(code))
}

fn all() -> impl Iterator<Item = &'static Code> {
    manifest::code::CODES.iter().chain(world::code::CODES).chain(source::code::CODES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tell::cli::ui::capture::Captured;

    fn explain(code: Option<&str>) -> Result<String, Failure> {
        let out = Captured::default();
        let mut ui = Ui::to(out.clone(), Captured::default(), None, false);
        run(&Args { code: code.map(Into::into) }, &mut ui)?;
        Ok(out.text())
    }

    #[test]
    fn every_code_has_a_page_and_stands_in_the_list_once() {
        let list = explain(None).unwrap();
        for code in all() {
            assert!(explain(Some(code.code)).unwrap().len() > code.title.len(), "{}", code.code);
            assert_eq!(list.lines().filter(|line| line.starts_with(code.code)).count(), 1, "{}", code.code);
        }
        assert_eq!(explain(Some("arc301")).unwrap(), explain(Some("ARC301")).unwrap());
    }

    #[test]
    fn an_unknown_code_brings_the_nearest_one_up() {
        let failure = explain(Some("ARC3O1")).unwrap_err();
        assert_eq!(failure.exit, Exit::Problem);
        assert!(failure.hints[0].starts_with("did you mean `ARC3"), "{:?}", failure.hints);
    }
}
