//! `options:` of the adapter `exec`: which programs do what, with which arguments, and how much they may take. What is
//! wrong with them in themselves is told here ([`check`]), so that `arcology validate` knows; whether a program is there is
//! for the machine to tell.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use crate::core::unit::Span;

pub mod check;
pub mod template;

pub use template::{Slot, Template};

/// Options of the adapter `exec`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ExecOptions {
    /// Which program does what: capability → how it is done.
    #[serde(deserialize_with = "check::programs")]
    pub programs: BTreeMap<String, Program>,
    /// Models that a task may name: name → what `{model}` becomes, such as a path below `readable`.
    pub models: BTreeMap<String, String>,
    /// What programs are held by: bubblewrap where it works, else Landlock, else limits (`auto`), bubblewrap or nothing is run
    /// (`required`), limits only (`off`).
    pub sandbox: Sandboxing,
    /// Further folders and files that programs may read, absolute. System folders such as `/usr` are readable anyway.
    #[serde(deserialize_with = "check::absolute_paths")]
    pub readable: Vec<String>,
    /// Devices that programs may use, such as `/dev/dri`.
    #[serde(deserialize_with = "check::absolute_paths")]
    pub devices: Vec<String>,
    /// Folders in which programs are looked for. Empty: `/usr/local/bin`, `/usr/bin`, `/bin`.
    #[serde(deserialize_with = "check::absolute_paths")]
    pub path: Vec<String>,
}

/// What programs are held by, besides limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Sandboxing {
    /// bubblewrap where it works, else Landlock where the kernel has it; what remains open is said.
    #[default]
    Auto,
    /// bubblewrap; nothing is run without it.
    Required,
    /// Neither of them.
    Off,
}

/// How one capability is done: commands one after the other in a folder of their own, and the files that come of it.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Program {
    /// The commands, in order.
    pub steps: Vec<Step>,
    /// The files that are the result.
    pub outputs: Vec<OutputFile>,
    /// Settings that a task may give; each is a placeholder in the arguments.
    #[serde(default)]
    pub params: BTreeMap<String, Setting>,
    /// Variables of its environment, which holds nothing else but `PATH`, `HOME`, `TMPDIR` and `LANG`.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Whether it may use the network.
    #[serde(default)]
    pub network: bool,
    /// How much it may take.
    #[serde(default)]
    pub limits: Limits,
}

/// One command.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Step {
    /// The program and its arguments, each as it is handed over: no shell reads them. Placeholders: `{input}`, `{inputs}`,
    /// `{textFile}`, `{model}`, `{each}`, `{eachStem}` and the names of settings; `{{` and `}}` are braces.
    pub run: Vec<Template>,
    /// Runs the command once for each of these files in its folder, in order: a name, with `*` for any letters.
    #[serde(default)]
    pub each: Option<String>,
    /// What it reads from its standard input. Absent: nothing.
    #[serde(default)]
    pub stdin: Option<Stdin>,
    /// The file in its folder that what it prints is kept in. With `each` all of it, one after the other.
    #[serde(default)]
    pub stdout: Option<String>,
    /// How it tells on its standard error how far it is: a line with `{percent}`, or with `{done}` and `{total}`, and `*` for
    /// what may stand there. Absent: each line is told as it is.
    #[serde(default)]
    pub progress: Option<String>,
}

/// What a command reads from its standard input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Stdin {
    /// The text of the task.
    Text,
    /// Its first file.
    Input,
}

/// A file that is a result.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OutputFile {
    /// Its name in the folder of the run, with `*` for any letters.
    pub file: String,
    /// What it is, such as `audio/wav`. Absent: what the end of its name says.
    #[serde(default)]
    pub media_type: Option<String>,
    /// Whether it may be missing.
    #[serde(default)]
    pub optional: bool,
}

/// A setting that a task may give.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Setting {
    /// Its value when the task gives none. Absent: the task has to.
    pub default: Option<Scalar>,
    /// The smallest number. With it or `max` the setting is a number.
    pub min: Option<f64>,
    /// The largest number.
    pub max: Option<f64>,
    /// The only words that it can be.
    pub one_of: Vec<String>,
}

/// A number or a text.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a number or a text")]
pub enum Scalar {
    Number(serde_json::Number),
    Text(String),
}

/// How much a program may take.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Limits {
    /// Time for all its steps. Absent: `timeouts.run` of the runtime. The shorter of the two holds.
    pub time: Option<Span>,
    /// Processor time of one process.
    pub cpu_time: Option<Span>,
    /// Memory of all its processes together.
    #[schemars(range(min = 16, max = 1_048_576))]
    pub memory_mb: u64,
    /// Processes at once.
    #[schemars(range(min = 1, max = 4096))]
    pub processes: u32,
    /// Open files of one process.
    #[schemars(range(min = 16, max = 65536))]
    pub open_files: u32,
    /// The largest file.
    #[schemars(range(min = 1, max = 1_048_576))]
    pub file_mb: u64,
    /// All files in its folder together.
    #[schemars(range(min = 1, max = 1_048_576))]
    pub disk_mb: u64,
    /// The most that one command prints.
    #[schemars(range(min = 1, max = 1024))]
    pub output_mb: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            time: None,
            cpu_time: None,
            memory_mb: 2048,
            processes: 64,
            open_files: 256,
            file_mb: 512,
            disk_mb: 1024,
            output_mb: 16,
        }
    }
}

/// The short type of a media type, as artifacts carry it: `audio/wav` is `wav`, `text/plain` is `txt`.
#[must_use]
pub fn short_type(media_type: &str) -> String {
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "text/plain" => "txt",
        "text/markdown" => "md",
        "image/jpeg" => "jpg",
        "image/svg+xml" => "svg",
        "audio/mpeg" => "mp3",
        "video/quicktime" => "mov",
        "video/x-matroska" => "mkv",
        "application/octet-stream" => "bin",
        other => other.rsplit('/').next().map_or(other, |end| end.strip_prefix("x-").unwrap_or(end)),
    }
    .to_owned()
}

fn read<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
    check: impl FnOnce(&T) -> Result<(), String>,
) -> Result<T, D::Error> {
    let value = T::deserialize(deserializer)?;
    check(&value).map_err(serde::de::Error::custom)?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    #[test]
    fn media_types_have_the_short_types_that_artifacts_carry() {
        for (media, short) in [
            ("audio/wav", "wav"),
            ("audio/x-wav", "wav"),
            ("text/plain; charset=utf-8", "txt"),
            ("Text/Markdown", "md"),
            ("video/mp4", "mp4"),
            ("application/json", "json"),
            ("application/octet-stream", "bin"),
        ] {
            assert_eq!(super::short_type(media), short, "{media}");
        }
    }
}
