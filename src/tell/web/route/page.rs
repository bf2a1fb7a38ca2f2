//! The pages: rows and facts in, HTML out.

use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::{Html, Redirect};
use serde::Serialize;

use crate::core::{Digest, Kind, Name};
use crate::remember::store::row::{ArtifactRow, JournalRow};
use crate::remember::store::{AuditFilter, Page};
use crate::tell::web::api::drift::DriftFilter;
use crate::tell::web::api::runtime::RuntimeFacts;
use crate::tell::web::facts::{Facts, TaskCounts};
use crate::tell::web::preview;
use crate::tell::web::problem::Problem;
use crate::tell::web::query::Params;
use crate::tell::web::render::{self, Template};
use crate::tell::web::state::WebState;
use crate::tell::web::view;
use crate::tell::web::view::locks::{LocksQuery, Past, spans_each};

use super::api::{
    VAULT_KEYS, artifact_filter, artifacts_of, find_artifact, find_task, gpu_param, no_object, object_key, store_page,
    task_filter, used_by,
};

type Answer = Result<Html<String>, Problem>;

/// How many entries of the audit and the journal an object's page shows.
const HISTORY_SHOWN: u32 = 20;
/// How many of the newest actions are searched for those of one object.
const JOURNAL_SEARCHED: u32 = 1_000;

pub(super) async fn home(State(state): State<WebState>, uri: Uri) -> Answer {
    let params = Params::read(&uri, &["state", "capability", "runtime", "tag"])?;
    let queue = state.queue(task_query(&params)?).await;
    html(Template::Home, &view::home::page(&state.facts(), &queue))
}

pub(super) async fn drift(State(state): State<WebState>, uri: Uri) -> Answer {
    let params = Params::read(&uri, &["sync", "kind", "held", "limit", "cursor"])?;
    let filter = DriftFilter { sync: params.sync()?, kind: params.kind()?, held: params.held()? };
    let limit = params.limit(view::drift::ROWS_DEFAULT)?;
    html(Template::Drift, &view::drift::page(&state.facts(), &filter, limit, params.get("cursor")))
}

pub(super) async fn object(
    State(state): State<WebState>,
    Path((kind, name)): Path<(String, String)>,
    uri: Uri,
) -> Answer {
    Params::read(&uri, &[])?;
    let key = object_key(&kind, &name)?;
    let filter = AuditFilter { object: Some(key.to_string()), ..AuditFilter::default() };
    let audit = state.store.audit_list(filter, Page::new(Some(HISTORY_SHOWN), None)).await?.items;
    let mut journal: Vec<JournalRow> = state.store.journal(JOURNAL_SEARCHED).await?;
    journal.retain(|row| row.object == key);
    journal.truncate(HISTORY_SHOWN as usize);
    let page = view::object::page(&state.facts(), &key, &journal, &audit).ok_or_else(|| no_object(&key))?;
    html(Template::Object, &page)
}

fn task_query(params: &Params) -> Result<view::task::TaskQuery, Problem> {
    Ok(view::task::TaskQuery {
        state: params.state()?,
        capability: params.text("capability"),
        runtime: params.name("runtime")?.map(|name| name.to_string()),
        tag: params.text("tag"),
        object: params.object("object")?.map(|key| key.to_string()),
    })
}

pub(super) async fn tasks(State(state): State<WebState>, uri: Uri) -> Answer {
    let params = Params::read(&uri, &["state", "capability", "runtime", "tag", "object", "limit", "cursor"])?;
    let query = task_query(&params)?;
    let limit = params.limit(view::task::ROWS_DEFAULT)?;
    let listing = state.store.tasks(task_filter(&params)?, store_page(&params, limit)?).await?;
    let counts = state.store.task_counts().await.ok().map(TaskCounts::of);
    let turn = (params.get("cursor"), listing.next.as_deref());
    html(Template::Tasks, &view::task::list(&state.facts(), &query, counts, &listing.items, limit, turn))
}

pub(super) async fn task(State(state): State<WebState>, Path(id): Path<String>, uri: Uri) -> Answer {
    Params::read(&uri, &[])?;
    let row = find_task(&state, &id).await?;
    let attempts = state.attempts(&row.id).await?;
    let artifacts = artifacts_of(&state, &row.id).await?;
    let explanation = state.explain(&row.id).await;
    html(Template::Task, &view::task::page(&state.facts(), &row, explanation.as_ref(), &attempts, &artifacts))
}

pub(super) async fn locks(State(state): State<WebState>, uri: Uri) -> Answer {
    let params = Params::read(&uri, &["gpu", "past"])?;
    let facts = state.facts();
    let query = LocksQuery {
        gpu: gpu_param(&params, &facts)?,
        past: params.word("past", &view::locks::PASTS.map(|(word, _)| word))?,
    };
    let past = past_of(&state, &facts, &query).await;
    html(Template::Locks, &view::locks::page(&facts, &query, &past))
}

