//! What is wrong with declared programs in themselves: placeholders that nothing fills, names that leave the folder,
//! limits out of range. Pure; told where the manifest is checked.

use std::collections::BTreeMap;

use serde::Deserializer;

use super::template::{RESERVED, is_name};
use super::{Limits, Program, Scalar, Setting, Slot, Step, read};
use crate::core::text::nearest;

/// The most steps of one program.
const STEPS_MAX: usize = 16;
/// The most arguments of one command.
const ARGUMENTS_MAX: usize = 256;
/// The longest name of a file in the folder of a run, in bytes.
const NAME_BYTES_MAX: usize = 100;
/// The longest text that a setting can have, in bytes.
const VALUE_BYTES_MAX: usize = 2_000;

pub(super) fn programs<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, Program>, D::Error> {
    read(deserializer, |programs: &BTreeMap<String, Program>| {
        programs.iter().try_for_each(|(name, it)| program(it).map_err(|why| format!("{name}: {why}")))
    })
}

pub(super) fn absolute_paths<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    read(deserializer, |paths: &Vec<String>| {
        let bad = paths.iter().find(|path| !is_plain_path(path));
        bad.map_or(Ok(()), |path| Err(format!("`{path}` is no absolute path; write one without `..` and `:`")))
    })
}

/// An absolute path that goes nowhere else. No colon, which separates folders in `PATH`.
fn is_plain_path(path: &str) -> bool {
    path.starts_with('/') && path.len() > 1 && !path.contains(['\0', ':']) && path.split('/').all(|part| part != "..")
}

fn program(program: &Program) -> Result<(), String> {
    if program.steps.is_empty() || program.steps.len() > STEPS_MAX {
        return Err(format!("it needs 1 to {STEPS_MAX} steps, and has {}", program.steps.len()));
    }
    if program.outputs.is_empty() {
        return Err("it needs at least one of `outputs`".to_owned());
    }
    for (name, setting) in &program.params {
        if !is_name(name) || RESERVED.contains(&name.as_str()) {
            return Err(format!("a setting cannot be called `{name}`"));
        }
        if let Some(default) = &setting.default {
            value_of(name, setting, default).map_err(|why| format!("its default does not fit: {why}"))?;
        }
    }
    for name in program.env.keys() {
        let is_variable = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && !name.is_empty();
        if !is_variable || program.env[name].contains('\0') {
            return Err(format!("no variable can be called `{name}`, or have this value"));
        }
    }
    for output in &program.outputs {
        file_name(&output.file, true)?;
    }
    limits(&program.limits)?;
    program.steps.iter().zip(1..).try_for_each(|(it, n)| step(it, program).map_err(|why| format!("step {n}: {why}")))
}

fn step(step: &Step, program: &Program) -> Result<(), String> {
    if step.run.len() > ARGUMENTS_MAX {
        return Err(format!("it has {} arguments, more than {ARGUMENTS_MAX}", step.run.len()));
    }
    let Some(name) = step.run.first().and_then(|first| first.literal()) else {
        return Err("`run` begins with the name of a program, without placeholders".to_owned());
    };
    if name.is_empty() || (name.contains('/') && !is_plain_path(name)) {
        return Err(format!("`{name}` is neither the name of a program nor an absolute path"));
    }
    if let Some(each) = &step.each {
        file_name(each, true)?;
    }
    if let Some(stdout) = &step.stdout {
        file_name(stdout, false)?;
    }
    for argument in &step.run {
        for slot in argument.slots() {
            match slot {
                Slot::Inputs if argument.pieces.len() > 1 => {
                    return Err("`{inputs}` stands alone in its argument".to_owned());
                }
                Slot::Each | Slot::EachStem if step.each.is_none() => {
                    return Err("`{each}` and `{eachStem}` need `each`".to_owned());
                }
                Slot::Setting(name) if !program.params.contains_key(name) => {
                    let known = program.params.keys().map(String::as_str).chain(RESERVED.iter().copied());
                    let hint = nearest(name, known).map(|near| format!("; did you mean `{{{near}}}`?"));
                    return Err(format!("nothing fills `{{{name}}}`{}", hint.unwrap_or_default()));
                }
                Slot::Input
                | Slot::Inputs
                | Slot::TextFile
                | Slot::Model
                | Slot::Each
                | Slot::EachStem
                | Slot::Setting(_) => {}
            }
        }
    }
    Ok(())
}

