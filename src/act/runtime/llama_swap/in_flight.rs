//! The requests in flight, in the shapes of all versions. Pure.
//!
//! Up to v234 their number is told, up to v239 all of them each time, since v240 what changes. Headers, bodies and addresses
//! of clients are not kept: of the headers only the one that Arcology sets itself is read.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::core::Timestamp;
use crate::core::text::shorten;
use crate::decide::view::WorkView;

use super::wire::is_id;

/// The header by which a request of Arcology is known among those in flight.
pub(super) const MARK: &str = "x-arcology-run";
/// Requests in flight that are told apart; llama-swap allows ten a model.
const REQUESTS_MAX: usize = 10_000;
const PATH_CHARS_MAX: usize = 200;

/// The `inflight` event of every version.
#[derive(Deserialize)]
struct Update {
    operation: Option<String>,
    requests: Option<Vec<Request>>,
    request: Option<Request>,
    id: Option<Value>,
    total: Option<u32>,
}

#[derive(Deserialize)]
struct Request {
    id: Value,
    #[serde(default)]
    timestamp: Value,
    #[serde(default)]
    model: String,
    #[serde(default)]
    req_path: String,
    #[serde(default)]
    req_headers: Value,
}

/// A request in flight, and whether it is one of ours.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Work {
    pub view: WorkView,
    /// The mark that it carries.
    pub mark: Option<String>,
}

/// The requests in flight as far as they were told.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct InFlight {
    /// By id, once all of them were told.
    requests: Option<BTreeMap<String, Work>>,
    /// Their number, where only that is told.
    total: Option<u32>,
}

impl InFlight {
    /// Takes an event. None when it cannot be read, or tells more than can be.
    pub(super) fn take(&mut self, data: &str) -> Option<()> {
        let update: Update = serde_json::from_str(data).ok()?;
        match (update.operation.as_deref(), &mut self.requests) {
            // v240 and later; an empty snapshot has no `requests`.
            (Some("snapshot"), requests) => *requests = Some(all(update.requests.unwrap_or_default())),
            (Some("upsert"), Some(requests)) => {
                let (id, work) = work(update.request?);
                requests.insert(id, work);
            }
            (Some("remove"), Some(requests)) => drop(requests.remove(&id_of(&update.id?))),
            // Before the snapshot, or an operation that is to come.
            (Some(_), _) => {}
            // v235 to v239.
            (None, requests) if update.requests.is_some() => *requests = update.requests.map(all),
            // Up to v234.
            (None, _) => self.total = update.total.or(Some(0)),
        }
        if self.requests.as_ref().is_some_and(|requests| requests.len() > REQUESTS_MAX) {
            self.requests = None;
            return None;
        }
        Some(())
    }

    /// How many there are, where that is known.
    pub(super) fn count(&self) -> Option<u32> {
        self.requests.as_ref().and_then(|requests| u32::try_from(requests.len()).ok()).or(self.total)
    }

    /// All of them, the oldest first; none where only their number is told.
    pub(super) fn works(&self) -> Option<Vec<WorkView>> {
        let mut works: Vec<WorkView> = self.requests.as_ref()?.values().map(|work| work.view.clone()).collect();
        works.sort_by(|a, b| (a.since, &a.id).cmp(&(b.since, &b.id)));
        Some(works)
    }

    /// The id of the request that carries `mark`.
    pub(super) fn marked(&self, mark: &str) -> Option<&str> {
        let mut works = self.requests.iter().flat_map(BTreeMap::values);
        works.find(|work| work.mark.as_deref() == Some(mark)).map(|work| work.view.id.as_str())
    }
}

fn all(requests: Vec<Request>) -> BTreeMap<String, Work> {
    requests.into_iter().map(work).collect()
}

fn id_of(id: &Value) -> String {
    id.as_str().map_or_else(|| id.to_string(), str::to_owned)
}

fn work(request: Request) -> (String, Work) {
    let id = id_of(&request.id);
    let headers = request.req_headers.as_object().into_iter().flatten();
    let mark = headers.filter(|(name, _)| name.eq_ignore_ascii_case(MARK)).find_map(|(_, value)| value.as_str());
    let view = WorkView {
        id: shorten(&id, PATH_CHARS_MAX),
        model: if is_id(&request.model) { request.model } else { String::new() },
        since: request.timestamp.as_str().and_then(|at| at.parse::<Timestamp>().ok()),
        path: shorten(&request.req_path, PATH_CHARS_MAX),
    };
    (id, Work { view, mark: mark.map(str::to_owned) })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn after(events: &[Value]) -> InFlight {
        let mut all = InFlight::default();
        for event in events {
            all.take(&event.to_string()).unwrap();
        }
        all
    }

    fn request(id: &str, model: &str, at: u32) -> Value {
        json!({"id": id, "model": model, "timestamp": format!("2026-08-22T10:00:0{at}.123456789Z"),
            "req_path": "/v1/chat/completions", "method": "POST", "remote_ip": "192.0.2.7",
            "req_headers": {"X-Arcology-Run": format!("mark-{id}"), "Cookie": "s3cret"}})
    }

    #[test]
    fn quirk_7_in_flight_requests_are_told_apart_in_every_version_that_tells_more_than_a_number() {
        let old = after(&[json!({"total": 3})]);
        assert_eq!((old.count(), old.works()), (Some(3), None));
        let middle = after(&[json!({"requests": [request("2", "b", 5), request("1", "a", 7)]})]);
        let works = middle.works().unwrap();
        assert_eq!(works.iter().map(|work| work.model.as_str()).collect::<Vec<_>>(), ["b", "a"], "the oldest first");
        let operations = [
            json!({"operation": "upsert", "request": request("9", "too-early", 1)}),
            json!({"operation": "snapshot"}),
            json!({"operation": "upsert", "request": request("1", "a", 1)}),
            json!({"operation": "upsert", "request": request("1", "a", 1)}),
            json!({"operation": "upsert", "request": request("2", "b", 2)}),
            json!({"operation": "remove", "id": "2"}),
            json!({"operation": "dance"}),
        ];
        let new = after(&operations);
        assert_eq!((new.count(), new.works().unwrap()[0].id.as_str()), (Some(1), "1"));
    }

    #[test]
    fn neither_headers_nor_addresses_are_kept_and_a_mark_is_found() {
        let all = after(&[json!({"operation": "snapshot", "requests": [request("1", "a", 1)]})]);
        let shown = format!("{all:?}");
        assert!(!shown.contains("s3cret") && !shown.contains("192.0.2.7"), "{shown}");
        assert_eq!((all.marked("mark-1"), all.marked("mark-2")), (Some("1"), None));
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        for broken in ["7", "[]", r#"{"requests": 3}"#] {
            assert_eq!(InFlight::default().take(broken), None, "{broken}");
        }
    }
}
