//! `/api/v1`: the JSON of every page. Served to browsers behind the guard, and to the command line on the control socket.

use axum::extract::{Path, State};
use axum::http::Uri;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use serde_json::Value;

use crate::core::{Digest, Kind, Name, ObjectKey};
use crate::decide::scheduler::GpuId;
use crate::decide::scheduler::view::Explanation;
use crate::remember::store::row::{ArtifactRow, AuditRow, TaskRow, TaskState};
use crate::remember::store::{ArtifactFilter, AuditFilter, Page, TaskFilter};
use crate::tell::web::api::artifact::{ArtifactBody, ArtifactItem, inputs_of};
use crate::tell::web::api::drift::{self, DriftFilter, DriftRow};
use crate::tell::web::api::list::{self, LIMIT_DEFAULT, List};
use crate::tell::web::api::lock::{self, LockQuery, LockRow};
use crate::tell::web::api::model::{self, ModelRow};
use crate::tell::web::api::object::ObjectBody;
use crate::tell::web::api::openapi;
use crate::tell::web::api::resources::{self, Resources};
use crate::tell::web::api::runtime::{self, RuntimeRow};
use crate::tell::web::api::status::Status;
use crate::tell::web::api::task::TaskStatus;
use crate::tell::web::api::why::WhyBody;
use crate::tell::web::facts::Facts;
use crate::tell::web::outlook::Outlooks;
use crate::tell::web::problem::Problem;
use crate::tell::web::query::Params;
use crate::tell::web::state::WebState;
use crate::tell::web::view::task::TaskQuery;

type Answer<T> = Result<Json<T>, Problem>;

/// How many of the newest artifacts are searched for what was made from another one.
const USED_BY_SEARCHED: u32 = 500;

/// Every path, as the router writes it.
pub const PATHS: [&str; 14] = [
    "/api/v1/status",
    "/api/v1/resources",
    "/api/v1/runtimes",
    "/api/v1/models",
    "/api/v1/tasks",
    "/api/v1/tasks/{id}",
    "/api/v1/tasks/{id}/why",
    "/api/v1/locks",
    "/api/v1/drift",
    "/api/v1/artifacts",
    "/api/v1/artifacts/{sha}",
    "/api/v1/audit",
    "/api/v1/objects/{kind}/{name}",
    "/api/v1/openapi.json",
];

/// The read-only JSON API. It has no fallback and no guard of its own, so that it can stand beside other routes.
pub fn router(state: WebState) -> Router {
    Router::new()
        .route("/api/v1/status", get(status))
        .route("/api/v1/resources", get(resources))
        .route("/api/v1/runtimes", get(runtimes))
        .route("/api/v1/models", get(models))
        .route("/api/v1/tasks", get(tasks))
        .route("/api/v1/tasks/{id}", get(task))
        .route("/api/v1/tasks/{id}/why", get(why))
        .route("/api/v1/locks", get(locks))
        .route("/api/v1/drift", get(drift))
        .route("/api/v1/artifacts", get(artifacts))
        .route("/api/v1/artifacts/{sha}", get(artifact))
        .route("/api/v1/audit", get(audit))
        .route("/api/v1/objects/{kind}/{name}", get(object))
        .route("/api/v1/openapi.json", get(describe))
        .with_state(state)
}

async fn status(State(state): State<WebState>, uri: Uri) -> Answer<Status> {
    Params::read(&uri, &[])?;
    let queue = state.queue(TaskQuery::default()).await;
    Ok(Json(Status::of(&state.facts(), &queue)))
}

async fn resources(State(state): State<WebState>, uri: Uri) -> Answer<Resources> {
    let params = Params::read(&uri, &["gpu"])?;
    let found = resources::of(&state.facts(), params.get("gpu"));
    found.map(Json).map_err(|names| no_gpu(params.get("gpu").unwrap_or_default(), &names))
}

