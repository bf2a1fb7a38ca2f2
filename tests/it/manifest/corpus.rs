//! The corpus of the fuzz target as an ordinary test, and the worst files in full size.

use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use arcology::declare::manifest::{exercise, parse};

/// Far more than any of these takes, far less than one that grows without bound.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs `work` on a thread of its own, so that one that never ends fails the test.
fn in_time(name: &str, work: impl FnOnce() + Send + 'static) {
    let (done, wait) = mpsc::channel();
    let worker = std::thread::spawn(move || {
        work();
        let _ = done.send(());
    });
    match wait.recv_timeout(PATIENCE) {
        Ok(()) => worker.join().unwrap(),
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("{name} was not done after {PATIENCE:?}"),
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            panic!("{name}: {:?}", worker.join().unwrap_err().downcast_ref::<String>())
        }
    }
}

#[test]
fn every_file_of_the_corpus_keeps_what_is_promised() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/manifest");
    let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() >= 30, "{} files", files.len());
    for path in files {
        let bytes = std::fs::read(&path).unwrap();
        in_time(&path.display().to_string(), move || exercise::manifest(&bytes));
    }
}

#[test]
fn every_good_file_of_the_corpus_is_good() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/manifest");
    for (name, documents) in [
        ("host.yaml", 1),
        ("runtime.yaml", 1),
        ("model.yaml", 1),
        ("loadout.yaml", 1),
        ("policy.yaml", 1),
        ("blueprint-and-run.yaml", 2),
        ("task.yaml", 1),
        ("scalars.yaml", 1),
        ("golden-set.yaml", 1),
        ("experiment.yaml", 1),
        ("json-with-tabs.json", 1),
        ("spec-before-kind.yaml", 1),
        ("bom.yaml", 1),
        ("cr-only.yaml", 1),
        ("block-scalar.yaml", 1),
    ] {
        let parsed = parse::file(name, &std::fs::read(folder.join(name)).unwrap());
        assert_eq!((parsed.documents.len(), parsed.broken.as_slice()), (documents, &[][..]), "{name}");
        assert_eq!(parsed.warnings, [], "{name}");
    }
}

#[test]
fn bombs_are_refused_each_with_its_code() {
    let task = "apiVersion: arcology/v1alpha1\nkind: Task\nmetadata: {name: t}\nspec:\n  capability: text.stats\n";
    let aliases = |levels: u8| -> String {
        let level = |n: u8| format!("l{n}: &l{n} [{}]\n", vec![format!("*l{}", n - 1); 9].join(","));
        "l0: &l0 [x]\n".to_owned() + &(1..levels).map(level).collect::<String>()
    };
    let flow =
        |n: usize, value: &str| format!("{{{}}}\n", (0..n).map(|n| format!("key{n}: {value},")).collect::<String>());
    let cases: Vec<(&str, String, &str)> = vec![
        ("flow nesting", format!("{task}  params: {{a: {}{}}}\n", "[".repeat(10_000), "]".repeat(10_000)), "ARC106"),
        ("flow nesting, open", "[".repeat(10_000), "ARC106"),
        ("flow mappings", "{a: ".repeat(10_000), "ARC106"),
        ("block nesting", (0..1_000).map(|n| " ".repeat(n) + "a:\n").collect(), "ARC106"),
        ("sequences on one line", "- ".repeat(10_000), "ARC106"),
        ("aliases", aliases(30), "ARC108"),
        ("documents", "---\na: b\n".repeat(10_000), "ARC104"),
        ("values", format!("{task}  tags: [{}]\n", "a,".repeat(400_000)), "ARC107"),
        (
            "keys",
            format!("{task}  params: {{{}}}\n", (0..60_000).map(|n| format!("k{n}: 1,")).collect::<String>()),
            "ARC107",
        ),
        ("size", " ".repeat(2 << 20), "ARC101"),
        (
            "unknown fields",
            task.replace("\n  capability", &format!(" {}", flow(9_000, "1"))).replace(": text.stats\n", ""),
            "ARC113",
        ),
        (
            "long paths",
            format!(
                "{task}  params:
    ? {}
    : {}",
                "x".repeat(500_000),
                flow(9_000, ".inf")
            ),
            "ARC113",
        ),
        ("a name", format!("kind: Host\nmetadata: {{name: {}}}\n", "x".repeat(900_000)), "ARC206"),
        ("one long line", format!("kind: {}\n", "x".repeat(1_000_000)), "ARC211"),
    ];
    for (name, text, code) in cases {
        in_time(name, move || {
            let parsed = parse::file("bomb.yaml", text.as_bytes());
            let codes: Vec<_> = parsed.broken.iter().flat_map(|broken| &broken.diagnostics).map(|d| &*d.code).collect();
            assert!(codes.contains(&code), "{codes:?} lacks {code}");
            assert_eq!(parsed.documents, []);
            exercise::manifest(text.as_bytes());
        });
    }
}

#[test]
fn a_file_that_was_not_read_is_broken_as_a_whole() {
    let parsed = parse::too_large("big.yaml", 100 << 20);
    assert_eq!(&*parsed.broken[0].diagnostics[0].code, "ARC101");
    assert!(parsed.broken[0].diagnostics[0].message.contains("104857600 bytes"));
    let parsed = parse::unreadable(
        "link.yaml",
        arcology::declare::manifest::code::SYMLINK,
        "the link leads out of the repository".into(),
        Some("commit the file itself".into()),
    );
    assert_eq!((parsed.broken.len(), parsed.broken[0].key.as_ref()), (1, None));
    assert_eq!(&*parsed.broken[0].diagnostics[0].code, "ARC110");
}
