//! `--verify`: what is signed by an allowed signer is applied, and nothing else is.

use std::path::Path;

use arcology::act::source::{Error, Held, Options, Poll, Reason, Source};
use arcology::core::CommitSha;

use super::repo::{TestRepo, changed, git, keys, model};

struct Signed {
    repo: TestRepo,
}

impl Signed {
    /// A repository with two key pairs, `ada` and `eve`, of which only Ada's is allowed.
    fn new() -> Self {
        let signed = Self { repo: TestRepo::new() };
        let home = signed.home();
        for name in ["ada", "eve"] {
            let made = std::process::Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"])
                .arg(home.join(name))
                .output()
                .expect("ssh-keygen runs");
            assert!(made.status.success(), "{made:?}");
        }
        signed.allow(&["ada"]);
        signed
    }

    fn home(&self) -> &Path {
        self.repo.home.path()
    }

    fn allow(&self, names: &[&str]) {
        let line = |name: &&str| {
            let key = std::fs::read_to_string(self.home().join(format!("{name}.pub"))).unwrap();
            format!("{name}@example.org namespaces=\"git\" {key}")
        };
        std::fs::write(self.home().join("allowed"), names.iter().map(line).collect::<String>()).unwrap();
    }

    /// Commits a file; signed by `signer` when there is one.
    fn commit(&self, name: &str, signer: Option<&str>) -> CommitSha {
        let folder = self.repo.path();
        std::fs::create_dir_all(folder.join("manifests")).unwrap();
        std::fs::write(folder.join(format!("manifests/{name}.yaml")), model(name, 1)).unwrap();
        git(&folder, &["add", "."]);
        let key = format!("user.signingKey={}", self.home().join(signer.unwrap_or("ada")).display());
        let sign = if signer.is_some() { "-S" } else { "--no-gpg-sign" };
        git(&folder, &["-c", "gpg.format=ssh", "-c", &key, "commit", "--quiet", sign, "-m", name]);
        CommitSha::new(&git(&folder, &["rev-parse", "HEAD"]))
    }

    fn options(&self) -> Options {
        let mut options = self.repo.options();
        options.allowed_signers = Some(self.home().join("allowed"));
        options
    }

    fn source(&self) -> Source {
        Source::open(self.options()).unwrap()
    }
}

fn held(poll: Poll) -> Held {
    match poll {
        Poll::Held(held) => held,
        other => panic!("expected to be held, got {other:?}"),
    }
}

#[test]
fn every_new_commit_must_be_signed_not_only_the_tip() {
    let signed = Signed::new();
    let first = signed.commit("a", Some("ada"));
    let mut source = signed.source();
    changed(source.poll(None, false).unwrap());
    assert!(matches!(source.poll(Some(&first), false).unwrap(), Poll::Unchanged));

    let unsigned = signed.commit("b", None);
    signed.commit("c", Some("ada"));
    for _ in 0..2 {
        let held = held(source.poll(Some(&first), false).unwrap());
        assert_eq!(held.reason, Reason::Unverified);
        assert_eq!(held.commit.as_ref().map(|commit| &commit.sha), Some(&unsigned));
        assert!(held.message.contains("no signature") && held.help.contains("allowed-signers"), "{held:?}");
    }
    // Accepting a rewritten history accepts no unsigned commit.
    held(source.poll(Some(&first), true).unwrap());
}

#[test]
fn a_signature_of_somebody_else_counts_only_once_they_are_allowed() {
    let signed = Signed::new();
    let first = signed.commit("a", Some("ada"));
    let mut source = signed.source();
    changed(source.poll(None, false).unwrap());
    let foreign = signed.commit("b", Some("eve"));
    let refused = held(source.poll(Some(&first), false).unwrap());
    assert_eq!(refused.commit.map(|commit| commit.sha), Some(foreign.clone()));
    assert!(refused.message.contains("not signed by an allowed signer"), "{}", refused.message);

    signed.allow(&["ada", "eve"]);
    assert_eq!(keys(&changed(source.poll(Some(&first), false).unwrap())), ["Model/a", "Model/b"]);
    signed.allow(&["ada"]);
    signed.commit("c", Some("ada"));
    held(source.poll(Some(&first), false).unwrap());
    changed(source.poll(Some(&foreign), false).unwrap());
}

#[test]
fn at_the_first_start_the_tip_must_be_signed() {
    let signed = Signed::new();
    signed.commit("a", None);
    held(signed.source().poll(None, false).unwrap());
    let tip = signed.commit("b", Some("ada"));
    changed(signed.source().poll(None, false).unwrap());
    // Also when it is in force from a time without --verify.
    changed(signed.source().poll(Some(&tip), false).unwrap());
    let unsigned = signed.commit("c", None);
    held(signed.source().poll(Some(&unsigned), false).unwrap());
}

#[test]
fn a_signature_that_was_copied_onto_another_commit_is_refused() {
    let signed = Signed::new();
    let first = signed.commit("a", Some("ada"));
    let raw = git(&signed.repo.path(), &["cat-file", "commit", "HEAD"]);
    let forged = raw.replacen("Ada Example", "Eve Example", 1);
    assert_ne!(raw, forged);
    let id = signed.repo.repo.odb().unwrap().write(git2::ObjectType::Commit, forged.as_bytes()).unwrap();
    signed.repo.set_branch("main", id);
    let held = held(signed.source().poll(None, false).unwrap());
    assert_eq!(held.reason, Reason::Unverified, "{held:?}");
    signed.repo.set_branch("main", git2::Oid::from_str(first.as_str()).unwrap());
    changed(signed.source().poll(None, false).unwrap());
}

#[test]
fn settings_of_the_repository_cannot_name_another_checking_program() {
    let signed = Signed::new();
    signed.commit("a", Some("eve"));
    let trap = signed.home().join("trap");
    let script = signed.home().join("yes.sh");
    std::fs::write(&script, format!("#!/bin/sh\ntouch {}\nexit 0\n", trap.display())).unwrap();
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    for key in ["gpg.program", "gpg.ssh.program", "gpg.openpgp.program"] {
        git(&signed.repo.path(), &["config", key, script.to_str().unwrap()]);
    }
    let minimum = ["config", "gpg.minTrustLevel", "never"];
    git(&signed.repo.path(), &minimum);
    held(signed.source().poll(None, false).unwrap());
    assert!(!trap.exists());
}

#[test]
fn signatures_of_a_remote_are_checked_in_its_clone_and_a_missing_list_is_an_error() {
    let signed = Signed::new();
    signed.commit("a", Some("ada"));
    let mut options = signed.options();
    options.repo = format!("file://{}", signed.repo.path().display());
    changed(Source::open(options.clone()).unwrap().poll(None, false).unwrap());
    signed.commit("b", None);
    held(Source::open(options.clone()).unwrap().poll(None, false).unwrap());
    options.allowed_signers = Some(signed.home().join("nobody"));
    let error = Source::open(options).unwrap().poll(None, false).unwrap_err();
    assert!(matches!(error, Error::Io { .. }) && error.to_string().contains("nobody"), "{error}");
}
