//! `arcology lease`: takes a GPU for another program, for as long as that shows signs of life.

use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::tell::cli::args::Global;
use crate::tell::cli::client::{Client, Deaf, encode_segment};
use crate::tell::cli::failure::{Exit, Failure, Outcome};
use crate::tell::cli::read::{clock, items, joined, shown, text};
use crate::tell::cli::table::{Cell, Table};
use crate::tell::cli::ui::Ui;

/// How long one call waits for the grant before it is asked again.
const WAIT_S: u64 = 10;
/// How often it is looked whether the program has ended.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// What a shell says of a program that a signal ended: this and the signal's number.
const SIGNALLED: i32 = 128;
/// What a shell leaves with when a program is not found, and when there is one that cannot be started.
const NOT_FOUND: u8 = 127;
const NOT_STARTED: u8 = 126;

/// Take a GPU for another program
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  arcology lease run --gpu gpu0 --purpose bench -- ./bench.sh --full
  arcology lease acquire --gpu desk/gpu0 --purpose 'a game' --ttl 4h
  arcology lease list
  arcology lease release lease-0192f3a4

A lease is a lock like a task's: what runs on the GPU ends first, nothing new starts there, and models make way unless
--vram says how much memory is enough. It is taken back when its holder shows no sign of life for --ttl.")]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Hold a GPU while a program runs, and leave with what it leaves with
    #[command(after_help = "The GPU is given back when the program ends, however it ends.
Exit codes: the program's own, 128 and the signal's number when a signal ended it; 126 when it cannot be started, 127 when it is
not found, as shells say it. Without a lease: 1 not granted or no daemon, 2 usage.")]
    Run {
        #[command(flatten)]
        wish: Wish,
        /// The program and its arguments, after --
        #[arg(value_name = "CMD", required = true, last = true)]
        command: Vec<std::ffi::OsString>,
    },
    /// Take a GPU, print the lease's id, and keep it until it is released or --ttl is over
    Acquire {
        #[command(flatten)]
        wish: Wish,
        /// How to print it
        #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
        output: Format,
    },
    /// Show a sign of life: the lease lasts --ttl from now on
    Renew {
        /// The lease's id
        #[arg(value_name = "LEASE")]
        lease: String,
        /// How long it lasts without a sign of life
        #[arg(long, value_name = "TIME", default_value = "60s", value_parser = span)]
        ttl: Duration,
    },
    /// Give a GPU back
    Release {
        /// The ids of the leases
        #[arg(value_name = "LEASE", required = true)]
        leases: Vec<String>,
    },
    /// Show who holds a GPU and who waits for one
    List {
        /// How to print it
        #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
        output: Format,
    },
}

/// What is wanted.
#[derive(Debug, clap::Args)]
struct Wish {
    /// The GPU, as HOST/GPU, or GPU alone where one host has it; several are taken together
    #[arg(long = "gpu", value_name = "GPU", required_unless_present = "host")]
    gpus: Vec<String>,
    /// Every GPU of a host
    #[arg(long, value_name = "HOST", conflicts_with = "gpus")]
    host: Option<String>,
    /// What for: others read it while they wait
    #[arg(long, value_name = "TEXT")]
    purpose: String,
    /// Take a shared slot beside others instead of the whole GPU
    #[arg(long)]
    shared: bool,
    /// GPU memory that is enough, in GB, on each GPU; otherwise all of it is made free
    #[arg(long, value_name = "GB", value_parser = gigabytes)]
    vram: Option<f64>,
    /// Take it although the policy keeps the copilot there
    #[arg(long)]
    force: bool,
    /// Higher goes first, among tasks and leases alike
    #[arg(long, value_name = "NUMBER", default_value_t = 0, allow_negative_numbers = true)]
    priority: i32,
    /// How long it lasts without a sign of life
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = span)]
    ttl: Duration,
    /// Give up when it is not granted within this time [default: wait for ever]
    #[arg(long, value_name = "TIME", value_parser = span)]
    within: Option<Duration>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    #[default]
    Text,
    Json,
}

fn span(text: &str) -> Result<Duration, String> {
    let span = crate::core::unit::Span::parse(text).map_err(|error| error.to_string())?.get();
    if span < Duration::from_secs(1) { Err("at least a second".to_owned()) } else { Ok(span) }
}

