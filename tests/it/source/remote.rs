//! Remotes: fetched with our own identities alone, followed offline, bounded in time.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use arcology::act::source::{Error, Options, Poll, Reason, Source};

use super::repo::{TestRepo, changed, git, keys, model};

fn url(repo: &TestRepo) -> String {
    format!("file://{}", repo.path().display())
}

fn options(repo: &TestRepo) -> Options {
    Options::new(url(repo), repo.state_dir())
}

/// A folder of programs that come before the real ones.
fn fake_program(home: &Path, name: &str, script: &str) -> String {
    let folder = home.join("bin");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(name), format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(folder.join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
    format!("{}:/usr/local/bin:/usr/bin:/bin", folder.display())
}

fn credential(folder: &Path, name: &str, content: &str) {
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join(name), content).unwrap();
    std::fs::set_permissions(folder.join(name), std::fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn a_remote_is_cloned_followed_and_its_default_branch_taken() {
    let mut repo = TestRepo::new();
    let first = repo.commit("one", &[("manifests/a.yaml", Some(&model("a", 1)))]);
    repo.set_branch("trunk", repo.oid("main"));
    repo.repo.set_head("refs/heads/trunk").unwrap();
    let mut source = Source::open(options(&repo)).unwrap();
    assert_eq!(source.describe(), (url(&repo), String::new()));
    let snapshot = changed(source.poll(None, false).unwrap());
    assert_eq!(snapshot.revision.to_string(), format!("trunk@sha1:{first}"));
    assert_eq!(keys(&snapshot), ["Model/a"]);
    assert!(snapshot.paths.exists("manifests/a.yaml"));
    assert!(matches!(source.poll(Some(&first), false).unwrap(), Poll::Unchanged));

    let second = repo.commit("two", &[("manifests/b.yaml", Some(&model("b", 1)))]);
    assert!(matches!(source.poll(Some(&first), false).unwrap(), Poll::Unchanged));
    repo.set_branch("trunk", repo.oid("main"));
    let snapshot = changed(source.poll(Some(&first), false).unwrap());
    assert_eq!((keys(&snapshot).len(), &snapshot.revision.commit.sha), (2, &second));
    assert_eq!(source.snapshot_at("HEAD~1").unwrap().revision.commit.sha, first);
    assert_eq!(source.read_file(&first, "manifests/a.yaml", 1_000).unwrap(), model("a", 1).into_bytes());
}

#[test]
fn another_branch_of_a_remote_is_fetched_when_it_is_asked_for() {
    let mut repo = TestRepo::new();
    repo.commit("one", &[("manifests/a.yaml", Some(&model("a", 1)))]);
    let main = repo.oid("main");
    let feature = repo.commit_on(&[main], "feature", &[("manifests/b.yaml", Some(&model("b", 1)))]);
    repo.set_branch("feature/b", feature);
    let mut source = Source::open(options(&repo)).unwrap();
    assert_eq!(keys(&source.snapshot_at("feature/b").unwrap()), ["Model/a", "Model/b"]);
    assert_eq!(keys(&source.snapshot_at("HEAD").unwrap()), ["Model/a"]);
    assert!(matches!(source.snapshot_at("feature/none"), Err(Error::RevisionMissing { .. })));
}

#[test]
fn without_the_remote_what_was_fetched_can_still_be_read_after_a_restart() {
    let mut repo = TestRepo::new();
    let first = repo.commit("one", &[("manifests/a.yaml", Some(&model("a", 1)))]);
    changed(Source::open(options(&repo)).unwrap().poll(None, false).unwrap());
    let away = repo.home.path().join("away");
    std::fs::rename(repo.path(), &away).unwrap();

    let mut source = Source::open(options(&repo)).unwrap();
    assert_eq!(source.describe().1, "main");
    let error = source.poll(Some(&first), false).unwrap_err();
    assert_eq!(error.reason(), Reason::Unreachable, "{error}");
    assert_eq!(keys(&source.snapshot_at(first.as_str()).unwrap()), ["Model/a"]);

    std::fs::rename(&away, repo.path()).unwrap();
    assert_eq!(keys(&changed(source.poll(Some(&first), false).unwrap())), ["Model/a"]);
}

#[test]
fn a_remote_that_rewrites_or_loses_its_branch_is_held_or_an_error() {
    let mut repo = TestRepo::new();
    repo.commit("base", &[]);
    let base = repo.oid("main");
    let old = repo.commit("old", &[("manifests/a.yaml", Some(&model("a", 1)))]);
    let mut source = Source::open(options(&repo)).unwrap();
    changed(source.poll(None, false).unwrap());
    let new = repo.commit_on(&[base], "new", &[("manifests/b.yaml", Some(&model("b", 1)))]);
    repo.set_branch("main", new);
    let Poll::Held(held) = source.poll(Some(&old), false).unwrap() else { panic!("it is held") };
    assert_eq!(held.reason, Reason::NotFastForward);
    assert_eq!(keys(&source.snapshot_at(old.as_str()).unwrap()), ["Model/a"]);

    repo.set_branch("other", new);
    repo.repo.set_head("refs/heads/other").unwrap();
    repo.repo.find_reference("refs/heads/main").unwrap().delete().unwrap();
    let error = source.poll(Some(&old), false).unwrap_err();
    assert!(matches!(error, Error::BranchMissing { .. }), "{error}");
}

#[test]
fn a_clone_of_another_address_is_replaced() {
    let (mut one, mut two) = (TestRepo::new(), TestRepo::new());
    one.commit("one", &[("manifests/a.yaml", Some(&model("a", 1)))]);
    two.commit("two", &[("manifests/b.yaml", Some(&model("b", 1)))]);
    changed(Source::open(options(&one)).unwrap().poll(None, false).unwrap());
    let mut source = Source::open(Options::new(url(&two), one.state_dir())).unwrap();
    assert_eq!(source.describe().1, "");
    assert_eq!(keys(&changed(source.poll(None, false).unwrap())), ["Model/b"]);
}

#[test]
fn an_empty_remote_and_a_missing_git_say_what_to_do() {
    let repo = TestRepo::new();
    let error = Source::open(options(&repo)).unwrap().poll(None, false).unwrap_err();
    assert_eq!(error.reason(), Reason::BranchMissing, "{error}");

    let mut without_git = options(&repo);
    without_git.program_path = repo.home.path().display().to_string();
    let error = Source::open(without_git).unwrap().poll(None, false).unwrap_err();
    assert!(matches!(error, Error::GitMissing { .. }), "{error}");
    assert!(error.help().unwrap().contains("install git"));
}

#[test]
fn a_git_that_hangs_is_ended_with_everything_it_started() {
    let repo = TestRepo::new();
    let pids = repo.home.path().join("pids");
    let script = format!("sleep 1000 & echo $! >{0}.part; mv {0}.part {0}; wait", pids.display());
    let mut hanging = options(&repo);
    hanging.program_path = fake_program(repo.home.path(), "git", &script);
    hanging.remote_timeout = Duration::from_millis(600);
    let stop = hanging.stop.clone();
    let begin = Instant::now();
    let mut source = Source::open(hanging).unwrap();
    let error = source.poll(None, false).unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    assert!(begin.elapsed() < Duration::from_secs(30));
    let pid = std::fs::read_to_string(&pids).unwrap();
    let status = PathBuf::from(format!("/proc/{}/stat", pid.trim()));
    let deadline = Instant::now() + Duration::from_secs(20);
    // Gone, or only waiting for its new parent to notice.
    while std::fs::read_to_string(&status).is_ok_and(|stat| !stat.contains(") Z ")) {
        assert!(Instant::now() < deadline, "the child of git is still there");
        std::thread::yield_now();
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(matches!(source.poll(None, false), Err(Error::Stopped { .. })));
}

#[test]
fn git_that_says_too_much_is_cut_short_and_nothing_of_the_environment_reaches_it() {
    let repo = TestRepo::new();
    let seen = repo.home.path().join("seen");
    let script = format!("env >{}; head -c 20000000 /dev/zero; head -c 3000000 /dev/zero >&2; exit 1", seen.display());
    let mut talking = options(&repo);
    talking.program_path = fake_program(repo.home.path(), "git", &script);
    let error = Source::open(talking).unwrap().poll(None, false).unwrap_err();
    assert_eq!(error.reason(), Reason::Unreachable);
    assert!(error.to_string().len() < 2_000);
    let seen = std::fs::read_to_string(seen).unwrap();
    let names: Vec<_> = seen.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
    for name in &names {
        let expected = ["PATH", "HOME", "XDG_CONFIG_HOME", "LANG", "LC_ALL", "PWD", "OLDPWD", "SHLVL", "_"];
        assert!(name.starts_with("GIT_") || expected.contains(name), "{name} reached git");
    }
    assert!(!names.contains(&"GIT_ASKPASS") && seen.contains("GIT_ALLOW_PROTOCOL=file"), "{seen}");
}

#[test]
fn ssh_gets_the_deploy_key_and_nothing_else() {
    let mut repo = TestRepo::new();
    repo.commit("one", &[("manifests/a.yaml", Some(&model("a", 1)))]);
    let (home, folder) = (repo.home.path().to_owned(), repo.home.path().join("credentials"));
    let seen = home.join("seen");
    // Like a server that lets everybody in: runs what it is asked for, which is the last argument.
    let script = format!(
        "echo \"$@\" >>{0}; env | grep -c SSH_AUTH_SOCK >>{0}; for last; do :; done; exec sh -c \"$last\"",
        seen.display()
    );
    let mut over_ssh = Options::new(format!("ssh://git@localhost:2222{}", repo.path().display()), repo.state_dir());
    over_ssh.program_path = fake_program(&home, "ssh", &script);
    let error = Source::open(over_ssh.clone()).unwrap().poll(None, false).unwrap_err();
    assert!(matches!(error, Error::Credential { .. }), "{error}");

    credential(&folder, "git-ssh-key", "key");
    credential(&folder, "git-known-hosts", "hosts");
    over_ssh.credentials_dir = Some(folder.clone());
    assert_eq!(keys(&changed(Source::open(over_ssh).unwrap().poll(None, false).unwrap())), ["Model/a"]);
    let seen = std::fs::read_to_string(seen).unwrap();
    for option in ["-F /dev/null", "IdentitiesOnly=yes", "IdentityAgent=none", "BatchMode=yes", "-p 2222"] {
        assert!(seen.contains(option), "{option} in {seen}");
    }
    assert!(seen.contains(&format!("-i {}/git-ssh-key", folder.display())), "{seen}");
    assert!(seen.lines().skip(1).step_by(2).all(|agents| agents == "0"), "{seen}");
}

#[test]
fn a_token_reaches_its_host_and_no_command_line_no_message_and_no_file() {
    let mut repo = TestRepo::new();
    let first = repo.commit("one", &[("manifests/a.yaml", Some(&model("a", 1)))]);
    git(repo.home.path(), &["clone", "--quiet", "--bare", "repo", "served.git"]);
    let served = repo.home.path().join("served.git");
    git(&served, &["update-server-info"]);
    let (address, headers) = serve(served);
    let folder = repo.home.path().join("credentials");
    let mut http = Options::new(format!("http://{address}/"), repo.state_dir());
    let error = Source::open(http.clone()).unwrap().poll(None, false).unwrap_err();
    assert!(matches!(error, Error::Denied { .. }), "{error}");
    assert!(error.help().unwrap().contains("git-token"));

    credential(&folder, "git-token", "wrong-s3cret\n");
    http.credentials_dir = Some(folder.clone());
    let error = Source::open(http.clone()).unwrap().poll(None, false).unwrap_err();
    assert!(matches!(error, Error::Denied { .. }), "{error}");
    assert!(!format!("{error} {error:?}").contains("s3cret"));

    credential(&folder, "git-token", "s3cret\n");
    credential(&folder, "git-user", "robot");
    let snapshot = changed(Source::open(http).unwrap().poll(None, false).unwrap());
    assert_eq!((keys(&snapshot), snapshot.revision.commit.sha), (vec!["Model/a".to_owned()], first));
    // `robot:s3cret` in base 64.
    let expected = "Authorization: Basic cm9ib3Q6czNjcmV0";
    assert!(headers.lock().unwrap().iter().any(|line| line.eq_ignore_ascii_case(expected)));
    let found = std::process::Command::new("grep").args(["-rl", "s3cret\\|cm9ib3Q6"]).arg(repo.state_dir()).output();
    assert_eq!(String::from_utf8(found.unwrap().stdout).unwrap(), "");
}

#[test]
fn a_token_follows_no_redirect() {
    let repo = TestRepo::new();
    let (elsewhere, reached) = serve(repo.path());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            let path = lines.next().and_then(|line| line.split(' ').nth(1).map(str::to_owned)).unwrap_or_default();
            let end = lines.find(String::is_empty);
            assert!(end.is_some());
            let head = format!("HTTP/1.1 302 Found\r\nLocation: http://{elsewhere}{path}\r\nContent-Length: 0\r\n\r\n");
            let _ = stream.write_all(head.as_bytes());
        }
    });
    let folder = repo.home.path().join("credentials");
    credential(&folder, "git-token", "s3cret");
    let mut http = Options::new(format!("http://{address}/"), repo.state_dir());
    http.credentials_dir = Some(folder);
    let error = Source::open(http).unwrap().poll(None, false).unwrap_err();
    assert_eq!(error.reason(), Reason::Unreachable, "{error}");
    assert_eq!(*reached.lock().unwrap(), Vec::<String>::new());
}