/// What is not over comes first, from the scheduler; what is past follows, from the store, the newest first.
async fn locks(State(state): State<WebState>, uri: Uri) -> Answer<List<LockRow>> {
    let params = Params::read(&uri, &["gpu", "type", "state", "limit", "cursor"])?;
    let facts = state.facts();
    let filter = LockQuery {
        gpu: gpu_param(&params, &facts)?,
        kind: params.lock_kind()?,
        state: params.word("state", &lock::STATES)?,
    };
    let limit = params.limit(LIMIT_DEFAULT)?;
    let in_past = params.get("cursor").filter(|cursor| !cursor.starts_with('+'));
    let (mut rows, mut next) = (Vec::new(), None);
    if in_past.is_none() {
        let present: Vec<_> =
            lock::present(&facts.picture.scheduler).into_iter().filter(|row| filter.keeps(row)).collect();
        (rows, next) = list::cut(present, limit, params.get("cursor"), LockRow::order);
    }
    if next.is_none() && filter.wants_past() {
        // A full page leads on to the past; that there is one is asked with a single row.
        let left = limit - rows.len();
        let page = Page::new(Some(u32::try_from(left.max(1)).unwrap_or(u32::MAX)), in_past.map(str::to_owned));
        let past = state.store.lock_list(filter.past(), page).await?;
        if left > 0 {
            rows.extend(past.items.iter().map(lock::past));
            next = past.next;
        } else {
            next = (!past.items.is_empty()).then(|| lock::AFTER_PRESENT.to_owned());
        }
    }
    Ok(Json(List::new(rows, next, &facts)))
}

/// The GPU that `?gpu=` names.
pub(super) fn gpu_param(params: &Params, facts: &Facts) -> Result<Option<GpuId>, Problem> {
    let Some(wanted) = params.get("gpu") else { return Ok(None) };
    lock::gpu_called(facts, wanted).map(Some).map_err(|names| no_gpu(wanted, &names))
}

fn no_gpu(wanted: &str, names: &[String]) -> Problem {
    let problem = Problem::not_found(format!("no host declares the GPU `{wanted}`"));
    if names.is_empty() { problem } else { problem.help(format!("there is {}", names.join(", "))) }
}

async fn runtimes(State(state): State<WebState>, uri: Uri) -> Answer<List<RuntimeRow>> {
    let params = Params::read(&uri, &["limit", "cursor"])?;
    let facts = state.facts();
    let rows = runtime::all(&facts).iter().map(runtime::RuntimeFacts::row).collect();
    let (rows, next) =
        list::cut(rows, params.limit(LIMIT_DEFAULT)?, params.get("cursor"), |row: &RuntimeRow| row.name.clone());
    Ok(Json(List::new(rows, next, &facts)))
}

async fn models(State(state): State<WebState>, uri: Uri) -> Answer<List<ModelRow>> {
    let params = Params::read(&uri, &["limit", "cursor", "runtime"])?;
    let facts = state.facts();
    let runtime = params.name("runtime")?;
    let models = model::all(&facts);
    let wanted = models.iter().filter(|model| runtime.as_ref().is_none_or(|name| name == model.runtime.name));
    let rows = wanted.map(model::ModelFacts::row).collect();
    let key = |row: &ModelRow| format!("{} {}", row.runtime, row.name);
    let (rows, next) = list::cut(rows, params.limit(LIMIT_DEFAULT)?, params.get("cursor"), key);
    Ok(Json(List::new(rows, next, &facts)))
}

async fn drift(State(state): State<WebState>, uri: Uri) -> Answer<List<DriftRow>> {
    let params = Params::read(&uri, &["sync", "kind", "held", "limit", "cursor"])?;
    let facts = state.facts();
    let filter = DriftFilter { sync: params.sync()?, kind: params.kind()?, held: params.held()? };
    let (rows, next) = drift::page(&facts, &filter, params.limit(LIMIT_DEFAULT)?, params.get("cursor"));
    let rows = rows.into_iter().map(|status| DriftRow::of(status, &facts)).collect();
    Ok(Json(List::new(rows, next, &facts)))
}

