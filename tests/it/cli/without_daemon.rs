//! Verbs that need a daemon where none runs.

use super::context::Context;

#[test]
fn status_leaves_with_3_and_says_how_to_start_one() {
    let ran = Context::new().run(&["status"]);
    assert_eq!((ran.code, ran.out.as_str()), (3, ""));
    insta::assert_snapshot!(ran.err, @"
    error: no daemon runs here
      at: .arcology/control.sock
    hint: start one in the state repository: arcology up
    hint: if it runs elsewhere, say where: --state DIR or --control SOCKET
    ");
}

#[test]
fn a_socket_that_nobody_listens_on_is_no_daemon_either() {
    let context = Context::new();
    drop(std::os::unix::net::UnixListener::bind(context.path("left.sock")).unwrap());
    let ran = context.run(&["status", "--control", "left.sock"]);
    assert_eq!(ran.code, 3);
    assert!(ran.err.starts_with("error: no daemon answers\n  at: left.sock\n"), "{}", ran.err);
}

#[test]
fn the_other_verbs_leave_with_their_own_code_for_failure() {
    let context = Context::new();
    context.write("task.yaml", "capability: text.stats\ninputs: {text: hello}\n");
    for args in [&["get", "tasks"][..], &["why", "task-1"], &["submit", "task.yaml"], &["reconcile"]] {
        let ran = context.run(args);
        assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{args:?}");
        assert!(ran.err.contains("arcology up"), "{args:?}: {}", ran.err);
    }
}
