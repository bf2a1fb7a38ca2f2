//! An artifact's bytes as they are, whole or a range of them, in a way that no browser runs them.

use std::fs::File;
use std::io::SeekFrom;

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use crate::remember::vault::Error as VaultError;
use crate::tell::web::preview::manner;
use crate::tell::web::problem::Problem;
use crate::tell::web::state::WebState;

use super::api::find_artifact;

/// How much is read at a time.
const CHUNK_BYTES: usize = 64 * 1_024;
/// The bytes are named by their checksum: they never change.
const FOR_EVER: &str = "private, max-age=31536000, immutable";
/// Even opened by themselves they get no origin, no script and no network.
const CSP: &str =
    "default-src 'none'; style-src 'unsafe-inline'; media-src 'self'; img-src 'self'; sandbox; frame-ancestors 'none'";

pub(super) async fn artifact(
    State(state): State<WebState>,
    Path(sha): Path<String>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (digest, rows) = find_artifact(&state, &sha).await?;
    let newest = rows.iter().max_by_key(|row| row.created_at).ok_or_else(|| Problem::not_found("no such artifact"))?;
    let etag = format!("\"{}\"", digest.hex());
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok()) == Some(&etag);
    let mut answer = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let vault = state.vault.clone();
        let opened = tokio::task::spawn_blocking(move || open(&vault, digest)).await;
        let (file, total) = opened.map_err(|_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "reading failed"))??;
        let wanted =
            headers.get(header::RANGE).and_then(|range| range.to_str().ok()).and_then(|text| range(text, total));
        bytes(file, total, wanted, method == Method::HEAD).await?
    };
    let (mime, shown) = manner(&newest.kind).content_type();
    let name = file_name(&newest.path);
    let disposition =
        if shown { format!("inline; filename=\"{name}\"") } else { format!("attachment; filename=\"{name}\"") };
    for (key, value) in [
        (header::CONTENT_TYPE, mime),
        (header::CONTENT_SECURITY_POLICY, CSP),
        (header::CACHE_CONTROL, FOR_EVER),
        (header::ACCEPT_RANGES, "bytes"),
        (header::ETAG, etag.as_str()),
        (header::CONTENT_DISPOSITION, disposition.as_str()),
    ] {
        if let Ok(value) = HeaderValue::from_str(value) {
            answer.headers_mut().insert(key, value);
        }
    }
    Ok(answer)
}

fn open(vault: &crate::remember::vault::Vault, digest: crate::core::Digest) -> Result<(File, u64), Problem> {
    let told = |error: VaultError| {
        let status = match error {
            VaultError::NotFound { .. } => StatusCode::GONE,
            VaultError::Full { .. }
            | VaultError::ReadOnly { .. }
            | VaultError::Io { .. }
            | VaultError::Input { .. }
            | VaultError::TooLarge { .. }
            | VaultError::Damaged { .. }
            | VaultError::BadTask { .. }
            | VaultError::NoName { .. } => StatusCode::SERVICE_UNAVAILABLE,
        };
        Problem::new(status, error.to_string()).help("restore it from a backup, or submit the task again")
    };
    let file = vault.open_file(digest).map_err(told)?;
    let unreadable = |_| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the artifact's file cannot be read");
    let total = file.metadata().map_err(unreadable)?.len();
    Ok((file, total))
}

/// A wanted part of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// First and last byte.
    Part(u64, u64),
    /// Nothing of it is in the file.
    Outside,
}

/// The one range that `Range: bytes=…` asks for (RFC 9110, section 14). Several ranges, or none that can be read, are
/// answered with the whole, which the standard allows.
fn range(text: &str, total: u64) -> Option<Wanted> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let (first, last) = match (first.trim(), last.trim()) {
        ("", length) => {
            let length: u64 = length.parse().ok()?;
            if length == 0 {
                return Some(Wanted::Outside);
            }
            (total.saturating_sub(length), total.checked_sub(1)?)
        }
        (first, "") => (first.parse().ok()?, total.saturating_sub(1)),
        (first, last) => (first.parse().ok()?, last.parse::<u64>().ok()?.min(total.saturating_sub(1))),
    };
    Some(if first >= total || first > last { Wanted::Outside } else { Wanted::Part(first, last) })
}

async fn bytes(file: File, total: u64, wanted: Option<Wanted>, head: bool) -> Result<Response, Problem> {
    let (status, first, length, content_range) = match wanted {
        None => (StatusCode::OK, 0, total, None),
        Some(Wanted::Part(first, last)) => {
            (StatusCode::PARTIAL_CONTENT, first, last - first + 1, Some(format!("bytes {first}-{last}/{total}")))
        }
        Some(Wanted::Outside) => (StatusCode::RANGE_NOT_SATISFIABLE, 0, 0, Some(format!("bytes */{total}"))),
    };
    let body = if head || length == 0 { Body::empty() } else { stream(file, first, length).await? };
    let mut answer = (status, body).into_response();
    answer.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    if let Some(value) = content_range.and_then(|text| HeaderValue::from_str(&text).ok()) {
        answer.headers_mut().insert(header::CONTENT_RANGE, value);
    }
    Ok(answer)
}

async fn stream(file: File, first: u64, length: u64) -> Result<Body, Problem> {
    let mut file = tokio::fs::File::from_std(file);
    let failed = |_| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the artifact's file cannot be read");
    file.seek(SeekFrom::Start(first)).await.map_err(failed)?;
    let chunks = futures::stream::try_unfold((file, length), |(mut file, left)| async move {
        let mut chunk = vec![0; CHUNK_BYTES.min(usize::try_from(left).unwrap_or(CHUNK_BYTES))];
        let read = file.read(&mut chunk).await?;
        if read == 0 {
            // Nothing left, or the file became shorter: the length was announced, so the client sees that it is cut.
            return Ok::<_, std::io::Error>(None);
        }
        chunk.truncate(read);
        let left = left.saturating_sub(u64::try_from(read).unwrap_or(left));
        Ok(Some((Bytes::from(chunk), (file, left))))
    });
    Ok(Body::from_stream(chunks))
}

/// The last part of the path, with what could end the header's quotes replaced.
fn file_name(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or(path);
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-._ ".contains(c) { c } else { '_' };
    name.chars().take(100).map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_the_standard_says() {
        for (text, wanted) in [
            ("bytes=0-9", Some(Wanted::Part(0, 9))),
            ("bytes=90-", Some(Wanted::Part(90, 99))),
            ("bytes=90-500", Some(Wanted::Part(90, 99))),
            ("bytes=-10", Some(Wanted::Part(90, 99))),
            ("bytes=-500", Some(Wanted::Part(0, 99))),
            ("bytes=100-", Some(Wanted::Outside)),
            ("bytes=9-0", Some(Wanted::Outside)),
            ("bytes=-0", Some(Wanted::Outside)),
            ("bytes=0-1,5-6", None),
            ("lines=0-1", None),
            ("bytes=x-1", None),
        ] {
            assert_eq!(range(text, 100), wanted, "{text}");
        }
        assert_eq!(range("bytes=0-", 0), Some(Wanted::Outside));
    }

    #[test]
    fn a_name_cannot_end_the_header_it_stands_in() {
        assert_eq!(file_name("runs/2026/task-1/a\"; x.md"), "a__ x.md");
        assert!(file_name("a\"b\r\nc").chars().all(|c| !matches!(c, '"' | '\r' | '\n')));
    }
}
