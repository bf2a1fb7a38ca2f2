//! `init`, `validate` and `plan` on real repositories.

use super::context::Context;

#[test]
fn what_init_makes_is_valid_without_a_single_remark() {
    let context = Context::with_repository();
    let ran = context.run(&["validate"]);
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, "no problems in 8 files\n", ""));
    assert_eq!(context.run(&["validate", "--rev", "HEAD"]).out, "no problems in 8 files\n");
}

#[test]
fn the_state_repository_at_the_top_of_this_one_is_valid_too() {
    let ran = Context::new().run(&["validate", env!("CARGO_MANIFEST_DIR")]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{}", ran.out);
    assert!(ran.out.starts_with("no problems in "), "{}", ran.out);
}

#[test]
fn a_typing_error_is_told_with_its_place_in_every_format() {
    let context = Context::with_repository();
    context.replace("manifests/task.yaml", "{model: textrank}", "{model: textrnk}");
    let text = context.run(&["validate"]);
    assert_eq!(text.code, 1);
    insta::assert_snapshot!(text.out, @"
    error[ARC301]: unknown Model `textrnk`
      --> manifests/task.yaml:13:19
       |
    13 |   target: {model: textrnk}
       |                   ^^^^^^^ declared: lead, textrank
       |
       = help: did you mean `textrank`?

    for more about this problem: arcology explain ARC301
    1 error in 1 file (8 read)
    ");
    let github = context.run(&["validate", "-o", "github"]);
    assert!(github.out.starts_with("::error file=manifests/task.yaml,line=13,col=19,"), "{}", github.out);
    let json: serde_json::Value = serde_json::from_str(&context.run(&["validate", "-o", "json"]).out).unwrap();
    assert_eq!((&json["errors"], &json["diagnostics"][0]["line"]), (&1.into(), &13.into()));
    let sarif: serde_json::Value = serde_json::from_str(&context.run(&["validate", "-o", "sarif"]).out).unwrap();
    assert_eq!(sarif["runs"][0]["results"][0]["ruleId"], json["diagnostics"][0]["code"]);
    let committed = context.run(&["validate", "--rev", "HEAD"]);
    assert_eq!(committed.code, 0, "the commit is valid, only the files are not: {}", committed.out);
}

#[test]
fn a_wrong_reference_is_told_beside_the_wrong_word_in_the_same_line() {
    let context = Context::with_repository();
    context.replace("manifests/loadout.yaml", "{model: textrank, state: loaded}", "{model: textrnk, state: loadd}");
    let text = context.run(&["validate"]);
    assert_eq!(text.code, 1);
    insta::assert_snapshot!(text.out, @"
    error[ARC301]: unknown Model `textrnk`
      --> manifests/loadout.yaml:12:15
       |
    12 |     - {model: textrnk, state: loadd} # loaded | onDemand | unloaded
       |               ^^^^^^^ declared: lead, textrank
       |
       = help: did you mean `textrank`?

    error[ARC204]: `spec.models[0].state` cannot be `loadd`
      --> manifests/loadout.yaml:12:31
       |
    12 |     - {model: textrnk, state: loadd} # loaded | onDemand | unloaded
       |                               ^^^^^ not one of the allowed values
       |
       = help: did you mean `loaded`? allowed: `loaded`, `onDemand`, `unloaded`

    these problems have a page each: ARC204, ARC301; for one of them: arcology explain ARC204
    2 errors in 1 file (8 read)
    ");
}

#[test]
fn calls_that_cannot_work_leave_with_2() {
    let context = Context::new();
    context.write("manifests/.keep", "");
    for args in [&["validate"][..], &["validate", "nowhere"], &["validate", "--rev", "HEAD"], &["plan"]] {
        let ran = context.run(args);
        assert_eq!(ran.code, 2, "{args:?}: {}{}", ran.out, ran.err);
        assert!(ran.err.contains("hint: "), "{args:?}: {}", ran.err);
    }
}

#[test]
fn a_plan_between_two_commits_says_what_would_be_loaded() {
    let context = Context::with_repository();
    context.replace("manifests/loadout.yaml", "{model: lead, state: onDemand}", "{model: lead, state: loaded}");
    context.commit_all("Load lead");
    let ran = context.run(&["plan", "--base", "HEAD~1", "--exit-code"]);
    assert_eq!(ran.code, 2, "{}", ran.err);
    assert!(ran.out.contains("models[lead].state: onDemand → loaded"), "{}", ran.out);
    assert!(ran.out.contains("1. load lead on builtin for Loadout/desk"), "{}", ran.out);
    assert!(ran.out.ends_with("1 object declared differently, 1 action\n"), "{}", ran.out);

    let markdown = context.run(&["plan", "--base", "HEAD~1", "-o", "markdown"]);
    assert_eq!(markdown.code, 0);
    assert!(markdown.out.contains("| `Loadout/desk` | load | `lead on builtin` |"), "{}", markdown.out);

    let nothing = context.run(&["plan", "--base", "HEAD", "--exit-code"]);
    assert_eq!(nothing.code, 0);
    assert!(nothing.out.ends_with("nothing would change\n"), "{}", nothing.out);
}

#[test]
fn a_plan_of_the_worktree_starts_from_the_commit_beneath_it() {
    let context = Context::with_repository();
    context.replace("manifests/loadout.yaml", "model: lead,", "model: leed,");
    let ran = context.run(&["plan", "--worktree", "-o", "json"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let plan: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(plan["quarantined"][0]["object"], "Loadout/desk");
    assert_eq!(plan["quarantined"][0]["last_good"], true);
    assert_eq!(plan["head"]["revision"], "worktree");
    assert_eq!(plan["would_change"], false, "the last good version stays in force");
}
