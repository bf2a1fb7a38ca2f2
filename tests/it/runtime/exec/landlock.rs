//! Where there is no bubblewrap: what Landlock keeps programs from, what it leaves open, and that both are said. Where the
//! kernel has no Landlock, what is said and done instead; a confining program that answers as on such a kernel shows it on
//! every machine.

use std::net::{TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use arcology::act::runtime::Fault;
use arcology::act::runtime::exec::Tools;
use serde_json::{Value, json};

use super::super::{text_of_run, tools};
use super::{Bench, landlock_abi, processes_with, task, until};

const ARCOLOGY: &str = env!("CARGO_BIN_EXE_arcology");

/// A process that is none of a run, and ends with the test.
struct Bystander(Child);

impl Bystander {
    fn new() -> Self {
        Self(Command::new("sleep").arg("600").spawn().unwrap())
    }

    fn lives(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A program in Perl, which Debian's base system has.
fn perl(lines: &str) -> Option<String> {
    if Path::new("/usr/bin/perl").exists() {
        return Some(format!("#!/usr/bin/perl\nuse IO::Socket::INET; use IO::Socket::UNIX; use Socket;\n{lines}\n"));
    }
    println!("skipped: sockets (perl is not installed)");
    None
}

/// What `lines` print under Landlock.
async fn printed(bench: &Bench, lines: &str, more: Value) -> String {
    let program = bench.script("probe", lines);
    let mut stats = json!({"steps": [{"run": [program], "stdout": "out.txt"}], "outputs": [{"file": "out.txt"}]});
    stats.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let adapter = bench.connect(json!({"sandbox": "landlock", "programs": {"text.stats": stats}})).unwrap();
    text_of_run(&adapter, task("")).await.unwrap()
}

/// A program that answers for the confining one, and hands everything else on to it.
fn pretending(bench: &Bench, told: &str) -> Tools {
    let lines = format!("if [ \"$2\" = --probe ]; then echo '{told}'; else exec {ARCOLOGY} \"$@\"; fi");
    Tools { folders: Vec::new(), confiner: Some(bench.script("confiner", &lines).into()) }
}

#[tokio::test]
async fn nothing_outside_its_own_folders_is_read_or_written() {
    let Some(abi) = landlock_abi() else { return };
    let bench = Bench::new();
    std::fs::write(bench.path("secret"), "s3cret").unwrap();
    std::fs::create_dir(bench.path("folder")).unwrap();
    let empties = if abi >= 3 { "truncate -s 0 $s/secret 2>/dev/null && echo emptied" } else { ":" };
    let lines = format!(
        "s={0}; home=$(grep -m1 . /etc/passwd 2>/dev/null); echo \"$home\" | grep .\n\
         for d in / /usr /etc /dev /dev/shm /tmp /proc /var/tmp .. ../in $s; do\n\
           echo x 2>/dev/null > $d/planted && echo \"wrote $d\"; mkdir $d/made 2>/dev/null && echo \"made $d\"; done\n\
         cat $s/secret /etc/shadow /etc/hostname ~root/.bashrc 2>/dev/null; ls $s /root /home / /proc .. 2>/dev/null\n\
         echo x 2>/dev/null >> $s/secret && echo appended; rm -f $s/secret 2>/dev/null && echo removed\n\
         mv $s/secret taken 2>/dev/null && echo moved; ln $s/secret linked 2>/dev/null && echo linked\n\
         rmdir $s/folder 2>/dev/null && echo emptied; ln -s $s/secret $s/link 2>/dev/null && echo pointed\n\
         {empties}\n\
         echo x > here && mkdir sub && mv here sub/there && echo x > $TMPDIR/mine && echo x > /dev/null && echo own",
        bench.folder.path().display()
    );
    assert_eq!(printed(&bench, &lines, json!({})).await, "own\n");
    assert_eq!(std::fs::read(bench.path("secret")).unwrap(), b"s3cret");
}

#[tokio::test]
async fn the_home_of_the_user_is_out_of_reach() {
    if landlock_abi().is_none() {
        return;
    }
    let home = std::env::var("HOME").unwrap();
    let bench = Bench::new();
    let lines = format!("ls -a {home} 2>/dev/null; echo $HOME; cd $HOME && pwd");
    let text = printed(&bench, &lines, json!({})).await;
    let lines: Vec<_> = text.lines().collect();
    assert!(lines.len() == 2 && lines[0] == lines[1] && lines[0].ends_with("/tmp"), "{text}");
    assert!(lines[0].starts_with(bench.folder.path().to_str().unwrap()), "{text}");
}

#[tokio::test]
async fn files_that_the_manifest_names_are_read_and_not_written() {
    if landlock_abi().is_none() {
        return;
    }
    let bench = Bench::new();
    std::fs::create_dir(bench.path("models")).unwrap();
    std::fs::write(bench.path("models/voice"), "la").unwrap();
    let models = bench.path("models");
    let program =
        bench.script("read", "cat $1; echo x 2>/dev/null > $1 || echo kept; touch 2>/dev/null ../in/x || echo kept");
    let stats =
        json!({"steps": [{"run": [program, "{model}"], "stdout": "out.txt"}], "outputs": [{"file": "out.txt"}]});
    let options = json!({"sandbox": "landlock", "readable": [models], "models": {"voice": models.join("voice")},
        "programs": {"text.stats": stats}});
    let adapter = bench.connect(options).unwrap();
    assert_eq!(text_of_run(&adapter, task("")).await.unwrap(), "lakept\nkept\n");
}

#[tokio::test]
async fn tcp_is_there_only_where_it_is_asked_for() {
    let Some(abi) = landlock_abi() else { return };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let lines = format!(
        "print IO::Socket::INET->new(PeerAddr => '127.0.0.1:{port}') ? 'open' : 'shut', ' ',\n\
         IO::Socket::INET->new(LocalAddr => '127.0.0.1:0', Listen => 1) ? 'open' : 'shut', \"\\n\";"
    );
    let Some(lines) = perl(&lines) else { return };
    let bench = Bench::new();
    let shut = if abi >= 4 { "shut shut\n" } else { "open open\n" };
    assert_eq!(printed(&bench, &lines, json!({})).await, shut);
    assert_eq!(printed(&bench, &lines, json!({"network": true})).await, "open open\n");
}

#[tokio::test]
async fn other_processes_cannot_be_ended_or_read() {
    let Some(abi) = landlock_abi() else { return };
    let mut other = Bystander::new();
    let id = other.0.id();
    let bench = Bench::new();
    let lines = format!(
        "cat /proc/{id}/cmdline /proc/{id}/environ /proc/{id}/status 2>/dev/null; ls /proc 2>/dev/null\n\
         sleep 60 & kill $! && echo 'its own'; kill -9 {id} 2>/dev/null; echo done"
    );
    assert_eq!(printed(&bench, &lines, json!({})).await, "its own\ndone\n");
    assert_eq!(other.lives(), abi >= 6);
}

#[tokio::test]
async fn there_are_no_privileges_and_limits_hold_without_anything_installed() {
    if landlock_abi().is_none() {
        return;
    }
    let bench = Bench::new();
    // Both are read of the program itself; what it starts cannot look at its own.
    let lines = "grep -e NoNewPrivs -e CapPrm -e CapEff -e CapInh /proc/$$/status\n\
                 grep -e 'data size' -e 'file size' -e 'open files' -e 'core file' -e 'cpu time' /proc/$$/limits | tr -s ' '\n\
                 cat /proc/self/status 2>/dev/null; cat /proc/cpuinfo > /dev/null && echo read";
    let limits = json!({"limits": {"memoryMb": 100, "fileMb": 7, "openFiles": 33, "cpuTime": "5s"}});
    insta::assert_snapshot!(printed(&bench, lines, limits).await, @r"
    CapInh:	0000000000000000
    CapPrm:	0000000000000000
    CapEff:	0000000000000000
    NoNewPrivs:	1
    Max cpu time 5 6 seconds 
    Max file size 7340032 7340032 bytes 
    Max data size 104857600 104857600 bytes 
    Max core file size 0 0 bytes 
    Max open files 33 33 files 
    read
    ");
}

#[tokio::test]
async fn a_program_that_computes_too_long_is_ended_by_the_kernel() {
    for sandbox in super::sandboxes().await {
        let bench = Bench::new();
        let program = bench.script("compute", "while :; do :; done");
        let adapter = bench.printing(sandbox, json!([program]), json!({"cpuTime": "1s"}));
        let error = text_of_run(&adapter, task("")).await.unwrap_err();
        assert!(error.fault == Fault::Timeout && error.message.contains("`cpuTime`"), "{sandbox}: {error}");
    }
}

#[tokio::test]
async fn what_landlock_leaves_open_is_open_and_said() {
    let Some(abi) = landlock_abi() else { return };
    let bench = Bench::new();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    udp.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let port = udp.local_addr().unwrap().port();
    let _named = UnixListener::bind(bench.path("socket")).unwrap();
    let name = format!("arcology-{}", std::process::id());
    let _unnamed = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    std::fs::write(bench.path("file"), "").unwrap();
    let folder = bench.folder.path().display();
    let lines = format!(
        "IO::Socket::INET->new(PeerAddr => '127.0.0.1:{port}', Proto => 'udp')->send('x');\n\
         print 'named: ', (IO::Socket::UNIX->new(Peer => '{folder}/socket') ? 'open' : 'shut'), \"\\n\";\n\
         socket(my $s, AF_UNIX, SOCK_STREAM, 0);\n\
         print 'abstract: ', (connect($s, pack('S a*', AF_UNIX, \"\\0{name}\")) ? 'open' : 'shut'), \"\\n\";\n\
         print 'mode: ', (chmod(0600, '{folder}/file') ? 'open' : 'shut'), \"\\n\";\n\
         print 'seen: ', (-e '{folder}/file' ? 'open' : 'shut'), ' ', (-e '/proc/1' ? 'open' : 'shut'), \"\\n\";"
    );
    let Some(lines) = perl(&lines) else { return };
    let word = |is_shut: bool| if is_shut { "shut" } else { "open" };
    let expected = format!("named: {}\nabstract: {}\nmode: open\nseen: open open\n", word(abi >= 9), word(abi >= 6));
    assert_eq!(printed(&bench, &lines, json!({})).await, expected);
    udp.recv(&mut [0; 8]).expect("UDP arrives");
    let adapter = bench.printing("landlock", json!(["true"]), json!({}));
    let view = adapter.observe().await.unwrap();
    let (degraded, protection) = (view.degraded.unwrap(), view.protection.unwrap());
    assert!(protection.starts_with(&format!("protected by Landlock ABI {abi} (own files")), "{protection}");
    for part in ["bubblewrap is not installed", "UDP", "mode and times", "which files and processes", &protection] {
        assert!(degraded.contains(part), "{part}: {degraded}");
    }
    assert_eq!(degraded.contains("Unix sockets"), abi < 9, "{degraded}");
    assert_eq!(degraded.contains("end processes"), abi < 6, "{degraded}");
}

#[tokio::test]
async fn a_sandbox_that_is_required_is_bubblewrap_and_nothing_less() {
    let bench = Bench::new();
    let stats = json!({"steps": [{"run": ["true"], "stdout": "out.txt"}], "outputs": [{"file": "out.txt"}]});
    let options = json!({"sandbox": "required", "programs": {"text.stats": stats}});
    let adapter = bench.connect_with(options, Tools { folders: Vec::new(), ..tools() }).unwrap();
    let degraded = adapter.observe().await.unwrap().degraded.unwrap();
    assert!(degraded.starts_with("nothing is run, since `sandbox` is `required`: bubblewrap is not"), "{degraded}");
    assert_eq!(degraded.contains("it would be Landlock ABI"), landlock_abi().is_some(), "{degraded}");
    assert_eq!(text_of_run(&adapter, task("")).await.unwrap_err().fault, Fault::Refused);
}

#[tokio::test]
async fn on_a_kernel_without_landlock_limits_remain_and_it_is_said() {
    let bench = Bench::new();
    std::fs::write(bench.path("secret"), "s3cret").unwrap();
    let program = bench.script("look", &format!("cat {}; ulimit -n", bench.path("secret").display()));
    let stats = json!({"steps": [{"run": [program], "stdout": "out.txt"}], "outputs": [{"file": "out.txt"}],
        "limits": {"openFiles": 33}});
    let tools = pretending(&bench, r#"{"landlock": null, "why": "the kernel has no Landlock"}"#);
    let adapter = bench.connect_with(json!({"programs": {"text.stats": stats}}), tools).unwrap();
    insta::assert_snapshot!(adapter.observe().await.unwrap().degraded.unwrap(), @"bubblewrap is not installed, and the kernel has no Landlock: programs can read and write whatever this user can, and reach the network and other processes; it is protected by no new privileges, limits of the kernel for each process, a watch on time, memory, processes, disk and output");
    assert_eq!(text_of_run(&adapter, task("")).await.unwrap(), "s3cret33\n");
}

#[tokio::test]
async fn what_landlock_does_not_enforce_as_promised_is_not_run() {
    let bench = Bench::new();
    let planted = bench.path("planted");
    let program = bench.script("plant", &format!("touch {}", planted.display()));
    let stats = json!({"steps": [{"run": [program], "stdout": "out.txt"}], "outputs": [{"file": "out.txt"}]});
    let tools = pretending(&bench, r#"{"landlock": 99}"#);
    let adapter = bench.connect_with(json!({"programs": {"text.stats": stats}}), tools).unwrap();
    let error = text_of_run(&adapter, task("")).await.unwrap_err();
    let words = error.words.clone().unwrap_or_default();
    assert!(words.contains("was not run") && words.contains("Landlock ABI 99 is needed"), "{error} {words}");
    assert!(!planted.exists());
}

#[tokio::test]
async fn what_confines_and_cannot_is_told_and_not_used() {
    let bench = Bench::new();
    for (lines, told) in [("echo hello", "it said: hello"), ("echo no such verb >&2; exit 2", "no such verb")] {
        let tools = Tools { folders: Vec::new(), confiner: Some(bench.script("confiner", lines).into()) };
        let stats = json!({"steps": [{"run": ["true"], "stdout": "out.txt"}], "outputs": [{"file": "out.txt"}]});
        let adapter = bench.connect_with(json!({"programs": {"text.stats": stats}}), tools).unwrap();
        let degraded = adapter.observe().await.unwrap().degraded.unwrap();
        assert!(degraded.contains("cannot confine") && degraded.contains(told), "{degraded}");
        assert!(degraded.contains("prlimit is not installed"), "{degraded}");
        assert_eq!(text_of_run(&adapter, task("")).await.unwrap(), "");
    }
}

#[tokio::test]
async fn without_the_program_that_confines_what_is_installed_is_used() {
    let bench = Bench::new();
    let program = bench.script("look", "grep NoNewPrivs /proc/self/status; ulimit -n");
    let limits = json!({"openFiles": 33});
    let stats =
        json!({"steps": [{"run": [program], "stdout": "out.txt"}], "outputs": [{"file": "out.txt"}], "limits": limits});
    let options = json!({"sandbox": "off", "programs": {"text.stats": stats}});
    let adapter = bench.connect_with(options, Tools::without_confiner()).unwrap();
    let text = text_of_run(&adapter, task("")).await.unwrap();
    let degraded = adapter.observe().await.unwrap().degraded.unwrap();
    assert_eq!(text.contains("NoNewPrivs:\t1"), !degraded.contains("setpriv is not installed"), "{text} {degraded}");
    assert_eq!(text.ends_with("\n33\n"), !degraded.contains("prlimit is not installed"), "{text} {degraded}");
}

#[tokio::test]
async fn a_program_ends_with_the_one_that_started_it() {
    let nap = format!("7{}.5", std::process::id());
    let argument = nap.clone();
    // Where Arcology is killed, its threads end; here a thread that ends stands for that.
    let starting = std::thread::spawn(move || {
        let mut command = Command::new(ARCOLOGY);
        let child = command.args(["confine", "--", "sleep", &argument]).spawn().unwrap();
        let sleeps = || std::fs::read_to_string(format!("/proc/{}/comm", child.id())).unwrap().trim() == "sleep";
        while !sleeps() {
            std::thread::yield_now();
        }
        child
    });
    let mut child = starting.join().unwrap();
    until("it is gone", || processes_with(&nap) == 0).await;
    assert_eq!(child.wait().unwrap().signal(), Some(9));
}

#[test]
fn the_verb_is_hidden_and_says_what_it_cannot_do() {
    let help = Command::new(ARCOLOGY).arg("--help").output().unwrap();
    assert!(!String::from_utf8_lossy(&help.stdout).contains("confine"));
    for (arguments, told) in [
        (&["confine", "--", "/no/such/program"][..], "/no/such/program cannot be started"),
        (&["confine", "--read", "/usr", "--", "true"], "--landlock"),
        (&["confine"], "PROGRAM"),
    ] {
        let output = Command::new(ARCOLOGY).args(arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(told), "{arguments:?}: {said}");
    }
}