async fn tasks(State(state): State<WebState>, uri: Uri) -> Answer<List<TaskStatus>> {
    let params = Params::read(&uri, &["state", "capability", "runtime", "tag", "object", "limit", "cursor"])?;
    let page = state.store.tasks(task_filter(&params)?, store_page(&params, LIMIT_DEFAULT)?).await?;
    let mut bare = Vec::with_capacity(page.items.len());
    for row in &page.items {
        bare.push(task_status(&state, row).await?);
    }
    let explained = explained(&state, &page.items).await;
    let facts = state.facts();
    let outlooks = Outlooks::of(&facts);
    let told = bare.into_iter().zip(page.items.iter().zip(&explained));
    let items =
        told.map(|(status, (row, why))| status.expecting(&outlooks, outlooks.task(row, why.as_ref()))).collect();
    Ok(Json(List::new(items, page.next, &facts)))
}

/// Why those of a page wait of which the published head of the queue says nothing: all are asked for at once, so that a
/// scheduler that does not answer costs no more than with one.
async fn explained(state: &WebState, rows: &[TaskRow]) -> Vec<Option<Explanation>> {
    let facts = state.facts();
    let outlooks = Outlooks::of(&facts);
    let asked = rows.iter().map(|row| {
        let waits = matches!(row.state, TaskState::Queued | TaskState::Blocked);
        let is_told = !waits || outlooks.waiting(&row.id).is_some();
        async move { if is_told { None } else { state.explain(&row.id).await } }
    });
    futures::future::join_all(asked).await
}

async fn task(State(state): State<WebState>, Path(id): Path<String>, uri: Uri) -> Answer<TaskStatus> {
    Params::read(&uri, &[])?;
    let row = find_task(&state, &id).await?;
    let bare = task_status(&state, &row).await?;
    let (explanation, facts) = (state.explain(&row.id).await, state.facts());
    let outlooks = Outlooks::of(&facts);
    let outlook = outlooks.task(&row, explanation.as_ref());
    Ok(Json(bare.expecting(&outlooks, outlook)))
}

async fn why(State(state): State<WebState>, Path(id): Path<String>, uri: Uri) -> Answer<WhyBody> {
    Params::read(&uri, &[])?;
    let row = find_task(&state, &id).await?;
    let (explanation, facts) = (state.explain(&row.id).await, state.facts());
    let outlook = Outlooks::of(&facts).task(&row, explanation.as_ref());
    Ok(Json(WhyBody::of(&row, outlook, explanation.as_ref(), facts.now)))
}

async fn task_status(state: &WebState, row: &TaskRow) -> Result<TaskStatus, Problem> {
    let attempts = state.attempts(&row.id).await?;
    Ok(TaskStatus::of(row, &attempts, &artifacts_of(state, &row.id).await?))
}

async fn artifacts(State(state): State<WebState>, uri: Uri) -> Answer<List<ArtifactItem>> {
    let params = Params::read(&uri, &VAULT_KEYS)?;
    let page = state.store.artifacts(artifact_filter(&params), store_page(&params, LIMIT_DEFAULT)?).await?;
    Ok(Json(List::new(page.items.iter().map(ArtifactItem::of).collect(), page.next, &state.facts())))
}

async fn artifact(State(state): State<WebState>, Path(sha): Path<String>, uri: Uri) -> Answer<ArtifactBody> {
    Params::read(&uri, &[])?;
    let (digest, rows) = find_artifact(&state, &sha).await?;
    let (used, searched_all) = used_by(&state, digest).await?;
    let facts = state.facts();
    Ok(Json(ArtifactBody {
        checksum: digest,
        bytes: rows.first().map_or(0, |row| row.bytes),
        made_by: rows.iter().map(ArtifactItem::of).collect(),
        used_by: used.iter().map(ArtifactItem::of).collect(),
        used_by_complete: searched_all,
        revision: facts.revision_text(),
        generated_at: facts.now,
    }))
}

async fn audit(State(state): State<WebState>, uri: Uri) -> Answer<List<AuditRow>> {
    let params = Params::read(&uri, &["object", "actor", "verb", "limit", "cursor"])?;
    let filter = AuditFilter { object: params.text("object"), actor: params.text("actor"), verb: params.text("verb") };
    let page = state.store.audit_list(filter, store_page(&params, LIMIT_DEFAULT)?).await?;
    Ok(Json(List::new(page.items, page.next, &state.facts())))
}

