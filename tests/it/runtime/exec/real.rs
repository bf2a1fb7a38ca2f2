//! The manifests of docs/adapters/exec.md, run with the real programs where they are installed.

use std::path::Path;
use std::sync::Arc;

use arcology::act::runtime::exec::Tools;
use arcology::act::runtime::{Adapter, Invocation, Progress};
use arcology::declare::manifest::kind::runtime::RuntimeSpec;
use arcology::declare::manifest::{Spec, parse};
use serde_json::json;

use super::super::{adapter, adapter_with, file, in_time, invocation, real, spec, tools};
use super::{Bench, has_sandbox, landlock_abi, task, told};

/// What the documented runtimes use, and how each tells its version.
const PROGRAMS: [(&str, &str, &str); 4] = [
    ("ocr.pdf", "pdftoppm", "-v"),
    ("ocr.pdf", "tesseract", "--version"),
    ("audio.tts", "espeak-ng", "--version"),
    ("video.gen", "ffmpeg", "-version"),
];

/// The runtime that the page declares for `capability`, without a sandbox where there can be none.
async fn documented(capability: &str) -> RuntimeSpec {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/adapters/exec.md")).unwrap();
    let blocks = page.split("```yaml\n").skip(1).filter_map(|rest| rest.split_once("```")).map(|(block, _)| block);
    // Others are pieces of one.
    let blocks = blocks.filter(|block| block.contains("apiVersion:"));
    let specs = blocks.flat_map(|block| {
        let parsed = parse::file("exec.yaml", block.as_bytes());
        assert!(parsed.broken.is_empty(), "{:?}", parsed.broken);
        parsed.documents
    });
    let mut runtimes = specs.filter_map(|document| {
        let Spec::Runtime(runtime) = &document.spec else { return None };
        Some(runtime.clone())
    });
    let mut found = runtimes.find(|runtime| runtime.capabilities.iter().any(|own| own == capability)).unwrap();
    if !has_sandbox().await {
        found.options.insert("sandbox".to_owned(), json!("off"));
    }
    found
}

/// Drives the documented runtime as it stands, and where there is Landlock alone; none, said in a line, where its programs are
/// not installed.
async fn runtimes(bench: &Bench, capability: &str) -> Vec<Arc<dyn Adapter>> {
    let mut documented = documented(capability).await;
    let driven = adapter(bench.folder.path(), &documented).unwrap();
    let degraded = driven.observe().await.unwrap().degraded.unwrap_or_default();
    let missing = degraded.split(". ").find(|note| note.contains("programs that are not installed"));
    let programs = PROGRAMS.iter().filter(|(of, ..)| *of == capability);
    for (_, program, argument) in programs {
        match missing {
            Some(why) => real::skipped(program, why),
            None => real::driven(program, &real::version(program, argument)),
        }
    }
    if missing.is_some() {
        return Vec::new();
    }
    let mut all = vec![driven];
    if landlock_abi().is_some() {
        documented.options.insert("sandbox".to_owned(), json!("auto"));
        let tools = Tools { folders: Vec::new(), ..tools() };
        all.push(adapter_with(bench.folder.path(), &documented, tools).unwrap());
    }
    all
}

/// A page with this sentence as a picture, drawn by ffmpeg; none where there is no ffmpeg or no font.
async fn scanned(sentence: &str) -> Option<Vec<u8>> {
    let bench = Bench::new();
    let draw = "drawtext=textfile={textFile}:fontcolor=black:fontsize=40:x=40:y=100";
    let image = json!({
        "steps": [{"run": ["ffmpeg", "-nostdin", "-v", "error", "-f", "lavfi", "-i", "color=white:size=1000x300", "-vf", draw, "-frames:v", "1", "page.jpg"]}],
        "outputs": [{"file": "page.jpg"}],
    });
    let options = json!({"programs": {"image.gen": image}});
    let draws = adapter(bench.folder.path(), &spec("exec", json!({"options": options}))).unwrap();
    let drawn = in_time(draws.run(invocation("image.gen", None, sentence, json!({})), Progress::ignored())).await;
    match drawn {
        Ok(drawn) => Some(pdf_of(&drawn.outputs[0].bytes, 1000, 300)),
        Err(error) => {
            real::skipped("tesseract", &format!("no page could be drawn: {error}"));
            None
        }
    }
}

