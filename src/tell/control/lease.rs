//! Leases over the control socket: another program takes a GPU, shows that it lives, gives it back.

use std::time::Duration;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::act::engine::leases::{TTL_MAX, Wanted};
use crate::core::{Name, text};
use crate::decide::scheduler::GpuId;
use crate::decide::scheduler::view::LeaseView;

use super::peer::Peer;
use super::routes::{ControlState, bad_body, problem, refused};
use super::task::why_json;

/// How long a lease lives without a sign of life when nothing is said.
const TTL_USUAL_S: u64 = 60;
/// The longest time that a call waits for the grant.
const WAIT_MAX_S: u64 = 300;
/// The shortest time that a call waits for the grant, whatever it says.
const WAIT_MIN: Duration = Duration::from_millis(250);
/// The most characters of a holder's name and of a purpose, and the most GPUs of one lease.
const WORDS_MAX: usize = 200;
const GPUS_MAX: usize = 64;
/// The memory of a GPU that can be asked for at most, in GB: more than any has.
const VRAM_MAX_GB: f64 = 100_000.0;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AcquireBody {
    /// `HOST/GPU`, one or several, all at once.
    gpus: Vec<String>,
    purpose: String,
    /// Who it is; the process on the other end when nothing is said.
    #[serde(default)]
    holder: Option<String>,
    #[serde(default)]
    exclusive: bool,
    #[serde(default)]
    vram_gb: Option<f64>,
    #[serde(default)]
    force: bool,
    #[serde(default)]
    priority: i32,
    /// Seconds without a sign of life after which it is taken back.
    #[serde(default)]
    ttl_s: Option<u64>,
    /// Seconds to wait for the grant before answering that it is still waited for.
    #[serde(default)]
    wait_s: u64,
    /// An exclusive lease stops new work on its GPUs, which must be confirmed.
    #[serde(default)]
    confirm: bool,
}

/// Asks for a lease, and waits for it as long as the caller wants to.
pub(super) async fn acquire(
    State(state): State<ControlState>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    body: Result<Json<AcquireBody>, JsonRejection>,
) -> Response {
    let Json(body) = match body {
        Ok(body) => body,
        Err(rejection) => return bad_body(&rejection),
    };
    let wanted = match read(&body, &peer) {
        Ok(wanted) => wanted,
        Err(detail) => return problem(StatusCode::UNPROCESSABLE_ENTITY, "the lease cannot be used", &detail),
    };
    if body.exclusive && !body.confirm {
        let detail = format!(
            "nothing new would start on {} until the lease ends, and models may be unloaded for it; say \
             {{\"confirm\": true}}",
            body.gpus.join(", ")
        );
        return problem(StatusCode::CONFLICT, "an exclusive lease must be confirmed", &detail);
    }
    let ttl = wanted.ttl;
    let id = match state.engine.lease_acquire(wanted, &peer.to_string()).await {
        Ok(id) => id,
        Err(refusal) => return refused(&refusal),
    };
    // A GPU that is free is granted as soon as that is written: nobody should have to ask twice for it.
    let wait = Duration::from_secs(body.wait_s.min(WAIT_MAX_S)).max(WAIT_MIN);
    let granted = tokio::select! {
        granted = state.engine.lease_granted(&id) => granted.is_ok(),
        () = keep_alive(&state, &id, ttl, wait) => false,
    };
    let lease = state.engine.lease_list().await.into_iter().find(|lease| *lease.id == *id);
    let Some(lease) = lease else {
        let detail = format!("lease {id} was taken back before it was granted");
        return problem(StatusCode::CONFLICT, "it cannot be done", &detail);
    };
    let status = if granted { StatusCode::CREATED } else { StatusCode::ACCEPTED };
    let mut answer = lease_json(&lease);
    answer["granted"] = granted.into();
    answer["ttl_s"] = ttl.as_secs().into();
    (status, Json(answer)).into_response()
}

