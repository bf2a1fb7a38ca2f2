//! What flows: event streams, bytes of artifacts, and how the server stops.

use std::sync::Arc;
use std::time::Duration;

use arcology::core::Digest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::html::{faults, links, text};
use super::sample;
use super::site::{PATIENCE, Site};

/// A stream of events, read until it holds `wanted`.
struct Events {
    stream: TcpStream,
    seen: String,
}

impl Events {
    async fn open(site: &Site) -> Self {
        let mut stream = TcpStream::connect(site.address).await.unwrap();
        let request = format!("GET /events HTTP/1.1\r\nHost: {}\r\nAccept: text/event-stream\r\n\r\n", site.address);
        stream.write_all(request.as_bytes()).await.unwrap();
        Self { stream, seen: String::new() }
    }

    /// Reads on until `wanted` was seen; false when the stream ended before.
    async fn until(&mut self, wanted: &str) -> bool {
        let reading = async {
            let mut buffer = [0; 4_096];
            while !self.seen.contains(wanted) {
                match self.stream.read(&mut buffer).await.unwrap() {
                    0 => return false,
                    read => self.seen.push_str(&String::from_utf8_lossy(&buffer[..read])),
                }
            }
            true
        };
        tokio::time::timeout(PATIENCE, reading).await.unwrap_or_else(|_| panic!("{wanted} did not come: {}", self.seen))
    }
}

#[tokio::test]
async fn a_stream_tells_of_a_change_and_ends_when_the_server_stops() {
    let site = Site::open(sample::normal_picture()).await;
    let mut events = Events::open(&site).await;
    assert!(events.until("retry: 3000").await);
    assert!(events.seen.contains("content-type: text/event-stream"), "{}", events.seen);
    assert!(!events.seen.contains("event: picture"), "nothing changed yet: {}", events.seen);
    site.publish.send_replace(Arc::new(sample::normal_picture()));
    assert!(events.until("event: picture").await);
    assert!(events.until("\"revision\":\"main@sha1:").await);
    site.shutdown.cancel();
    assert!(!events.until("never said").await);
    let stopped = tokio::time::timeout(PATIENCE, site.running).await.expect("it stops in time");
    assert!(stopped.unwrap().is_ok());
}

#[tokio::test]
async fn a_server_that_is_told_to_stop_does_not_wait_for_a_client_that_says_nothing() {
    let site = Site::open(sample::normal_picture()).await;
    let mut silent = TcpStream::connect(site.address).await.unwrap();
    silent.write_all(b"GET / HTTP/1.1\r\nHost:").await.unwrap();
    assert_eq!(site.get("/healthz").await.status, 200);
    site.shutdown.cancel();
    let grace = arcology::tell::web::server::GRACE + Duration::from_secs(15);
    assert!(tokio::time::timeout(grace, site.running).await.is_ok());
}

#[tokio::test]
async fn bytes_are_handed_out_as_they_are_and_never_run() {
    let site = Site::open(sample::normal_picture()).await;
    let page = b"<script>alert(1)</script>".as_slice();
    let files = [
        ("a.md", b"# A\n".as_slice()),
        ("evil.html", page),
        ("evil.svg", b"<svg onload='x'/>"),
        ("v.wav", b"RIFF0123456789"),
    ];
    let digests = site.finish_task("task-1", &files).await;
    for ((file, bytes), digest) in files.iter().zip(&digests) {
        let raw = site.browse(&format!("/artifacts/{}/raw", digest.hex())).await;
        assert_eq!((raw.status, raw.body.as_slice()), (200, *bytes), "{file}");
        assert_eq!(raw.header("x-content-type-options"), "nosniff", "{file}");
        let csp = raw.header("content-security-policy");
        assert!(csp.contains("sandbox") && csp.starts_with("default-src 'none'") && !csp.contains("script"), "{csp}");
        assert!(!raw.header("content-type").contains("html") && !raw.header("content-type").contains("svg"), "{file}");
        let kept = raw.header("content-disposition").starts_with("attachment");
        assert_eq!(kept, file.starts_with("evil"), "{file}");
        assert_eq!(raw.header("etag"), format!("\"{}\"", digest.hex()), "{file}");
    }
    let wav = format!("/artifacts/{}/raw", digests[3].hex());
    let part = site.ask("GET", &wav, &["Range: bytes=4-7"]).await;
    assert_eq!(
        (part.status, part.body.as_slice(), part.header("content-range")),
        (206, b"0123".as_slice(), "bytes 4-7/14")
    );
    assert_eq!(site.ask("GET", &wav, &["Range: bytes=99-"]).await.status, 416);
    let head = site.ask("HEAD", &wav, &[]).await;
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, "14", 0));
    let known = format!("If-None-Match: \"{}\"", digests[3].hex());
    assert_eq!(site.ask("GET", &wav, &[&known]).await.status, 304);
}

#[tokio::test]
async fn an_artifact_is_shown_as_what_it_is_with_its_lineage_both_ways() {
    let site = Site::open(sample::normal_picture()).await;
    let packet = b"packet".as_slice();
    let files =
        [("brief.md", b"# Brief <b>\n".as_slice()), ("evil.html", b"<script>1</script>"), ("s.json", b"{\"a\":[1]}")];
    site.finish_task("task-0", &[("packet.pdf", packet)]).await;
    let digests = site.finish_task("task-1", &files).await;
    for (digest, shown) in digests.iter().zip(["# Brief <b>", "<script>1</script>", "\"a\": ["]) {
        let page = site.browse(&format!("/artifacts/{}", digest.hex())).await;
        assert_eq!(faults(page.text()), Vec::<String>::new());
        assert!(text(page.text()).contains(shown), "{}", text(page.text()));
        assert!(
            links(page.text()).contains(&format!("/artifacts/{}", Digest::of(packet).hex())),
            "what it was made from"
        );
    }
    let source = site.browse(&format!("/artifacts/{}", Digest::of(packet).hex())).await;
    assert!(text(source.text()).contains("can be downloaded"), "a PDF is not shown");
    assert!(links(source.text()).contains(&format!("/artifacts/{}", digests[0].hex())), "what was made from it");
    let body = site.get(&format!("/api/v1/artifacts/{}", Digest::of(packet))).await.json();
    assert_eq!((body["used_by"].as_array().unwrap().len(), &body["used_by_complete"]), (4, &serde_json::json!(true)));
}

#[tokio::test]
async fn bytes_that_are_gone_are_told_as_gone() {
    let site = Site::open(sample::normal_picture()).await;
    let lost = sample::artifact("task-1", "lost.md", b"lost");
    site.state.store.artifacts_restore(vec![lost.clone()]).await.unwrap();
    let page = site.browse(&format!("/artifacts/{}", lost.sha256.hex())).await;
    assert_eq!(page.status, 200);
    assert!(text(page.text()).contains("its bytes cannot be read"), "{}", text(page.text()));
    assert_eq!(site.get(&format!("/artifacts/{}/raw", lost.sha256.hex())).await.status, 410);
}

#[tokio::test]
async fn a_store_that_is_closed_is_told_on_the_page_and_not_hidden() {
    let site = Site::open(sample::normal_picture()).await;
    site.state.store.close().await;
    let home = site.browse("/").await;
    assert_eq!(home.status, 200);
    assert!(text(home.text()).contains("the store does not work"), "{}", text(home.text()));
    assert_eq!(site.browse("/tasks").await.status, 503);
    let status = site.get("/api/v1/status").await.json();
    assert!(status["tasks"].is_null() && status["store_problem"].is_string(), "{status}");
}