fn gigabytes(text: &str) -> Result<f64, String> {
    let gb: f64 = text.parse().map_err(|_| "a number of GB, such as 8 or 7.5".to_owned())?;
    // What is no number would be lost on the way to the daemon, and stand for all of the memory there.
    if gb.is_finite() && gb >= 0.0 { Ok(gb) } else { Err("not an amount of memory".to_owned()) }
}

pub fn run(args: Args, global: &Global, ui: &mut Ui) -> Outcome {
    lease(args.what, global, ui).map_err(Failure::plain)
}

fn lease(what: What, global: &Global, ui: &mut Ui) -> Outcome {
    let client = Client::find(global)?;
    match what {
        What::Run { wish, command } => hold_while(&client, &wish, &command, ui),
        What::Acquire { wish, output } => {
            let lease = acquire(&client, &wish, ui)?;
            match output {
                Format::Json => ui.plain(&format!("{lease:#}\n"))?,
                Format::Text => ui.plain(&format!("{}\n", shown(&lease, "id")))?,
            }
            Ok(Exit::Fine)
        }
        What::Renew { lease, ttl } => {
            renew(&client, &lease, ttl)?;
            Ok(Exit::Fine)
        }
        What::Release { leases } => {
            for lease in &leases {
                release(&client, lease)?;
                ui.plain(&format!("{lease} is given back\n"))?;
            }
            Ok(Exit::Fine)
        }
        What::List { output } => {
            let answer = client.get("/v1/leases")?;
            match output {
                Format::Json => ui.plain(&format!("{answer:#}\n"))?,
                Format::Text => list(&answer, ui)?,
            }
            Ok(Exit::Fine)
        }
    }
}

/// The GPUs by their whole names.
fn gpus(client: &Client, wish: &Wish) -> Outcome<Vec<String>> {
    if wish.host.is_none() && wish.gpus.iter().all(|gpu| gpu.contains('/')) {
        return Ok(wish.gpus.clone());
    }
    let resources = client.get("/api/v1/resources")?;
    whole_names(&resources, wish)
}

fn whole_names(resources: &Value, wish: &Wish) -> Outcome<Vec<String>> {
    let known: Vec<(String, String)> =
        items(resources, "gpus").map(|gpu| (shown(gpu, "host"), shown(gpu, "id"))).collect();
    let whole = |(host, gpu): &(String, String)| format!("{host}/{gpu}");
    let all = || known.iter().map(whole).collect::<Vec<_>>();
    if let Some(host) = &wish.host {
        let of_host: Vec<String> = known.iter().filter(|(known, _)| known == host).map(whole).collect();
        if of_host.is_empty() {
            return Err(Failure::new(format!("no GPU of a host `{host}` is declared")).hint(declared(&all())));
        }
        return Ok(of_host);
    }
    let resolve = |wanted: &String| {
        if wanted.contains('/') {
            return Ok(wanted.clone());
        }
        let found: Vec<String> = known.iter().filter(|(_, gpu)| gpu == wanted).map(whole).collect();
        match found.as_slice() {
            [one] => Ok(one.clone()),
            [] => Err(Failure::new(format!("no GPU `{wanted}` is declared")).hint(declared(&all()))),
            many => Err(Failure::usage(format!("several hosts have a GPU `{wanted}`"))
                .hint(format!("say which: {}", many.join(", ")))),
        }
    };
    wish.gpus.iter().map(resolve).collect()
}

fn declared(all: &[String]) -> String {
    if all.is_empty() {
        "no GPU is declared: a Host lists its GPUs".to_owned()
    } else {
        format!("declared are {}", all.join(", "))
    }
}

