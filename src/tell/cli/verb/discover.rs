//! `arcology discover`: looks for runtimes that run already and prints manifests for them.

use std::path::PathBuf;
use std::time::Duration;

use crate::act::discover::{Limits, Looked, Place, Programs, Seen, USUAL_PORTS, look, place};
use crate::act::telemetry::card::Card;
use crate::act::telemetry::nvml::Driver;
use crate::act::telemetry::probe::Probe;
use crate::core::Name;
use crate::core::unit::Span;
use crate::tell::cli::discover::{Finds, manifest, summary};
use crate::tell::cli::failure::{Exit, Failure, Outcome};
use crate::tell::cli::ui::Ui;

/// Look for runtimes that run already and print manifests for them
///
/// Looks at this machine, and at the hosts that are named, on the ports that runtimes usually have. Only harmless reads
/// are asked, and nothing is loaded, unloaded or written. No key is sent, unless --key-file hands one over for what is
/// named as HOST:PORT or https://HOST. The manifests go to stdout and pass `arcology validate`; what was looked at and
/// found is told on stderr.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  arcology discover                                  what runs on this machine
  arcology discover > manifests/discovered.yaml      declare it, then: arcology validate
  arcology discover attic attic:9000 --only          another machine, not this one
  arcology discover --host desk                      this machine is declared already, as Host desk
  arcology discover --only https://models.lan --key-file keys/models
                                                     over TLS, with the key in that file

Exit codes: 0 something was found, 1 nothing was, 2 usage.")]
pub struct Args {
    /// More machines to look at: HOST for the usual ports, HOST:PORT or https://HOST[:PORT] for one
    #[arg(value_name = "PLACE")]
    hosts: Vec<String>,
    /// Look at this port too, on every machine; may be given several times
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    port: Vec<u16>,
    /// Look only at the machines that are named, not at this one
    #[arg(long, requires = "hosts")]
    only: bool,
    /// This machine is declared already under this name: refer to it and print no Host for it
    #[arg(long, value_name = "NAME", value_parser = |text: &str| Name::new(text))]
    host: Option<Name>,
    /// Send the key in this file to the places that are named as HOST:PORT or https://HOST, and to no other
    #[arg(long, value_name = "FILE", requires = "hosts")]
    key_file: Option<PathBuf>,
    /// How long opening a connection may take
    #[arg(long, value_name = "SPAN", default_value = "300ms", value_parser = Span::parse)]
    timeout: Span,
    /// How to print it
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    output: Format,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    #[default]
    Yaml,
    Json,
}

/// For one answer.
const ANSWER_MAX: Duration = Duration::from_secs(2);
/// For everything.
const TOTAL_MAX: Duration = Duration::from_secs(30);
/// For what the driver of the cards says.
const CARDS_MAX: Duration = Duration::from_secs(3);
/// The most places that are looked at.
const PLACES_MAX: usize = 1_024;

pub fn run(args: &Args, ui: &mut Ui) -> Outcome {
    let places = places(args)?;
    let finds = find(args, places)?;
    let manifests = manifest::render(&finds);
    for line in summary::lines(&finds) {
        ui.say(&line);
    }
    if args.output == Format::Json {
        ui.plain(&format!("{:#}\n", summary::json(&finds, &manifests)))?;
    }
    if manifests.is_empty() {
        return Err(nothing(&finds.looked));
    }
    if args.output == Format::Yaml {
        ui.plain(&manifests)?;
        ui.say("next: arcology discover > manifests/discovered.yaml, then arcology validate, and commit it");
    }
    Ok(Exit::Fine)
}

fn places(args: &Args) -> Outcome<Vec<Place>> {
    let key_name =
        args.key_file.as_deref().map(|file| file.file_name().and_then(|name| name.to_str()).unwrap_or_default());
    if let Some(why) = key_name.and_then(|name| Name::new(name).err()) {
        let failure = Failure::usage(format!("a manifest cannot refer to a key file of this name: {why}"));
        return Err(failure.hint("give the file another name: small letters, digits and dashes"));
    }
    let ports: Vec<u16> = USUAL_PORTS.iter().map(|(port, _)| *port).chain(args.port.iter().copied()).collect();
    let here = (!args.only).then_some(place::THIS_MACHINE);
    let mut places = Vec::new();
    for text in here.into_iter().chain(args.hosts.iter().map(String::as_str)) {
        let meant = place::parse(text, &ports)
            .map_err(|why| Failure::usage(format!("`{text}` is no machine to look at: {why}")))?;
        places.extend(meant);
    }
    if args.key_file.is_some() && !places.iter().any(|place| place.is_exact) {
        let failure = Failure::usage("the key would be sent nowhere: no place is named as HOST:PORT or https://HOST");
        return Err(
            failure.hint("a key goes only to a port that was named, never to whatever else listens on that machine")
        );
    }
    // Of the same port twice, the one stays that was named.
    places.sort_by(|a, b| (&a.host, a.port, a.is_tls, b.is_exact).cmp(&(&b.host, b.port, b.is_tls, a.is_exact)));
    places.dedup_by(|a, b| (&a.host, a.port, a.is_tls) == (&b.host, b.port, b.is_tls));
    if places.len() > PLACES_MAX {
        let what = format!("{} places are more than {PLACES_MAX}", places.len());
        return Err(Failure::usage(what).hint("name fewer machines, or each with its port: HOST:PORT"));
    }
    Ok(places)
}

fn find(args: &Args, places: Vec<Place>) -> Outcome<Finds> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("cannot begin: {error}")))?;
    let limits = Limits { connect: args.timeout.get(), answer: ANSWER_MAX.max(args.timeout.get()), total: TOTAL_MAX };
    let (looked, cards) =
        runtime.block_on(async { tokio::join!(look(places, args.key_file.as_deref(), limits), cards(!args.only)) });
    let programs = match std::env::var_os("PATH") {
        Some(path) if !args.only => Programs::on(&path),
        _ => Programs::default(),
    };
    Ok(Finds { looked, programs, cards, declared_host: args.host.clone() })
}

async fn cards(is_wanted: bool) -> Option<Result<Vec<Card>, String>> {
    if !is_wanted {
        return None;
    }
    let mut probe = Probe::new("nvml", CARDS_MAX, || {
        let mut driver = Driver::new(None);
        move || driver.look()
    });
    Some(match probe.look().await {
        Ok(Ok(cards)) => Ok(cards),
        Ok(Err(fault)) => Err(fault.to_string()),
        Err(silence) => Err(silence.to_string()),
    })
}

fn nothing(looked: &[Looked]) -> Failure {
    let failure = Failure::new("no runtime was found")
        .hint("start one, or say where it is: arcology discover HOST:PORT")
        .hint("another port on every machine: arcology discover --port PORT");
    let is_stranger = |looked: &Looked| matches!(looked.seen, Seen::Stranger(_));
    if looked.iter().any(is_stranger) {
        return failure.hint("what answered and is unknown can be declared by hand, if it speaks OpenAI's protocol: docs/adapters/openai.md");
    }
    failure.hint("without any: arcology init my-state makes a repository with the built-in runtime")
}
