//! Programs as Runtimes of `adapter: exec`, as `docs/adapters/exec.md` has them. Pure.

use std::path::Path;

use crate::act::discover::Programs;

use super::manifest::quoted;

/// Folders in which `adapter: exec` finds a program by its name alone.
const FOUND_BY_NAME: &[&str] = &["/usr/local/bin", "/usr/bin", "/bin"];

/// A document for each kind of work that the programs can do, with the name it wants.
#[must_use]
pub fn documents(programs: &Programs, host: &str) -> Vec<(&'static str, String)> {
    let run = |name: &str| programs.find(name).map(|path| word(name, path));
    let mut documents = Vec::new();
    if let (Some(pdftoppm), Some(tesseract)) = (run("pdftoppm"), run("tesseract")) {
        documents.push(("reader", reader(host, &pdftoppm, &tesseract)));
    }
    if let Some(espeak) = run("espeak-ng") {
        documents.push(("voice", voice(host, &espeak)));
    }
    documents
}

/// Programs that are there and need more than can be told from that.
#[must_use]
pub fn remarks(programs: &Programs) -> Vec<&'static str> {
    let mut remarks = Vec::new();
    for (name, _) in programs.iter() {
        match name {
            "piper" => {
                remarks.push("piper is installed: it speaks better than espeak-ng, and needs the file of a voice")
            }
            "ffmpeg" => {
                remarks.push("ffmpeg is installed: it can be asked for video and sound, with filters of your own")
            }
            "tesseract" if programs.find("pdftoppm").is_none() => {
                remarks.push("tesseract is installed: to read PDF files it needs pdftoppm (poppler-utils) beside it");
            }
            _ => {}
        }
    }
    remarks
}

/// How a command names the program.
fn word(name: &str, path: &Path) -> String {
    let by_name = path.parent().is_some_and(|folder| FOUND_BY_NAME.iter().any(|known| Path::new(known) == folder));
    if by_name { name.to_owned() } else { quoted(&path.to_string_lossy()) }
}

fn reader(host: &str, pdftoppm: &str, tesseract: &str) -> String {
    format!(
        r#"  host: {host}
  adapter: exec
  capabilities: [ocr.pdf]
  slots: 2
  options:
    sandbox: required # without bubblewrap nothing is run
    programs:
      ocr.pdf:
        params:
          dpi: {{default: 150, min: 50, max: 600}}
          lang: {{default: eng, oneOf: [eng]}} # the languages that are installed: tesseract --list-langs
        env: {{OMP_THREAD_LIMIT: "1"}}
        steps:
          - run: [{pdftoppm}, -r, "{{dpi}}", -png, -progress, "{{input}}", page]
            progress: "{{done}} {{total}} *"
          - run: [{tesseract}, "{{each}}", stdout, -l, "{{lang}}"]
            each: page-*.png
            stdout: text.txt
        outputs:
          - {{file: text.txt, mediaType: text/plain}}
        limits: {{time: 5m, memoryMb: 2048, diskMb: 2048}}
"#
    )
}

fn voice(host: &str, espeak: &str) -> String {
    format!(
        r#"  host: {host}
  adapter: exec
  capabilities: [audio.tts]
  options:
    sandbox: required # without bubblewrap nothing is run
    programs:
      audio.tts:
        params:
          voice: {{default: en, oneOf: [en, de, fr, es]}}
          speed: {{default: 175, min: 80, max: 450}}
        steps:
          - run: [{espeak}, -v, "{{voice}}", -s, "{{speed}}", -w, speech.wav, -f, "{{textFile}}"]
        outputs:
          - {{file: speech.wav, mediaType: audio/wav}}
        limits: {{time: 1m, memoryMb: 256}}
"#
    )
}
