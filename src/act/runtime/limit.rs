//! The net below every call to a runtime: work that must end in time.

use std::time::Duration;

use super::adapter::{Fault, RuntimeError};

/// `work`, which must end within `limit`; `asked` says what was asked, as in "cannot load x".
///
/// # Errors
/// A timeout, or what the work itself says.
pub async fn within<T>(
    limit: Duration,
    asked: &str,
    work: impl Future<Output = Result<T, RuntimeError>>,
) -> Result<T, RuntimeError> {
    tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
        let millis = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
        let message = format!("{asked}: not done within {}", crate::core::text::age(millis));
        Err(RuntimeError::new(Fault::Timeout, message))
    })
}
