//! What the WebSocket tells everybody: how much runs and waits.

use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use serde_json::Value;

use crate::act::runtime::adapter::{RuntimeError, RuntimeEvent};

use super::adapter::Comfyui;
use super::{id, watch};

/// Opens the stream. The first event tells that listening has begun.
pub(super) async fn open(
    runtime: &Comfyui,
) -> Result<BoxStream<'static, Result<RuntimeEvent, RuntimeError>>, RuntimeError> {
    let socket = watch::listen(runtime, &id::uuid()).await?;
    let told = stream::unfold(socket, |mut socket| async move {
        loop {
            match socket.text().await {
                Ok(Some(text)) => {
                    if let Some(count) = in_flight(&text) {
                        return Some((Ok(RuntimeEvent::InFlight(count)), socket));
                    }
                }
                Ok(None) | Err(_) => return None,
            }
        }
    });
    Ok(stream::once(async { Ok(RuntimeEvent::Changed) }).chain(told).boxed())
}

/// What runs and waits together.
fn in_flight(text: &str) -> Option<u32> {
    let message: Value = serde_json::from_str(text).ok()?;
    let told =
        (message.get("type")? == "status").then(|| message.pointer("/data/status/exec_info/queue_remaining"))??;
    u32::try_from(told.as_u64()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quirk_7_the_queue_that_is_told_holds_what_runs_too() {
        let status = r#"{"type":"status","data":{"status":{"exec_info":{"queue_remaining":3}},"sid":"x"}}"#;
        assert_eq!(in_flight(status), Some(3));
        assert_eq!(in_flight(r#"{"type":"progress","data":{"status":{"exec_info":{"queue_remaining":3}}}}"#), None);
        assert_eq!(in_flight("x"), None);
    }
}