/// A name in the folder of the run: no path, nothing hidden.
fn file_name(name: &str, is_pattern: bool) -> Result<(), String> {
    let plain = !name.is_empty()
        && name.len() <= NAME_BYTES_MAX
        && !name.starts_with('.')
        && !name.contains('/')
        && !name.chars().any(char::is_control)
        && (is_pattern || !name.contains('*'));
    if plain { Ok(()) } else { Err(format!("`{name}` is no name of a file in the folder of the run")) }
}

fn limits(limits: &Limits) -> Result<(), String> {
    for (name, value, min, max) in [
        ("memoryMb", limits.memory_mb, 16, 1 << 20),
        ("processes", u64::from(limits.processes), 1, 4096),
        ("openFiles", u64::from(limits.open_files), 16, 65_536),
        ("fileMb", limits.file_mb, 1, 1 << 20),
        ("diskMb", limits.disk_mb, 1, 1 << 20),
        ("outputMb", limits.output_mb, 1, 1024),
    ] {
        if !(min..=max).contains(&value) {
            return Err(format!("`{name}` is a whole number from {min} to {max}, not {value}"));
        }
    }
    Ok(())
}

/// The value of a setting as it stands in an argument.
///
/// # Errors
/// When it is not what the setting can be.
pub fn value_of(name: &str, setting: &Setting, value: &Scalar) -> Result<String, String> {
    let is_number = setting.min.is_some() || setting.max.is_some();
    match value {
        Scalar::Number(number) if is_number => {
            let (min, max) = (setting.min.unwrap_or(f64::MIN), setting.max.unwrap_or(f64::MAX));
            let fits = number.as_f64().is_some_and(|number| (min..=max).contains(&number));
            let range = || match (setting.min, setting.max) {
                (Some(min), Some(max)) => format!("from {min} to {max}"),
                (Some(min), None) => format!("from {min}"),
                (None, _) => format!("up to {max}"),
            };
            if fits { Ok(number.to_string()) } else { Err(format!("`{name}` is a number {}, not {number}", range())) }
        }
        Scalar::Text(_) if is_number => Err(format!("`{name}` is a number, not a text")),
        Scalar::Number(number) => text_value(name, setting, &number.to_string()),
        Scalar::Text(text) => text_value(name, setting, text),
    }
}

