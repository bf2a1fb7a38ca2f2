//! The list of finished requests: what it says of a run, and whether entries of it were missed.
//!
//! Every entry has a number, and the numbers follow each other. An event tells the number of a new one; so a hole is seen,
//! and what llama-swap still lists of it is not lost. Up to v235 the list is one bare array, since then it has pages.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde::Deserialize;

use crate::act::http::Client;
use crate::act::runtime::adapter::{Fault, RuntimeError};

use super::paths::{Look, look};

/// The most entries that are looked through for one run.
const OF_A_RUN_MAX: usize = 200;
/// The most entries that a version lists at once.
const PAGE_MAX: usize = 999;
/// How often the list is read until the entry of a run that has just ended is in it.
const LOOKS_FOR_A_RUN: u32 = 4;
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// How long the list may take before a run does without it.
const PATIENCE: Duration = Duration::from_secs(2);

/// A finished request. What it was asked and what it answered is not in the list.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Row {
    pub id: u64,
    pub timestamp: String,
    pub model: String,
    pub req_path: String,
    pub resp_status_code: u16,
    tokens: Tokens,
    duration_ms: f64,
    pub has_capture: bool,
}

/// Counts and speeds; -1 stands for what is not known.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Tokens {
    cache_tokens: f64,
    draft_tokens: f64,
    draft_acc_tokens: f64,
    input_tokens: f64,
    output_tokens: f64,
    prompt_per_second: f64,
    tokens_per_second: f64,
}

impl Row {
    /// The figures that are known, by the names that outcomes use. A count of nothing is only one where there was an answer.
    pub(super) fn figures(&self) -> impl Iterator<Item = (&'static str, f64)> {
        let count = |of: f64| Some(of).filter(|of| of.is_finite() && *of >= 0.0);
        let some = |of: f64| Some(of).filter(|of| of.is_finite() && *of > 0.0);
        let tokens = &self.tokens;
        [
            ("prompt_tokens", some(tokens.input_tokens)),
            ("tokens", some(tokens.output_tokens)),
            ("cached_tokens", some(tokens.cache_tokens)),
            ("drafted_tokens", some(tokens.draft_tokens)),
            ("drafted_tokens_accepted", some(tokens.draft_tokens).and(count(tokens.draft_acc_tokens))),
            ("prompt_tokens_per_s", some(tokens.prompt_per_second)),
            ("tokens_per_s", some(tokens.tokens_per_second)),
            ("runtime_ms", count(self.duration_ms)),
        ]
        .into_iter()
        .filter_map(|(name, of)| Some((name, of?)))
    }
}

/// The list as newer versions answer it.
#[derive(Debug, Default, Deserialize)]
struct Page {
    data: Option<Vec<Row>>,
}

/// The newest entries, the newest first: of the `limit` newest those from number `from` to number `to`, where a version takes
/// no bounds, and else up to `limit` within them.
async fn newest(client: &Client, from: u64, to: Option<u64>, limit: usize) -> Result<Vec<Row>, RuntimeError> {
    let mut query = format!("?sort=id&order=desc&limit={limit}");
    // Up to v250 bounds are passed over. Since then one of 0, which excludes nothing, is an error.
    for (bound, number) in [("min_id", Some(from)), ("max_id", to)] {
        if let Some(number) = number.filter(|number| *number > 0) {
            query.push_str(&format!("&{bound}={number}"));
        }
    }
    let mut rows = match look(client, Look::Activity, &query).await {
        Ok(answer) => answer.json::<Page>()?.data,
        Err(error) if error.fault == Fault::NotFound => look(client, Look::Metrics, "").await?.json()?,
        Err(error) => return Err(error),
    }
    .unwrap_or_default();
    rows.retain(|row| row.id >= from && to.is_none_or(|to| row.id <= to));
    rows.sort_by_key(|row| std::cmp::Reverse(row.id));
    rows.truncate(limit);
    Ok(rows)
}

/// The place in the list after which the entry of a request will be that is sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Before(Option<u64>);

