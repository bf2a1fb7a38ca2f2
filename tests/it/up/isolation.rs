//! Twenty runtimes that are well and one that is not, under the real binary: while it hangs, is killed and talks nonsense, the
//! twenty are looked at and work as ever, and it is taken up again by itself.
//!
//! Nothing here is timed: what must not wait for the sick one is counted while a call of it is still on its way.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::harness::{Daemon, PATIENCE, Place, eventually};
use crate::double::openai::{Has, start, start_at};
use crate::double::port;
use crate::double::server::{Mood, Server};

const HEALTHY: usize = 20;
/// So many more looks at each of the healthy ones show that looking goes on.
const MORE_LOOKS: usize = 3;

/// The one that falls ill. It lives in a runtime of its own, so that killing it ends its connections too.
struct Sick {
    tokio: Runtime,
    server: Server,
}

impl Sick {
    fn at(address: Option<SocketAddr>) -> Self {
        let tokio = Runtime::new().unwrap();
        let address = address.unwrap_or_else(port::free);
        let server = tokio.block_on(start_at(address, Has::default()));
        Self { tokio, server }
    }

    /// Ends it as `kill -9` would: every connection breaks. Gives where it was.
    fn kill(self) -> SocketAddr {
        let address = self.server.address;
        self.tokio.shutdown_timeout(PATIENCE);
        address
    }

    fn looks(&self) -> usize {
        looks(&self.server)
    }
}

struct Ward {
    _tokio: Runtime,
    healthy: Vec<Server>,
    daemon: Daemon,
    _place: Place,
}

fn looks(server: &Server) -> usize {
    server.log().iter().filter(|(_, path)| path == "/v1/models").count()
}

fn name(n: usize) -> String {
    format!("well-{n}")
}

fn manifests(name: &str, endpoint: &str) -> String {
    format!(
        "apiVersion: arcology/v1alpha1\nkind: Host\nmetadata: {{name: {name}-host}}\nspec: {{address: 127.0.0.1}}\n\
         ---\napiVersion: arcology/v1alpha1\nkind: Runtime\nmetadata: {{name: {name}}}\nspec: {{host: {name}-host, adapter: \
         openai, endpoint: '{endpoint}', capabilities: [text.generate], observeEvery: 500ms, timeouts: {{connect: 5m, \
         run: 10m}}}}\n\
         ---\napiVersion: arcology/v1alpha1\nkind: Model\nmetadata: {{name: {name}-model}}\nspec: {{type: llm, \
         capabilities: [text.generate], servedBy: [{{runtime: {name}, as: tiny}}]}}\n"
    )
}

fn chat(name: &str) -> Value {
    json!({"capability": "text.generate", "target": {"model": format!("{name}-model")}, "inputs": {"text": "Good evening"}})
}

impl Ward {
    fn with(sick: &Sick) -> Self {
        let tokio = Runtime::new().unwrap();
        let healthy: Vec<Server> = (0..HEALTHY).map(|_| tokio.block_on(start(Has::default()))).collect();
        let place = Place::empty();
        for (n, server) in healthy.iter().enumerate() {
            place.write(&format!("manifests/{}.yaml", name(n)), &manifests(&name(n), &server.endpoint()));
        }
        place.write("manifests/sick.yaml", &manifests("sick", &sick.server.endpoint()));
        place.commit("Twenty-one runtimes");
        let daemon = place.up();
        let ward = Self { _tokio: tokio, healthy, daemon, _place: place };
        ward.sick("is well", |row| row["health"] == "Healthy");
        ward
    }

    /// Every runtime as the JSON API shows it.
    fn rows(&self) -> Vec<Value> {
        self.daemon.json("/api/v1/runtimes?limit=500")["items"].as_array().unwrap().clone()
    }

    /// Waits until the sick one's row satisfies `test`.
    fn sick(&self, what: &str, test: impl Fn(&Value) -> bool) -> Value {
        eventually(&format!("the sick one {what}"), || {
            let row = self.rows().into_iter().find(|row| row["name"] == "sick").unwrap_or_default();
            if test(&row) { Ok(row) } else { Err(format!("{row:#}")) }
        })
    }