#[test]
fn what_a_killed_git_left_behind_does_not_stop_the_next_fetch() {
    let mut repo = TestRepo::new();
    let first = repo.commit("one", &[("manifests/a.yaml", Some(&model("a", 1)))]);
    let mut source = Source::open(options(&repo)).unwrap();
    changed(source.poll(None, false).unwrap());
    let clone = repo.state_dir().join("source.git");
    let long_ago = std::time::SystemTime::now() - Duration::from_secs(86_400);
    let leave = |path: &str, modified| {
        std::fs::create_dir_all(clone.join(path).parent().unwrap()).unwrap();
        std::fs::File::create(clone.join(path)).unwrap().set_modified(modified).unwrap();
    };
    leave("refs/heads/main.lock", long_ago);
    leave("objects/pack/tmp_pack_old", long_ago);
    leave("objects/pack/tmp_pack_young", std::time::SystemTime::now());
    repo.commit("two", &[("manifests/b.yaml", Some(&model("b", 1)))]);
    assert_eq!(keys(&changed(source.poll(Some(&first), false).unwrap())).len(), 2);
    assert!(!clone.join("objects/pack/tmp_pack_old").exists());
    assert!(clone.join("objects/pack/tmp_pack_young").exists());
}

/// Serves a bare repository as plain files to whoever has the token, and keeps the header lines it was sent. Ends with
/// the test program.
fn serve(root: PathBuf) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let headers = Arc::new(Mutex::new(Vec::new()));
    let seen = headers.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            let Some(request) = lines.next() else { continue };
            let sent: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
            let allowed = sent.iter().any(|line| line.ends_with("cm9ib3Q6czNjcmV0"));
            seen.lock().unwrap().extend(sent);
            let path = request.split(' ').nth(1).unwrap_or("/").split('?').next().unwrap_or("/").to_owned();
            let (status, body) = match std::fs::read(root.join(path.trim_start_matches('/'))) {
                _ if !allowed => ("401 Unauthorized", Vec::new()),
                Ok(body) => ("200 OK", body),
                Err(_) => ("404 Not Found", Vec::new()),
            };
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\nWWW-Authenticate: Basic\r\n\r\n",
                body.len()
            );
            // A client that has what it wants may close early.
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
        }
    });
    (address, headers)
}
