//! From an argument with placeholders to what a program is handed over. Pure. Each value stays within its argument, and none
//! that comes from a task can become an option of the program.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::act::runtime::adapter::{Fault, RuntimeError};
use crate::core::text::nearest;
use crate::declare::manifest::kind::options::exec::template::Piece;
use crate::declare::manifest::kind::options::exec::{Program, Scalar, Slot, Template, check};

/// What placeholders are filled with, as the program sees it.
#[derive(Clone, Debug, Default)]
pub(super) struct Values {
    pub inputs: Vec<PathBuf>,
    pub text_file: Option<PathBuf>,
    pub model: Option<String>,
    pub settings: BTreeMap<String, String>,
}

/// The settings of a task, held to what `program` declares.
///
/// # Errors
/// Bad input that names the setting.
pub(super) fn settings(
    capability: &str,
    program: &Program,
    given: &BTreeMap<String, Value>,
) -> Result<BTreeMap<String, String>, RuntimeError> {
    let names = || program.params.keys().map(String::as_str);
    if let Some(stranger) = given.keys().find(|key| !program.params.contains_key(key.as_str())) {
        let hint = match nearest(stranger, names()) {
            Some(near) => format!("; did you mean `{near}`?"),
            None if program.params.is_empty() => "; it has none".to_owned(),
            None => format!("; it has {}", names().collect::<Vec<_>>().join(", ")),
        };
        return Err(bad(format!("{capability} has no setting `{stranger}`{hint}")));
    }
    let mut settings = BTreeMap::new();
    for (name, setting) in &program.params {
        let value = match (given.get(name), &setting.default) {
            (Some(Value::Number(number)), _) => Scalar::Number(number.clone()),
            (Some(Value::String(text)), _) => Scalar::Text(text.clone()),
            (Some(_), _) => return Err(bad(format!("`{name}` is a number or a text"))),
            (None, Some(default)) => default.clone(),
            (None, None) => return Err(bad(format!("{capability} needs the setting `{name}`"))),
        };
        settings.insert(name.clone(), check::value_of(name, setting, &value).map_err(bad)?);
    }
    Ok(settings)
}

/// The arguments of a command, the program's own name left out. `each` is the file it is run for.
///
/// # Errors
/// Bad input when something is missing that a placeholder needs.
pub(super) fn fill(run: &[Template], values: &Values, each: Option<&Path>) -> Result<Vec<String>, RuntimeError> {
    let mut arguments = Vec::with_capacity(run.len());
    for template in run.iter().skip(1) {
        if let [Piece::Slot(Slot::Inputs)] = template.pieces.as_slice() {
            if values.inputs.is_empty() {
                return Err(bad("it needs a file to work on, and was given none".to_owned()));
            }
            arguments.extend(values.inputs.iter().map(|path| shown(path)));
            continue;
        }
        arguments.push(argument(template, values, each)?);
    }
    Ok(arguments)
}

fn argument(template: &Template, values: &Values, each: Option<&Path>) -> Result<String, RuntimeError> {
    let mut argument = String::new();
    for piece in &template.pieces {
        match piece {
            Piece::Literal(text) => argument.push_str(text),
            Piece::Slot(slot) => {
                let value = value(slot, values, each)?;
                let comes_from_task = matches!(slot, Slot::Setting(_));
                if comes_from_task && argument.is_empty() && value.starts_with('-') && value.parse::<f64>().is_err() {
                    let shown = crate::core::text::shorten(&value, 40);
                    return Err(bad(format!("`{shown}` would be read as an option of the program, not as a value")));
                }
                argument.push_str(&value);
            }
        }
    }
    Ok(argument)
}

fn value(slot: &Slot, values: &Values, each: Option<&Path>) -> Result<String, RuntimeError> {
    match slot {
        Slot::Input => match values.inputs.as_slice() {
            [only] => Ok(shown(only)),
            others => Err(bad(format!("it works on one file, and was given {}", others.len()))),
        },
        Slot::Inputs => Err(bad("`{inputs}` stands alone in its argument".to_owned())),
        Slot::TextFile => {
            values.text_file.as_deref().map(shown).ok_or_else(|| bad("it needs a text, and was given none".to_owned()))
        }
        Slot::Model => values
            .model
            .clone()
            .ok_or_else(|| bad("the task names no model, and the runtime has several or none; name one".to_owned())),
        Slot::Each => Ok(each.map(shown).unwrap_or_default()),
        Slot::EachStem => {
            Ok(each.and_then(Path::file_stem).map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default())
        }
        Slot::Setting(name) => {
            values.settings.get(name).cloned().ok_or_else(|| bad(format!("it needs the setting `{name}`")))
        }
    }
}

fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn bad(message: String) -> RuntimeError {
    RuntimeError::new(Fault::BadInput, message)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn program(run: &[&str]) -> Program {
        serde_json::from_value(json!({
            "steps": [{"run": run}],
            "outputs": [{"file": "x"}],
            "params": {"lang": {"default": "eng"}, "dpi": {"default": 150, "min": 50, "max": 600}, "must": {}},
        }))
        .unwrap()
    }

    fn filled(run: &[&str], lang: &str) -> Result<Vec<String>, String> {
        let program = program(run);
        let given = serde_json::from_value(json!({"must": "m", "lang": lang})).unwrap();
        let settings = settings("ocr.pdf", &program, &given).map_err(|error| error.message)?;
        let inputs = vec![PathBuf::from("/in/1.pdf")];
        let values = Values { inputs, settings, ..Values::default() };
        fill(&program.steps[0].run, &values, Some(Path::new("/out/page-1.png"))).map_err(|error| error.message)
    }

    #[test]
    fn placeholders_are_filled_within_their_argument() {
        let run = ["x", "-r", "{dpi}", "{input}", "{inputs}", "{eachStem}.txt", "{each}", "l={lang}"];
        let expected =
            ["-r", "150", "/in/1.pdf", "/in/1.pdf", "page-1.txt", "/out/page-1.png", "l=a b; $(reboot) {input}"];
        assert_eq!(filled(&run, "a b; $(reboot) {input}").unwrap(), expected);
    }

    #[test]
    fn a_value_cannot_become_an_option() {
        assert!(filled(&["x", "{lang}"], "--config=/etc/x").unwrap_err().contains("would be read as an option"));
        assert_eq!(filled(&["x", "{lang}"], "-1.5").unwrap(), ["-1.5"]);
        assert_eq!(filled(&["x", "--lang={lang}"], "--y").unwrap(), ["--lang=--y"]);
    }

    #[test]
    fn what_is_missing_is_told() {
        let program = program(&["x", "{textFile}", "{model}"]);
        let values = Values::default();
        for (run, why) in [("{textFile}", "needs a text"), ("{model}", "names no model"), ("{input}", "given 0")] {
            let template = ["x", run].map(|text| Template::parse(text).unwrap());
            assert!(fill(&template, &values, None).unwrap_err().message.contains(why), "{run}");
        }
        let told =
            |given: Value| settings("ocr.pdf", &program, &serde_json::from_value(given).unwrap()).unwrap_err().message;
        assert_eq!(told(json!({"must": "x", "lnag": "x"})), "ocr.pdf has no setting `lnag`; did you mean `lang`?");
        assert_eq!(told(json!({})), "ocr.pdf needs the setting `must`");
        assert_eq!(told(json!({"must": "x", "dpi": 5})), "`dpi` is a number from 50 to 600, not 5");
        assert_eq!(told(json!({"must": [1]})), "`must` is a number or a text");
    }
}