/// Whoever waits on the line is alive.
async fn keep_alive(state: &ControlState, id: &str, ttl: Duration, wait: Duration) {
    let end = tokio::time::Instant::now() + wait;
    loop {
        let next = tokio::time::Instant::now() + ttl / 3;
        tokio::time::sleep_until(next.min(end)).await;
        if tokio::time::Instant::now() >= end {
            return;
        }
        if state.engine.lease_renew(id, Some(ttl)).await.is_err() {
            return;
        }
    }
}

fn read(body: &AcquireBody, peer: &Peer) -> Result<Wanted, String> {
    if body.gpus.is_empty() || body.gpus.len() > GPUS_MAX {
        return Err(format!("`gpus` names {} GPUs; between 1 and {GPUS_MAX} can be leased", body.gpus.len()));
    }
    let gpus = body.gpus.iter().map(|text| gpu(text)).collect::<Result<Vec<_>, _>>()?;
    if body.purpose.trim().is_empty() {
        return Err("`purpose` says nothing; others read it while they wait".to_owned());
    }
    if body.vram_gb.is_some_and(|gb| !gb.is_finite() || !(0.0..=VRAM_MAX_GB).contains(&gb)) {
        return Err("`vram_gb` is no amount of memory".to_owned());
    }
    let seconds = body.ttl_s.unwrap_or(TTL_USUAL_S);
    if seconds == 0 || seconds > TTL_MAX.as_secs() {
        return Err(format!("`ttl_s` is {seconds}; between 1 and {} seconds are possible", TTL_MAX.as_secs()));
    }
    Ok(Wanted {
        gpus,
        holder: text::shorten(&body.holder.clone().unwrap_or_else(|| peer.to_string()), WORDS_MAX),
        purpose: text::shorten(body.purpose.trim(), WORDS_MAX),
        exclusive: body.exclusive,
        vram_gb: body.vram_gb,
        force: body.force,
        priority: body.priority.clamp(-1_000, 1_000),
        ttl: Duration::from_secs(seconds),
    })
}

fn gpu(text: &str) -> Result<GpuId, String> {
    let parts = text.split_once('/').and_then(|(host, gpu)| Some((Name::new(host).ok()?, Name::new(gpu).ok()?)));
    let (host, gpu) = parts.ok_or_else(|| format!("`{}` is no GPU; write HOST/GPU", text::shorten(text, 80)))?;
    Ok(GpuId { host, gpu })
}

/// The leases that are held or waited for.
pub(super) async fn list(State(state): State<ControlState>) -> Response {
    let leases: Vec<Value> = state.engine.lease_list().await.iter().map(lease_json).collect();
    Json(json!({"items": leases})).into_response()
}

fn lease_json(lease: &LeaseView) -> Value {
    json!({
        "id": lease.id,
        "gpus": lease.gpus.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "holder": lease.holder,
        "purpose": lease.purpose,
        "exclusive": lease.exclusive,
        "granted": lease.granted,
        "since": lease.since,
        "until": lease.until,
        "why": lease.why.as_ref().map(why_json),
    })
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RenewBody {
    ttl_s: Option<u64>,
}

/// A sign of life.
pub(super) async fn renew(
    State(state): State<ControlState>,
    Path(id): Path<String>,
    body: Result<Json<RenewBody>, JsonRejection>,
) -> Response {
    let Json(body) = match body {
        Ok(body) => body,
        Err(rejection) => return bad_body(&rejection),
    };
    match state.engine.lease_renew(&id, body.ttl_s.map(Duration::from_secs)).await {
        Ok(()) => Json(json!({"id": id, "renewed": true})).into_response(),
        Err(refusal) => refused(&refusal),
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ReleaseBody {}

/// Gives it back.
pub(super) async fn release(
    State(state): State<ControlState>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(id): Path<String>,
    body: Result<Json<ReleaseBody>, JsonRejection>,
) -> Response {
    if let Err(rejection) = body {
        return bad_body(&rejection);
    }
    match state.engine.lease_release(&id, &peer.to_string()).await {
        Ok(()) => Json(json!({"id": id, "released": true})).into_response(),
        Err(refusal) => refused(&refusal),
    }
}