/// Asks for the lease and waits for the grant.
fn acquire(client: &Client, wish: &Wish, ui: &mut Ui) -> Outcome<Value> {
    let gpus = gpus(client, wish)?;
    let began = Instant::now();
    let first_wait = wish.within.map_or(WAIT_S, |within| within.as_secs().min(WAIT_S));
    let body = json!({
        "gpus": gpus, "purpose": wish.purpose, "exclusive": !wish.shared, "vram_gb": wish.vram, "force": wish.force,
        "priority": wish.priority, "ttl_s": wish.ttl.as_secs(), "wait_s": 0, "confirm": true,
    });
    let mut lease = client.post("/v1/leases", &body)?;
    let id = shown(&lease, "id");
    let mut beat = Heartbeat::new(wish.ttl);
    let mut told = None;
    while lease["granted"] != true {
        if wish.within.is_some_and(|within| began.elapsed() >= within) {
            release(client, &id)?;
            let why = text(&lease, "why.message").unwrap_or_else(|| "it was not granted in time".to_owned());
            return Err(Failure::new(format!("{} is not free: {why}", gpus.join(", "))).hint("arcology lease list"));
        }
        let why = text(&lease, "why.message").map(|why| format!(": {why}")).unwrap_or_default();
        let line = format!("waiting for {}{why}", gpus.join(", "));
        let reason = text(&lease, "why.reason");
        if !ui.shows_progress() && told != reason {
            // A log has no line that changes: each reason is told once.
            ui.say(&line);
            told = reason;
        } else {
            ui.progress(&line);
        }
        std::thread::sleep(LOOK_EVERY.min(Duration::from_secs(first_wait)));
        beat.show(client, &id)?;
        lease = find(client, &id)?;
    }
    Ok(lease)
}

fn find(client: &Client, id: &str) -> Outcome<Value> {
    let all = client.get("/v1/leases")?;
    let found = items(&all, "items").find(|lease| shown(lease, "id") == id).cloned();
    found.ok_or_else(|| Failure::new(format!("{id} was taken back before it was granted")).hint("arcology lease list"))
}

fn renew(client: &Client, id: &str, ttl: Duration) -> Outcome<Value> {
    client.post(&format!("/v1/leases/{}/renew", encode_segment(id)), &json!({"ttl_s": ttl.as_secs()}))
}

fn release(client: &Client, id: &str) -> Outcome<Value> {
    client.post(&format!("/v1/leases/{}/release", encode_segment(id)), &json!({}))
}

/// Signs of life, three in the time that the lease lasts without one.
struct Heartbeat {
    ttl: Duration,
    last: Instant,
}

impl Heartbeat {
    fn new(ttl: Duration) -> Self {
        Self { ttl, last: Instant::now() }
    }

    fn show(&mut self, client: &Client, id: &str) -> Outcome<()> {
        if self.last.elapsed() >= self.ttl / 3 {
            self.last = Instant::now();
            renew(client, id, self.ttl)?;
        }
        Ok(())
    }
}

/// Runs the program while the lease is held. What a terminal sends (SIGINT) reaches the program as well as us, and SIGTERM is
/// passed on; we stay until it ends, so that the lease is given back in any case but our own sudden death, and then it runs out.
fn hold_while(client: &Client, wish: &Wish, command: &[std::ffi::OsString], ui: &mut Ui) -> Outcome {
    let lease = acquire(client, wish, ui)?;
    let mut deaf = client.deaf_to_signals()?;
    let id = shown(&lease, "id");
    ui.say(&format!("{id} holds {} for {}", joined(&lease, "gpus"), wish.purpose));
    let Some((program, arguments)) = command.split_first() else { return Err(Failure::usage("no program is named")) };
    let spawned = Command::new(program).args(arguments).env("ARCOLOGY_LEASE", &id).spawn();
    let ended = match spawned {
        Ok(child) => to_its_end(client, &id, wish.ttl, child, &mut deaf, ui),
        Err(error) => Err(unstarted(&error).at(program.to_string_lossy())),
    };
    let released = release(client, &id);
    drop(deaf);
    let status = ended?;
    if let Err(failure) = released {
        ui.fail(&failure);
    }
    Ok(Exit::Program(code_of(status)))
}

fn to_its_end(
    client: &Client,
    id: &str,
    ttl: Duration,
    mut child: Child,
    deaf: &mut Deaf,
    ui: &mut Ui,
) -> Outcome<ExitStatus> {
    let mut beat = Heartbeat::new(ttl);
    let mut is_told = false;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) => {}
            Err(error) => return Err(Failure::new(format!("the program cannot be waited for: {error}"))),
        }
        if client.pause(LOOK_EVERY, deaf) {
            let pid = rustix::process::Pid::from_child(&child);
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        // A daemon that is away for a while takes up its leases when it is back; the program goes on meanwhile.
        match beat.show(client, id) {
            Ok(()) => is_told = false,
            Err(failure) if !is_told => {
                ui.fail(&failure);
                ui.say("the program goes on; the lease runs out unless the daemon answers again in time");
                is_told = true;
            }
            Err(_) => {}
        }
    }
}