/// Where the list ends now. None where there is no list, or none in good time.
pub(super) async fn before(client: &Client) -> Option<Before> {
    let newest = tokio::time::timeout(PATIENCE, newest(client, 0, None, 1)).await.ok()?.ok()?;
    Some(Before(newest.first().map(|row| row.id)))
}

/// The request whose entry is looked for.
#[derive(Debug)]
pub(super) struct Sent<'a> {
    pub path: &'a str,
    /// The real name of its model.
    pub model: &'a str,
    /// What its answer said of its tokens, where it said so.
    pub prompt_tokens: Option<f64>,
    pub tokens: Option<f64>,
    pub succeeded: bool,
}

/// The entry of the request that was sent after `before`. None unless exactly one can be it: another's figures would be worse
/// than none.
pub(super) async fn of_run(client: &Client, before: Before, sent: &Sent<'_>) -> Option<Row> {
    let from = before.0.map_or(0, |id| id.saturating_add(1));
    let search = async {
        for again in 0..LOOKS_FOR_A_RUN {
            if again > 0 {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            let rows = newest(client, from, None, OF_A_RUN_MAX).await.ok()?;
            let whole = rows.len() < OF_A_RUN_MAX;
            let mut fitting = rows.iter().filter(|row| fits(row, sent));
            match (fitting.next(), fitting.next()) {
                (Some(only), None) if whole => return Some(only.clone()),
                (Some(_), _) => return None,
                (None, _) => {}
            }
        }
        None
    };
    tokio::time::timeout(PATIENCE, search).await.ok()?
}

fn fits(row: &Row, sent: &Sent<'_>) -> bool {
    let agrees = |told: Option<f64>, listed: f64| told.is_none_or(|told| listed <= 0.0 || (told - listed).abs() < 0.5);
    row.model == sent.model
        && row.req_path == sent.path
        && (row.resp_status_code == 200) >= sent.succeeded
        && agrees(sent.prompt_tokens, row.tokens.input_tokens)
        && agrees(sent.tokens, row.tokens.output_tokens)
}

/// What is known of the list, for as long as the runtime is driven: also while nobody listens.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Known {
    /// None before the list was read for the first time.
    newest: Option<Newest>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Newest {
    /// None while the list is empty.
    id: Option<u64>,
    /// When that request ended; none when only its number was told.
    at: Option<String>,
}

/// Entries that were never told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missed {
    Nothing,
    Entries(u64),
    /// The numbers began anew: nobody knows.
    Unknown,
}

impl Known {
    /// Notes the number of a new entry; gives the numbers between it and the one before, if there are any.
    pub(super) fn told(&mut self, id: u64) -> Option<RangeInclusive<u64>> {
        let last = self.newest.as_ref()?.id;
        let next = last.map_or(id, |last| last.saturating_add(1));
        if id < next {
            return None;
        }
        self.newest = Some(Newest { id: Some(id), at: None });
        (id > next).then(|| next..=id - 1)
    }

    /// Notes what the list says: its entries from the one known last on, the newest first.
    fn listed(&mut self, rows: &[Row]) -> Missed {
        let newest = rows.first();
        let now = Newest { id: newest.map(|row| row.id), at: newest.map(|row| row.timestamp.clone()) };
        let Some(Newest { id: Some(id), at }) = self.newest.replace(now) else { return Missed::Nothing };
        let last = rows.iter().position(|row| row.id == id);
        // The number alone could be another's, if they began anew.
        let same = last.filter(|last| at.is_none_or(|at| at == rows[*last].timestamp));
        match same.zip(newest) {
            Some((after, newest)) if newest.id - id == after as u64 => Missed::Nothing,
            Some((after, newest)) => Missed::Entries((newest.id - id).saturating_sub(after as u64)),
            None => Missed::Unknown,
        }
    }
}

/// Reads the end of the list after a time in which nobody listened.
pub(super) async fn catch_up(client: &Client, known: &mut Known) -> Result<Missed, RuntimeError> {
    let last = known.newest.as_ref().and_then(|known| known.id);
    let limit = if last.is_some() { PAGE_MAX } else { 1 };
    let mut rows = newest(client, last.unwrap_or(0), None, limit).await?;
    if rows.is_empty() && last.is_some() {
        rows = newest(client, 0, None, 1).await?;
    }
    Ok(known.listed(&rows))
}