/// What the store remembers of the GPUs that are shown. What holds them now is known without it.
async fn past_of(state: &WebState, facts: &Facts, query: &LocksQuery) -> Past {
    let (gpus, since) = (query.gpus(facts), query.since(facts.now));
    let limit = spans_each(gpus.len());
    let mut past = Past::default();
    for gpu in gpus {
        match state.store.lock_spans_of(gpu.host.clone(), gpu.gpu.clone(), since, limit).await {
            Ok(spans) => past.spans.push((gpu, spans)),
            Err(error) => past.problem = Some(error.to_string()),
        }
    }
    past
}

pub(super) async fn runtime(State(state): State<WebState>, Path(name): Path<String>, uri: Uri) -> Answer {
    Params::read(&uri, &[])?;
    let unknown = || Problem::not_found(format!("no runtime is called `{name}`")).help("arcology get runtimes");
    let name = Name::new(&name).map_err(|_| unknown())?;
    let facts = state.facts();
    let page = view::runtime::page(&facts, &RuntimeFacts::of(&facts, &name)).ok_or_else(unknown)?;
    html(Template::Runtime, &page)
}

pub(super) async fn models(State(state): State<WebState>, uri: Uri) -> Answer {
    Params::read(&uri, &[])?;
    html(Template::Models, &view::model::page(&state.facts()))
}

pub(super) async fn vault(State(state): State<WebState>, uri: Uri) -> Answer {
    let params = Params::read(&uri, &VAULT_KEYS)?;
    let query = view::vault::VaultQuery {
        text: params.text("text"),
        capability: params.text("capability"),
        model: params.text("model"),
        tag: params.text("tag"),
        kind: params.text("type"),
        task: params.text("task"),
    };
    let limit = params.limit(view::vault::ROWS_DEFAULT)?;
    let listing = state.store.artifacts(artifact_filter(&params), store_page(&params, limit)?).await?;
    let turn = (params.get("cursor"), listing.next.as_deref());
    html(Template::Vault, &view::vault::list(&state.facts(), &query, &listing.items, limit, turn))
}

pub(super) async fn artifact(State(state): State<WebState>, Path(sha): Path<String>, uri: Uri) -> Answer {
    Params::read(&uri, &[])?;
    let (digest, rows) = find_artifact(&state, &sha).await?;
    let (used, searched_all) = used_by(&state, digest).await?;
    let preview = preview_of(&state, digest, &rows).await;
    let page = view::vault::page(&state.facts(), digest, &rows, (&used, searched_all), preview);
    html(Template::Artifact, &page.ok_or_else(|| Problem::not_found("no such artifact"))?)
}

pub(super) async fn audit(State(state): State<WebState>, uri: Uri) -> Answer {
    let params = Params::read(&uri, &["object", "actor", "verb", "limit", "cursor"])?;
    let query = view::audit::AuditQuery {
        object: params.text("object"),
        actor: params.text("actor"),
        verb: params.text("verb"),
    };
    let filter = AuditFilter { object: query.object.clone(), actor: query.actor.clone(), verb: query.verb.clone() };
    let limit = params.limit(view::audit::ROWS_DEFAULT)?;
    let listing = state.store.audit_list(filter, store_page(&params, limit)?).await?;
    let turn = (params.get("cursor"), listing.next.as_deref());
    html(Template::Audit, &view::audit::page(&state.facts(), &query, &listing.items, limit, turn))
}

pub(super) async fn policies() -> Redirect {
    Redirect::temporary("/drift?kind=Policy")
}

pub(super) async fn model(Path(name): Path<String>) -> Result<Redirect, Problem> {
    declared(Kind::Model, &name)
}

pub(super) async fn blueprint(Path(name): Path<String>) -> Result<Redirect, Problem> {
    declared(Kind::Blueprint, &name)
}

pub(super) async fn golden_set(Path(name): Path<String>) -> Result<Redirect, Problem> {
    declared(Kind::GoldenSet, &name)
}

/// The page of a declared object. The name is checked, so that the address cannot lead elsewhere.
fn declared(kind: Kind, name: &str) -> Result<Redirect, Problem> {
    let key = object_key(kind.as_str(), name)?;
    Ok(Redirect::temporary(&format!("/objects/{}/{}", key.kind, key.name)))
}

/// Reads as much as is shown. What cannot be read is told in the preview's place.
async fn preview_of(state: &WebState, digest: Digest, rows: &[ArtifactRow]) -> view::vault::Preview {
    let Some(newest) = rows.iter().max_by_key(|row| row.created_at) else { return view::vault::Preview::Download };
    let (vault, kind, bytes) = (state.vault.clone(), newest.kind.clone(), newest.bytes);
    let made = tokio::task::spawn_blocking(move || preview::of(&vault, digest, &kind, bytes)).await;
    made.unwrap_or_else(|_| view::vault::Preview::Gone { why: "reading it failed".into() })
}

fn html(template: Template, view: &impl Serialize) -> Answer {
    Ok(Html(render::html(template, view)?))
}