/// As a shell says it: a script can tell a program that is missing from one that failed.
fn unstarted(error: &std::io::Error) -> Failure {
    if error.kind() == std::io::ErrorKind::NotFound {
        let failure = Failure::new("there is no such program").detail(error).exit(Exit::Program(NOT_FOUND));
        return failure.hint("name it by its path, or one that PATH leads to");
    }
    Failure::new(format!("it cannot be started: {error}")).exit(Exit::Program(NOT_STARTED))
}

/// As a shell says it.
fn code_of(status: ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt as _;
    let code = status.code().or_else(|| Some(SIGNALLED + status.signal()?)).unwrap_or(1);
    u8::try_from(code).unwrap_or(1)
}

fn list(answer: &Value, ui: &mut Ui) -> Outcome<()> {
    let mut table = Table::new(&["LEASE", "GPUS", "KIND", "HOLDER", "PURPOSE", "STATE", "UNTIL"]);
    for lease in items(answer, "items") {
        let state = if lease["granted"] == true {
            "held".to_owned()
        } else {
            text(lease, "why.message").map_or_else(|| "waits".to_owned(), |why| format!("waits: {why}"))
        };
        let kind = if lease["exclusive"] == true { "exclusive" } else { "shared" };
        let until = clock(lease, "until").map(|at| at.to_string()).unwrap_or_default();
        let cells = [
            shown(lease, "id"),
            joined(lease, "gpus"),
            kind.to_owned(),
            shown(lease, "holder"),
            shown(lease, "purpose"),
            state,
            until,
        ];
        table.row(cells.iter().map(Cell::new));
    }
    if table.is_empty() {
        ui.say("no lease is held or waited for");
        return Ok(());
    }
    let text = table.render(ui.width(), ui.paint());
    Ok(ui.data(&text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(gpus: &[&str], host: Option<&str>) -> Wish {
        Wish {
            gpus: gpus.iter().map(ToString::to_string).collect(),
            host: host.map(Into::into),
            purpose: "bench".into(),
            shared: false,
            vram: None,
            force: false,
            priority: 0,
            ttl: Duration::from_secs(60),
            within: None,
        }
    }

    #[test]
    fn memory_is_a_number_that_can_be_had() {
        assert_eq!(gigabytes("7.5"), Ok(7.5));
        for wrong in ["nan", "inf", "-1", "8 GB", ""] {
            assert!(gigabytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_gpu_alone_is_enough_where_one_host_has_it() {
        let resources = json!({"gpus": [{"host": "desk", "id": "gpu0"}, {"host": "lab", "id": "gpu0"}, {"host": "lab", "id": "gpu1"}]});
        assert_eq!(whole_names(&resources, &wish(&["gpu1", "desk/gpu0"], None)).unwrap(), ["lab/gpu1", "desk/gpu0"]);
        assert_eq!(whole_names(&resources, &wish(&[], Some("lab"))).unwrap(), ["lab/gpu0", "lab/gpu1"]);
        let failure = whole_names(&resources, &wish(&["gpu0"], None)).unwrap_err();
        assert_eq!((failure.exit, failure.hints[0].as_str()), (Exit::Usage, "say which: desk/gpu0, lab/gpu0"));
        let failure = whole_names(&resources, &wish(&["gpu7"], None)).unwrap_err();
        assert_eq!(failure.hints[0], "declared are desk/gpu0, lab/gpu0, lab/gpu1");
        assert!(whole_names(&json!({"gpus": []}), &wish(&[], Some("desk"))).unwrap_err().hints[0].contains("no GPU"));
    }

    #[test]
    fn it_leaves_with_what_the_program_left_with() {
        use std::os::unix::process::ExitStatusExt as _;
        assert_eq!(code_of(ExitStatus::from_raw(7 << 8)), 7);
        assert_eq!(code_of(ExitStatus::from_raw(15)), 143, "ended by SIGTERM");
    }

    #[test]
    fn times_are_written_with_their_units() {
        assert_eq!(span("4h"), Ok(Duration::from_secs(14_400)));
        assert!(span("100ms").is_err() && span("5").is_err());
    }
}
