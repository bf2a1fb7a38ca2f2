//! Looking at many places at once, within bounds: each is asked as long as its answers leave a question open.
//!
//! Bounded: the time to connect, the time of an answer, the time of everything, the size of an answer, the questions for
//! a place and the places at once. Redirects are not followed, and no key is sent anywhere.

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream;
use serde_json::{Value, json};

use crate::act::http::{Client, Error, Options, Request};
use crate::act::runtime::exec::Tools;
use crate::act::runtime::{Places, connect};
use crate::core::Name;
use crate::decide::view::RuntimeView;
use crate::declare::manifest::kind::runtime::RuntimeSpec;

use super::judge::{Recognized, Verdict, judge};
use super::place::Place;
use super::question::{Answers, Heard, Question};

/// Places that are asked at once.
const AT_ONCE_MAX: usize = 32;
/// The largest answer that is read while it is not known who answers.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// How long looking may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// To open a connection.
    pub connect: Duration,
    /// For one answer.
    pub answer: Duration,
    /// For everything.
    pub total: Duration,
}

/// A place and what is there.
#[derive(Clone, Debug, PartialEq)]
pub struct Looked {
    pub place: Place,
    pub seen: Seen,
}

/// What is at a place.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    /// Nobody listens, or nobody can be reached.
    Nothing,
    /// Somebody who is no runtime that is known, and what they did.
    Stranger(String),
    Runtime(Box<Found>),
    /// Time ran out before it could be asked.
    OutOfTime,
}

/// A runtime that was recognized.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    pub recognized: Recognized,
    /// The name of the file whose key was sent there.
    pub key_file: Option<String>,
    /// What its adapter read, or why it could not.
    pub view: Result<RuntimeView, String>,
}

/// Looks at every place and says what is there, in the order of `places`. The key in the file `key` is sent to those that are
/// exact.
pub async fn look(places: Vec<Place>, key: Option<&Path>, limits: Limits) -> Vec<Looked> {
    let until = tokio::time::Instant::now() + limits.total;
    stream::iter(places)
        .map(|place| async move {
            let key = key.filter(|_| place.is_exact);
            let seen = tokio::time::timeout_at(until, look_at(&place, key, limits)).await.unwrap_or(Seen::OutOfTime);
            Looked { place, seen }
        })
        .buffered(AT_ONCE_MAX)
        .collect()
        .await
}

async fn look_at(place: &Place, key: Option<&Path>, limits: Limits) -> Seen {
    let options = Options {
        connect: limits.connect,
        total: limits.answer,
        body_bytes_max: ANSWER_BYTES_MAX,
        token_file: key.map(Path::to_owned),
    };
    let client = match Client::new(&place.endpoint(), options) {
        Ok(client) => client,
        Err(error) => return Seen::Stranger(error.to_string()),
    };
    let mut answers = Answers::new();
    loop {
        let question = match judge(&answers) {
            Ok(Verdict::Stranger(why)) => return Seen::Stranger(why),
            Ok(Verdict::Runtime(recognized)) => {
                let view = read(place, &recognized, key, limits).await;
                let key_file = key.and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
                return Seen::Runtime(Box::new(Found { recognized, key_file, view }));
            }
            Err(question) => question,
        };
        match client.send(Request::get(question.path())).await {
            Ok(answer) => {
                let json = answer.json::<Value>().unwrap_or_default();
                answers.insert(question, Heard { status: answer.status, json, is_empty: answer.body.is_empty() });
            }
            // Whoever does not even answer the first question is asked no second one.
            Err(error) if question == Question::Models => return unheard(&error, place),
            Err(_) => drop(answers.insert(question, Heard::default())),
        }
    }
}

fn unheard(error: &Error, place: &Place) -> Seen {
    match error {
        // A certificate that is not trusted looks like this, too.
        Error::Connect { .. } if place.is_tls => Seen::Stranger(error.to_string()),
        Error::Token { .. } => Seen::Stranger(error.to_string()),
        Error::Connect { .. } | Error::Address { .. } => Seen::Nothing,
        Error::Timeout { after, .. } => {
            Seen::Stranger(format!("it takes the connection and says nothing for {} ms", after.as_millis()))
        }
        Error::Broken { .. } => Seen::Stranger("it speaks no HTTP, or only with TLS".to_owned()),
        Error::Redirect { target, .. } => Seen::Stranger(format!("it sends whoever asks to {target}")),
        Error::TooLarge { limit_bytes, .. } => Seen::Stranger(format!("its answer is larger than {limit_bytes} bytes")),
        Error::NotUtf8 { .. } | Error::NotJson { .. } => Seen::Stranger("its answer cannot be read".to_owned()),
    }
}

/// What the runtime's own adapter reads there.
async fn read(
    place: &Place,
    recognized: &Recognized,
    key: Option<&Path>,
    limits: Limits,
) -> Result<RuntimeView, String> {
    if recognized.needs_key {
        let why = if key.is_some() { "it refuses this key" } else { "it tells its models only to who has a key" };
        return Err(why.to_owned());
    }
    if !recognized.adapter.is_driven() {
        return Err("this version does not drive it yet".to_owned());
    }
    let spec = spec(place, recognized, key, limits)?;
    let name = Name::new("found").map_err(|error| error.to_string())?;
    // Nothing is kept, and of the credentials only the key that was handed over is read.
    let credentials_dir = key.and_then(Path::parent).map(Path::to_owned).unwrap_or_default();
    let places = Places { credentials_dir, state_dir: PathBuf::new(), tools: Tools::without_confiner() };
    let adapter = connect(&name, &spec, &places).map_err(|error| error.to_string())?;
    adapter.observe().await.map_err(|error| error.to_string())
}

fn spec(place: &Place, recognized: &Recognized, key: Option<&Path>, limits: Limits) -> Result<RuntimeSpec, String> {
    let mut spec = json!({
        "host": "found", "adapter": recognized.adapter.as_str(), "endpoint": place.endpoint(),
        "timeouts": {"connect": format!("{}ms", limits.answer.as_millis().max(1))},
    });
    if let Some(server) = recognized.server {
        spec["options"] = json!({"server": server});
    }
    if let Some(file) = key.and_then(Path::file_name) {
        spec["auth"] = json!({"tokenFrom": {"file": file.to_string_lossy()}});
    }
    serde_json::from_value(spec).map_err(|error| error.to_string())
}
