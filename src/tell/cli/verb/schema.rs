//! `arcology schema`: the JSON Schema of manifests, for editors.

use crate::core::Kind;
use crate::declare::manifest::schema;
use crate::tell::cli::failure::{Exit, Failure, Outcome};
use crate::tell::cli::ui::Ui;

/// Print the JSON Schema (2020-12) of manifests
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  arcology schema > schemas/manifest.json   every kind, as editors with a YAML language server read it
  arcology schema loadout                   one kind

A manifest points at it in its first line:
  # yaml-language-server: $schema=../schemas/manifest.json")]
pub struct Args {
    /// One kind only
    #[arg(value_name = "KIND")]
    kind: Option<String>,
}

pub fn run(args: &Args, ui: &mut Ui) -> Outcome {
    let schema = match &args.kind {
        None => schema::all(),
        Some(text) => schema::of(Kind::parse_loosely(text).ok_or_else(|| unknown(text))?),
    };
    ui.data(&format!("{schema:#}\n"))?;
    Ok(Exit::Fine)
}

fn unknown(text: &str) -> Failure {
    let kinds = Kind::ALL.map(Kind::as_str);
    Failure::usage(format!("there is no kind `{text}`"))
        .did_you_mean(text, kinds)
        .hint(format!("the kinds are {}", kinds.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tell::cli::ui::capture::Captured;

    fn print(kind: Option<&str>) -> Result<serde_json::Value, Failure> {
        let out = Captured::default();
        let mut ui = Ui::to(out.clone(), Captured::default(), None, false);
        run(&Args { kind: kind.map(Into::into) }, &mut ui)?;
        Ok(serde_json::from_str(&out.text()).unwrap())
    }

    #[test]
    fn one_kind_or_all_of_them_are_printed() {
        assert_eq!(print(Some("loadouts")).unwrap()["title"], "Loadout");
        assert!(print(None).unwrap()["$defs"].is_object());
    }

    #[test]
    fn a_kind_that_does_not_exist_brings_the_nearest_one_up() {
        let failure = print(Some("lodout")).unwrap_err();
        assert_eq!((failure.exit, &*failure.hints[0]), (Exit::Usage, "did you mean `Loadout`?"));
    }
}