fn text_value(name: &str, setting: &Setting, text: &str) -> Result<String, String> {
    if !setting.one_of.is_empty() && !setting.one_of.iter().any(|one| one == text) {
        let shown = crate::core::text::shorten(text, 40);
        return Err(format!("`{name}` is one of {}, not `{shown}`", setting.one_of.join(", ")));
    }
    if text.len() > VALUE_BYTES_MAX || text.chars().any(char::is_control) {
        return Err(format!("`{name}` is a text of at most {VALUE_BYTES_MAX} bytes in one line"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::ExecOptions;
    use super::*;

    fn told(program: Value) -> Result<ExecOptions, String> {
        serde_json::from_value(json!({"programs": {"text.stats": program}})).map_err(|error| error.to_string())
    }

    fn with(run: Value) -> Value {
        json!({"steps": [{"run": run}], "outputs": [{"file": "a.txt"}], "params": {"lang": {"default": "eng"}}})
    }

    #[test]
    fn a_program_that_can_be_run_is_taken() {
        let whole = json!({
            "steps": [
                {"run": ["pdftoppm", "-r", "{dpi}", "{input}", "page"]},
                {"run": ["/usr/bin/tesseract", "{each}", "stdout", "-l", "{lang}"], "each": "page-*.png", "stdout": "text.txt"},
            ],
            "outputs": [{"file": "text.txt", "mediaType": "text/plain"}],
            "params": {"dpi": {"default": 150, "min": 50, "max": 600}, "lang": {"default": "eng", "oneOf": ["eng", "deu"]}},
            "limits": {"time": "2m", "memoryMb": 512},
        });
        let options = told(whole).unwrap();
        assert_eq!(options.programs["text.stats"].limits.processes, 64);
    }

    #[test]
    fn what_cannot_be_run_is_told() {
        for (program, why) in [
            (with(json!(["wc", "{lagn}"])), "step 1: nothing fills `{lagn}`; did you mean `{lang}`?"),
            (with(json!(["{lang}"])), "begins with the name of a program"),
            (with(json!([])), "begins with the name of a program"),
            (with(json!(["./wc"])), "neither the name of a program nor an absolute path"),
            (with(json!(["/usr/../wc"])), "neither the name of a program nor an absolute path"),
            (with(json!(["wc", "x{inputs}"])), "stands alone"),
            (with(json!(["wc", "{each}"])), "need `each`"),
            (with(json!("wc -l")), "invalid type"),
            (json!({"steps": [], "outputs": [{"file": "a"}]}), "1 to 16 steps"),
            (json!({"steps": [{"run": ["wc"]}], "outputs": []}), "at least one of `outputs`"),
            (json!({"steps": [{"run": ["wc"]}], "outputs": [{"file": "../a"}]}), "no name of a file"),
            (json!({"steps": [{"run": ["wc"], "stdout": "*.txt"}], "outputs": [{"file": "a"}]}), "no name of a file"),
            (
                json!({"steps": [{"run": ["wc"]}], "outputs": [{"file": "a"}], "limits": {"processes": 0}}),
                "from 1 to 4096",
            ),
            (
                json!({"steps": [{"run": ["wc"]}], "outputs": [{"file": "a"}], "params": {"input": {}}}),
                "cannot be called",
            ),
            (
                json!({"steps": [{"run": ["wc"]}], "outputs": [{"file": "a"}], "params": {"n": {"default": 9, "max": 5}}}),
                "up to 5, not 9",
            ),
            (json!({"steps": [{"run": ["wc"]}], "outputs": [{"file": "a"}], "env": {"A=B": "x"}}), "no variable"),
        ] {
            let error = told(program.clone()).unwrap_err();
            assert!(
                error.contains(why) && error.contains("text.stats") | error.contains("invalid"),
                "{program}: {error}"
            );
        }
        for bad in [json!(["home"]), json!(["/a:/b"]), json!(["/a/../b"]), json!(["/"])] {
            assert!(serde_json::from_value::<ExecOptions>(json!({"readable": bad})).is_err(), "{bad}");
        }
    }

    #[test]
    fn values_of_settings_are_held_to_what_they_can_be() {
        let setting = |value: Value| serde_json::from_value::<Setting>(value).unwrap();
        let scalar = |value: Value| serde_json::from_value::<Scalar>(value).unwrap();
        for (declared, given, expected) in [
            (json!({"min": 1, "max": 5}), json!(5), Some("5")),
            (json!({"min": 1, "max": 5}), json!(2.5), Some("2.5")),
            (json!({"min": 1, "max": 5}), json!(6), None),
            (json!({"min": 1}), json!(-1), None),
            (json!({"min": 1}), json!("1"), None),
            (json!({"oneOf": ["a", "b"]}), json!("b"), Some("b")),
            (json!({"oneOf": ["a", "b"]}), json!("c"), None),
            (json!({}), json!("x; rm -rf /"), Some("x; rm -rf /")),
            (json!({}), json!("two\nlines"), None),
        ] {
            let value = value_of("x", &setting(declared.clone()), &scalar(given.clone()));
            assert_eq!(value.ok().as_deref(), expected, "{declared} {given}");
        }
    }
}