    /// Each of the twenty is looked at several times more and does a task, and nothing is said against any of them.
    fn the_twenty_go_on(&self) {
        let before: Vec<usize> = self.healthy.iter().map(looks).collect();
        let tasks = self.daemon.submit(&(0..HEALTHY).map(|n| chat(&name(n))).collect());
        for task in &tasks {
            self.daemon.until_task(task, "is done", |task| task["state"] == "done");
        }
        for (server, before) in self.healthy.iter().zip(before) {
            eventually("it is looked at again and again", || {
                let more = looks(server) - before;
                if more >= MORE_LOOKS { Ok(()) } else { Err(format!("{more} more looks")) }
            });
        }
        for row in self.rows().iter().filter(|row| row["name"] != "sick") {
            assert_eq!(
                (&row["link"], &row["breaker"], &row["failures"]),
                (&json!("connected"), &json!("closed"), &json!(0))
            );
            assert_eq!(row["problem"], Value::Null, "{row:#}");
        }
        let said = self.daemon.log();
        let of_a_healthy_one = |line: &&str| line.contains("cannot be observed") && line.contains("well-");
        assert_eq!(said.lines().find(of_a_healthy_one), None);
    }
}

#[test]
fn one_runtime_that_hangs_is_killed_and_talks_nonsense_costs_twenty_others_nothing() {
    let sick = Sick::at(None);
    let ward = Ward::with(&sick);
    ward.the_twenty_go_on();

    // It hangs, with a run and then a look on their way.
    sick.server.misbehave("POST /v1/chat/completions", Mood::Hangs);
    let held = ward.daemon.submit(&chat("sick")).remove(0);
    ward.daemon.until_task(&held, "runs", |task| task["state"] == "running");
    let before = sick.looks();
    sick.server.misbehave("GET /v1/models", Mood::Hangs);
    eventually("a look at it hangs", || if sick.looks() > before { Ok(()) } else { Err("no look yet".to_owned()) });
    let hanging = sick.looks();
    ward.the_twenty_go_on();
    assert!(sick.looks() <= hanging + 1, "one look at a time, and that one hangs");
    let task = ward.daemon.json(&format!("/api/v1/tasks/{held}"));
    assert_eq!(task["state"], "running", "the call still hung while the others worked: {task:#}");

    // It is killed: said with its reason, and left alone after a few looks.
    let address = sick.kill();
    let row = ward.sick("is down", |row| row["breaker"] == "open");
    assert_eq!((&row["health"], &row["link"]), (&json!("Unknown"), &json!("down")), "{row:#}");
    assert!(row["reason"].as_str().unwrap().contains(&address.to_string()), "{row:#}");
    assert!(row["breaker_since"].is_string() && row["next_try_at"].is_string(), "{row:#}");
    assert!(ward.daemon.page("/runtimes/sick").contains("next look"), "a person sees when it is tried again");
    ward.the_twenty_go_on();

    // It is back and hangs: the one probe is on its way, and a person sees it.
    let sick = Sick::at(Some(address));
    sick.server.misbehave("*", Mood::Hangs);
    let row = ward.sick("is probed", |row| row["breaker"] == "half-open");
    assert!(row["breaker_since"].is_string() && row["next_try_at"].is_null(), "{row:#}");
    assert!(ward.daemon.page("/runtimes/sick").contains("one probe is on its way since"));
    ward.the_twenty_go_on();
    assert!(sick.looks() <= 1, "one probe, alone: {:?}", sick.server.log());

    // It talks nonsense, and says so in its reason.
    let sick = Sick::at(Some(sick.kill()));
    sick.server.misbehave("*", Mood::NotUtf8);
    let row = ward.sick("is not understood", |row| row["reason"].as_str().is_some_and(|it| it.contains("not UTF-8")));
    assert_eq!(row["health"], "Unknown", "{row:#}");
    ward.the_twenty_go_on();

    // It is well again, and nobody had to do anything.
    sick.server.behave();
    let row = ward.sick("is well again", |row| row["health"] == "Healthy");
    assert_eq!((&row["breaker"], &row["failures"]), (&json!("closed"), &json!(0)), "{row:#}");
    let task = ward.daemon.submit(&chat("sick")).remove(0);
    ward.daemon.until_task(&task, "is done", |task| task["state"] == "done");
    ward.the_twenty_go_on();
}