async fn object(
    State(state): State<WebState>,
    Path((kind, name)): Path<(String, String)>,
    uri: Uri,
) -> Answer<ObjectBody> {
    Params::read(&uri, &[])?;
    let (key, facts) = (object_key(&kind, &name)?, state.facts());
    ObjectBody::of(&facts, &key).map(Json).ok_or_else(|| no_object(&key))
}

async fn describe() -> Json<impl Serialize> {
    Json::<Value>(openapi::document())
}

/// The parameters of a search in the vault.
pub(super) const VAULT_KEYS: [&str; 8] = ["text", "capability", "model", "tag", "type", "task", "limit", "cursor"];

pub(super) fn artifact_filter(params: &Params) -> ArtifactFilter {
    ArtifactFilter {
        task: params.text("task"),
        capability: params.text("capability"),
        model: params.text("model"),
        tag: params.text("tag"),
        kind: params.text("type"),
        text: params.text("text"),
    }
}

pub(super) fn task_filter(params: &Params) -> Result<TaskFilter, Problem> {
    Ok(TaskFilter {
        state: params.state()?.into_iter().collect(),
        capability: params.text("capability"),
        runtime: params.name("runtime")?,
        tag: params.text("tag"),
        object: params.object("object")?,
    })
}

/// The page of a list that the store keeps. It may hold fewer items than asked for; `next` leads on.
pub(super) fn store_page(params: &Params, limit: usize) -> Result<Page, Problem> {
    let limit = u32::try_from(params.limit(limit)?).unwrap_or(u32::MAX);
    Ok(Page::new(Some(limit), params.text("cursor")))
}

pub(super) fn object_key(kind: &str, name: &str) -> Result<ObjectKey, Problem> {
    let kind = Kind::parse_loosely(kind).ok_or_else(|| {
        let problem = Problem::not_found(format!("there is no kind `{kind}`"));
        problem.help(format!("there is {}", Kind::ALL.map(Kind::as_str).join(", ")))
    })?;
    let name = Name::new(name).map_err(|error| Problem::not_found(format!("`{name}` is no name: {error}")))?;
    Ok(ObjectKey::new(kind, name))
}

pub(super) fn no_object(key: &ObjectKey) -> Problem {
    Problem::not_found(format!("there is no {key} in the applied revision")).help(format!("arcology get {}", key.kind))
}

pub(super) async fn find_task(state: &WebState, id: &str) -> Result<TaskRow, Problem> {
    let found = state.store.task(id).await?;
    found.ok_or_else(|| Problem::not_found(format!("no task is called `{id}`")).help("arcology get tasks"))
}

/// What a task made, the newest first, bounded by the store's page.
pub(super) async fn artifacts_of(state: &WebState, task: &str) -> Result<Vec<ArtifactRow>, Problem> {
    let filter = ArtifactFilter { task: Some(task.to_owned()), ..ArtifactFilter::default() };
    Ok(state.store.artifacts(filter, Page::default()).await?.items)
}

/// Every record of these bytes, the newest first; at least one.
pub(super) async fn find_artifact(state: &WebState, sha: &str) -> Result<(Digest, Vec<ArtifactRow>), Problem> {
    let digest = Digest::parse(sha).map_err(|error| Problem::not_found(error.to_string()))?;
    let rows = state.store.artifact(digest).await?;
    if rows.is_empty() {
        return Err(Problem::not_found(format!("no artifact {digest} is recorded")).help("arcology get artifacts"));
    }
    Ok((digest, rows))
}

/// What was made from these bytes, among the newest artifacts; and whether those were all there are.
pub(super) async fn used_by(state: &WebState, digest: Digest) -> Result<(Vec<ArtifactRow>, bool), Problem> {
    let newest = state.store.artifacts(ArtifactFilter::default(), Page::new(Some(USED_BY_SEARCHED), None)).await?;
    let names_it = |row: &ArtifactRow| inputs_of(&row.lineage).contains(&digest);
    Ok((newest.items.into_iter().filter(names_it).collect(), newest.next.is_none()))
}
