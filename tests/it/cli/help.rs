//! Help texts, usage errors, and ends of pipes.

use super::context::{Context, Ran};

#[test]
fn help_says_what_a_verb_does_and_shows_how() {
    let context = Context::new();
    for verb in ["status", "plan"] {
        let ran = context.run(&[verb, "-h"]);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""));
        insta::assert_snapshot!(format!("help_of_{verb}"), ran.out);
    }
}

#[test]
fn a_verb_that_does_not_exist_leaves_with_2_and_names_the_nearest() {
    let ran = Context::new().run(&["valdate"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("'validate'"), "{}", ran.err);
    assert_eq!(ran.out, "");
}

#[test]
fn a_reader_that_stops_reading_ends_the_program_quietly() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let ran = Ran::of(&Context::new().command(&["schema"]).stdout(writer).output().unwrap());
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
}

#[test]
fn output_that_cannot_be_written_is_told() {
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let ran = Ran::of(&Context::new().command(&["schema"]).stdout(full).output().unwrap());
    assert_eq!(ran.code, 1);
    assert!(ran.err.starts_with("error: output could not be written"), "{}", ran.err);
}