/// A PDF of one page that is one JPEG.
fn pdf_of(jpeg: &[u8], width: u32, height: u32) -> Vec<u8> {
    let draw = format!("q {width} 0 0 {height} 0 0 cm /I Do Q");
    let image = format!(
        "<</Type/XObject/Subtype/Image/Width {width}/Height {height}/ColorSpace/DeviceRGB/BitsPerComponent 8/Filter/DCTDecode/Length {}>>stream\n",
        jpeg.len()
    );
    let page = format!(
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 {width} {height}]/Resources<</XObject<</I 4 0 R>>>>/Contents 5 0 R>>"
    );
    let objects: [Vec<u8>; 5] = [
        b"<</Type/Catalog/Pages 2 0 R>>".to_vec(),
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>".to_vec(),
        page.into_bytes(),
        [image.as_bytes(), jpeg, b"\nendstream"].concat(),
        format!("<</Length {}>>stream\n{draw}\nendstream", draw.len()).into_bytes(),
    ];
    let (mut pdf, mut offsets) = (b"%PDF-1.4\n".to_vec(), String::new());
    for (object, n) in objects.iter().zip(1..) {
        offsets += &format!("{:010} 00000 n \n", pdf.len());
        pdf.extend([format!("{n} 0 obj\n").as_bytes(), object, b"\nendobj\n"].concat());
    }
    let start = pdf.len();
    pdf.extend(
        format!(
            "xref\n0 6\n0000000000 65535 f \n{offsets}trailer\n<</Size 6/Root 1 0 R>>\nstartxref\n{start}\n%%EOF\n"
        )
        .bytes(),
    );
    pdf
}

#[tokio::test]
async fn a_scanned_page_is_read() {
    let bench = Bench::new();
    let readers = runtimes(&bench, "ocr.pdf").await;
    if readers.is_empty() {
        return;
    }
    let Some(pdf) = scanned("The storm damaged the harbour").await else { return };
    for reader in readers {
        let lines = Arc::default();
        let scan = |bytes: &[u8], params| Invocation {
            text: None,
            files: vec![file("scan.pdf", bytes)],
            ..invocation("ocr.pdf", None, "", params)
        };
        let outcome = in_time(reader.run(scan(&pdf, json!({"dpi": 100})), told(&lines))).await.unwrap();
        let text = String::from_utf8_lossy(&outcome.outputs[0].bytes).into_owned();
        assert_eq!((outcome.outputs[0].name.as_str(), outcome.outputs[0].kind.as_str()), ("text.txt", "txt"));
        assert!(text.contains("storm damaged the harbour"), "{text}");
        assert!(lines.lock().unwrap().iter().any(|line| line == "100 %"), "{lines:?}");
        // A PDF that is none fails in the program's own words.
        let error = in_time(reader.run(scan(b"no pdf", json!({})), Progress::ignored())).await.unwrap_err();
        assert!(error.message.starts_with("pdftoppm ended with exit code") && error.words.is_some(), "{error}");
    }
}

#[tokio::test]
async fn a_text_is_spoken() {
    let bench = Bench::new();
    for voice in runtimes(&bench, "audio.tts").await {
        let words = "-v The ferry leaves at four.";
        let spoken = invocation("audio.tts", None, words, json!({"speed": 160}));
        let outcome = in_time(voice.run(spoken, Progress::ignored())).await.unwrap();
        let [output] = outcome.outputs.as_slice() else { panic!("{outcome:?}") };
        assert_eq!(
            (output.name.as_str(), output.kind.as_str(), &output.bytes[..4]),
            ("speech.wav", "wav", &b"RIFF"[..])
        );
        // Two bytes a sample, so a quarter of the bytes is a quarter of the sound: not all of it is silence.
        assert!(output.bytes.len() > 20_000 && output.bytes[44..].iter().filter(|byte| **byte > 8).count() > 5_000);
        assert_eq!(outcome.model, None);
        let other = invocation("audio.tts", None, "x", json!({"voice": "../en"}));
        let error = in_time(voice.run(other, Progress::ignored())).await.unwrap_err();
        assert_eq!(error.message, "`voice` is one of en, de, fr, es, not `../en`");
    }
}

#[tokio::test]
async fn a_clip_is_made() {
    let bench = Bench::new();
    for clips in runtimes(&bench, "video.gen").await {
        let lines = Arc::default();
        let clip = Invocation { capability: "video.gen".into(), ..task("Hello: 'you' %{pts}") };
        let outcome = in_time(clips.run(clip, told(&lines))).await.unwrap();
        let output = &outcome.outputs[0];
        assert_eq!(
            (output.name.as_str(), output.kind.as_str(), &output.bytes[4..8]),
            ("clip.mp4", "mp4", &b"ftyp"[..])
        );
    }
}
