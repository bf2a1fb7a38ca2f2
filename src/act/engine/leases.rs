//! Leases: how other programs take a GPU through Arcology, keep it, and give it back.

use std::sync::Arc;
use std::time::Duration;

use crate::core::Digest;
use crate::decide::scheduler::view::LeaseView;
use crate::decide::scheduler::{GpuId, LeaseRequest};

use super::dispatch::inbox::LeaseAsk;
use super::dispatch::{Message, Refusal};
use super::handle::Handle;

/// The shortest and the longest time that a lease may ask to live without a sign of life.
pub const TTL_MIN: Duration = Duration::from_secs(1);
pub const TTL_MAX: Duration = Duration::from_secs(24 * 3_600);

/// What another program asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// All of them at once.
    pub gpus: Vec<GpuId>,
    pub holder: String,
    pub purpose: String,
    pub exclusive: bool,
    /// GPU memory that it will take on each, in GB.
    pub vram_gb: Option<f64>,
    pub force: bool,
    pub priority: i32,
    /// It ends so long after the last sign of life. Held to [`TTL_MIN`] and [`TTL_MAX`].
    pub ttl: Duration,
}

impl Handle {
    /// Asks for a lease and gives its id once that is written down. It is granted later: see [`Handle::lease_granted`].
    ///
    /// # Errors
    /// [`Refusal::Unknown`] for a GPU that no host declares; [`Refusal::Unavailable`] when the store cannot be written.
    pub async fn lease_acquire(&self, wanted: Wanted, actor: &str) -> Result<String, Refusal> {
        if wanted.gpus.is_empty() {
            return Err(Refusal::Unknown("a lease names at least one GPU, such as `desk/gpu0`".to_owned()));
        }
        for gpu in &wanted.gpus {
            self.declared(gpu)?;
        }
        let ttl = wanted.ttl.clamp(TTL_MIN, TTL_MAX);
        let nonce = self.shared.next_nonce();
        let digest = Digest::of(format!("{}\n{nonce}\n{actor}\n{}", self.now(), wanted.purpose).as_bytes());
        let id: Arc<str> = format!("lease-{}", &digest.hex()[..16]).into();
        let lease = Box::new(LeaseRequest {
            id: Arc::clone(&id),
            gpus: wanted.gpus,
            holder: wanted.holder,
            purpose: wanted.purpose,
            exclusive: wanted.exclusive,
            vram_gb: wanted.vram_gb,
            force: wanted.force,
            priority: wanted.priority,
            ttl_ms: millis(ttl),
            held: false,
        });
        let by = actor.to_owned();
        self.shared.inbox.ask(|reply| Message::Lease(LeaseAsk::Ask { lease, by, reply })).await?;
        Ok(id.to_string())
    }

    fn declared(&self, gpu: &GpuId) -> Result<(), Refusal> {
        let memory = self.shared.memory();
        let known = memory.world.host(&gpu.host).is_some_and(|host| host.gpus.iter().any(|it| it.id == gpu.gpu));
        if known {
            return Ok(());
        }
        let all: Vec<String> = memory
            .world
            .hosts()
            .flat_map(|(object, host)| {
                host.gpus.iter().map(|it| format!("{}/{}", object.document.key.name, it.id)).collect::<Vec<_>>()
            })
            .collect();
        let near = crate::core::text::nearest(&gpu.to_string(), all.iter().map(String::as_str));
        let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        Err(Refusal::Unknown(format!("no host declares the GPU `{gpu}`{hint}")))
    }

    /// Waits until a lease is granted. Whoever waits for long has to show signs of life meanwhile.
    ///
    /// # Errors
    /// [`Refusal::Unknown`] when it is over or never was.
    pub async fn lease_granted(&self, id: &str) -> Result<(), Refusal> {
        let id: Arc<str> = id.into();
        self.shared.inbox.ask(|reply| Message::Lease(LeaseAsk::Wait { id, reply })).await
    }

    /// A sign of life of who holds a lease or waits for it: it lasts `ttl` from now on, or as long as it asked for. Nothing
    /// is written.
    ///
    /// # Errors
    /// [`Refusal::Unknown`] when it is over or never was.
    pub async fn lease_renew(&self, id: &str, ttl: Option<Duration>) -> Result<(), Refusal> {
        let (id, ttl_ms): (Arc<str>, _) = (id.into(), ttl.map(|ttl| millis(ttl.clamp(TTL_MIN, TTL_MAX))));
        self.shared.inbox.ask(|reply| Message::Lease(LeaseAsk::Renew { id, ttl_ms, reply })).await
    }

    /// Gives a lease back. Returns once that is written.
    ///
    /// # Errors
    /// [`Refusal::Unknown`] when it is over or never was; [`Refusal::Unavailable`] when the store cannot be written.
    pub async fn lease_release(&self, id: &str, actor: &str) -> Result<(), Refusal> {
        let (id, by): (Arc<str>, String) = (id.into(), actor.to_owned());
        self.shared.inbox.ask(|reply| Message::Lease(LeaseAsk::Release { id, by, reply })).await
    }

    /// The leases that are held or waited for at this moment.
    pub async fn lease_list(&self) -> Vec<LeaseView> {
        self.scheduler_now(0).await.leases
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