/// How many entries of `hole` llama-swap cannot tell any more.
pub(super) async fn lost(client: &Client, hole: RangeInclusive<u64>) -> u64 {
    let all = (hole.end() - hole.start()).saturating_add(1);
    let listed = newest(client, *hole.start(), Some(*hole.end()), PAGE_MAX).await;
    all.saturating_sub(listed.map_or(0, |rows| rows.len() as u64))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn row(id: u64, more: Value) -> Row {
        let mut row = json!({"id": id, "timestamp": format!("t{id}"), "model": "a", "req_path": "/p",
            "resp_status_code": 200, "duration_ms": 1320,
            "tokens": {"cache_tokens": -1, "draft_tokens": -1, "draft_acc_tokens": -1, "input_tokens": 31,
                "output_tokens": 120, "prompt_per_second": -1, "tokens_per_second": 96.2}});
        row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(row).unwrap()
    }

    #[test]
    fn what_is_unknown_is_absent_from_the_figures() {
        let figures: Vec<_> = row(1, json!({})).figures().collect();
        let told = [("prompt_tokens", 31.0), ("tokens", 120.0), ("tokens_per_s", 96.2), ("runtime_ms", 1320.0)];
        assert_eq!(figures, told);
        assert_eq!(Row::default().figures().collect::<Vec<_>>(), [("runtime_ms", 0.0)]);
    }

    #[test]
    fn only_an_entry_that_agrees_with_the_answer_can_be_that_of_a_run() {
        let sent =
            |tokens| Sent { path: "/p", model: "a", prompt_tokens: Some(31.0), tokens: Some(tokens), succeeded: true };
        assert!(fits(&row(1, json!({})), &sent(120.0)));
        assert!(!fits(&row(1, json!({})), &sent(119.0)));
        assert!(fits(&row(1, json!({"tokens": {"output_tokens": -1}})), &sent(120.0)), "unknown is no contradiction");
        for other in [json!({"model": "b"}), json!({"req_path": "/q"}), json!({"resp_status_code": 500})] {
            assert!(!fits(&row(1, other.clone()), &sent(120.0)), "{other}");
        }
        let failed = Sent { succeeded: false, tokens: None, prompt_tokens: None, ..sent(0.0) };
        assert!(fits(&row(1, json!({"resp_status_code": 500})), &failed));
    }

    #[test]
    fn a_hole_in_the_numbers_is_seen_once_and_what_came_twice_is_nothing_new() {
        let mut known = Known::default();
        assert_eq!(known.told(7), None, "the list was not read yet");
        assert_eq!(known.listed(&[row(7, json!({}))]), Missed::Nothing);
        for (id, hole) in [(7, None), (8, None), (11, Some(9..=10)), (9, None), (10, None), (12, None)] {
            assert_eq!(known.told(id), hole, "{id}");
        }
        let mut empty = Known { newest: Some(Newest::default()) };
        assert_eq!(empty.told(0), None, "the first number differs by version");
    }

    #[test]
    fn after_a_time_without_listening_only_what_is_no_longer_listed_is_missed() {
        let known = Known { newest: Some(Newest { id: Some(7), at: Some("t7".into()) }) };
        let rows = |ids: &[u64]| ids.iter().map(|id| row(*id, json!({}))).collect::<Vec<_>>();
        for (ids, missed) in [
            (&[7][..], Missed::Nothing),
            (&[9, 8, 7], Missed::Nothing),
            (&[12, 11, 7], Missed::Entries(3)),
            // The last one known is no longer there, or the numbers began anew.
            (&[12, 11], Missed::Unknown),
            (&[3], Missed::Unknown),
            (&[], Missed::Unknown),
        ] {
            assert_eq!(known.clone().listed(&rows(ids)), missed, "{ids:?}");
        }
        let anew = [row(8, json!({})), row(7, json!({"timestamp": "t9"}))];
        assert_eq!(known.clone().listed(&anew), Missed::Unknown);
    }
}
