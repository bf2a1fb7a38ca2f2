//! The HTTP client against servers that misbehave.

use std::time::Duration;

use arcology::act::http::{Client, Error, Options, Request};
use axum::Router;
use axum::routing::get;

use crate::double::raw::{Raw, Step, chunk, chunked, ok, status};

use super::in_time;

const LIMIT: usize = 100_000;

fn options() -> Options {
    let total = Duration::from_secs(20);
    Options { connect: Duration::from_secs(5), total, body_bytes_max: LIMIT, token_file: None }
}

async fn ask(server: &Raw) -> Result<String, Error> {
    let client = Client::new(&server.endpoint(), options()).unwrap();
    in_time(client.send(Request::get("/x"))).await.and_then(|answer| answer.text().map(str::to_owned))
}

#[tokio::test]
async fn bodies_without_end_cost_no_more_than_the_limit_and_the_error_names_it() {
    let huge = b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n".to_vec();
    let no_length = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_vec();
    let filler = vec![b'x'; 60_000];
    for steps in [
        vec![Step::Write(huge), Step::Endless(filler.clone())],
        vec![Step::Write(no_length), Step::Endless(filler.clone())],
        vec![chunked("text/plain"), Step::Endless(chunk(&filler))],
    ] {
        let server = Raw::always(steps).await;
        let error = ask(&server).await.unwrap_err();
        assert!(matches!(error, Error::TooLarge { limit_bytes: LIMIT, .. }), "{error}");
        // What the kernel holds between the two counts too.
        assert!(server.endless_bytes() < LIMIT + 20_000_000, "{} bytes were taken", server.endless_bytes());
        assert!(error.to_string().contains("100000 bytes"), "{error}");
    }
}

#[tokio::test]
async fn answers_that_break_off_or_make_no_sense_are_broken_connections() {
    let short = b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nonly this".to_vec();
    for steps in [
        vec![Step::Write(short)],
        vec![chunked("text/plain"), Step::Write(chunk(b"half")), Step::Reset],
        vec![Step::Reset],
        vec![Step::Write(b"garbage\r\n\r\n".to_vec())],
        vec![Step::Write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n".to_vec())],
        vec![Step::Write(b"HTTP/1.1 200 OK\r\n".to_vec()), Step::Endless(b"X-Header: y\r\n".repeat(100))],
    ] {
        let error = ask(&Raw::always(steps.clone()).await).await.unwrap_err();
        assert!(matches!(error, Error::Broken { .. }), "{steps:?}: {error}");
    }
}

#[tokio::test]
async fn a_server_that_hangs_and_one_that_is_not_there_are_told_apart() {
    let hangs = Raw::always(vec![Step::Hang]).await;
    let client = Client::new(&hangs.endpoint(), options()).unwrap();
    let error = in_time(client.send(Request::get("/x").within(Duration::from_millis(50)))).await.unwrap_err();
    assert!(error.to_string().ends_with("did not answer /x within 50 ms"), "{error}");

    let drips = Raw::always(vec![chunked("text/plain"), Step::Write(chunk(b"a")), Step::Hang]).await;
    let client = Client::new(&drips.endpoint(), options()).unwrap();
    let error = in_time(client.send(Request::get("/x").within(Duration::from_millis(50)))).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error}");

    let endpoint = format!("http://{}", crate::double::port::free());
    let error = Client::new(&endpoint, options()).unwrap().send(Request::get("/x")).await.unwrap_err();
    assert!(matches!(&error, Error::Connect { why, .. } if why.contains("refused")), "{error}");
}

#[tokio::test]
async fn a_redirect_is_an_error_that_names_where_it_points_and_is_not_followed() {
    let elsewhere = Raw::always(ok("text/plain", "secret")).await;
    let location = format!("HTTP/1.1 302 Found\r\nLocation: {}/y\r\nContent-Length: 0\r\n\r\n", elsewhere.endpoint());
    let server = Raw::always(vec![Step::Write(location.into_bytes())]).await;
    let error = ask(&server).await.unwrap_err();
    assert!(error.to_string().contains(&format!("(302) to {}", elsewhere.address)), "{error}");
    assert!(elsewhere.heads().is_empty(), "it was followed");
}

#[tokio::test]
async fn text_that_is_no_utf8_and_json_of_another_shape_are_said() {
    let latin = vec![Step::Write(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na\xe9b".to_vec())];
    assert!(matches!(ask(&Raw::always(latin).await).await, Err(Error::NotUtf8 { at: 1, .. })));

    let server = Raw::always(ok("application/json", "[1")).await;
    let client = Client::new(&server.endpoint(), options()).unwrap();
    let answer = client.send(Request::get("/x")).await.unwrap();
    assert!(matches!(answer.json::<Vec<u8>>(), Err(Error::NotJson { .. })));
}

#[tokio::test]
async fn a_token_is_read_when_it_is_used_and_never_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let token_file = folder.path().join("token");
    let server = Raw::always(status("401 Unauthorized", "text/plain", "Bearer t0ken-two is wrong")).await;
    let client =
        Client::new(&server.endpoint(), Options { token_file: Some(token_file.clone()), ..options() }).unwrap();

    let error = client.send(Request::get("/x")).await.unwrap_err();
    assert!(matches!(&error, Error::Token { .. }) && error.to_string().contains("token"), "{error}");
    for (content, usable) in
        [("", false), ("two words", false), ("a\nb", false), ("t0ken-one\n", true), ("t0ken-two", true)]
    {
        std::fs::write(&token_file, content).unwrap();
        let outcome = client.send(Request::get("/x")).await;
        assert_eq!(outcome.is_ok(), usable, "{content:?}");
        if let Err(error) = outcome {
            assert!(content.is_empty() || !error.to_string().contains(content), "{error}");
        }
    }
    let heads = server.heads();
    assert_eq!(heads.len(), 2, "a request without its token must not be sent");
    assert!(heads[0].contains("authorization: Bearer t0ken-one\r\n") && heads[1].contains("t0ken-two"), "{heads:?}");
    let answer = client.send(Request::get("/x")).await.unwrap();
    assert_eq!(answer.without_secret(answer.text().unwrap()), "Bearer (hidden) is wrong");
    assert!(!format!("{client:?}").contains("t0ken"));
}

#[tokio::test]
async fn a_unix_socket_is_spoken_to_as_a_port_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let server = tokio::spawn(async move {
        axum::serve(listener, Router::new().route("/hello", get(async || "over the socket"))).await.unwrap();
    });
    let client = Client::over_unix_socket(&path, options()).unwrap();
    let answer = in_time(client.send(Request::get("/hello"))).await.unwrap();
    assert_eq!((answer.status, answer.text().unwrap()), (200, "over the socket"));
    server.abort();
    let _ = server.await;
    std::fs::remove_file(&path).unwrap();
    let client = Client::over_unix_socket(&path, options()).unwrap();
    let error = in_time(client.send(Request::get("/hello"))).await.unwrap_err();
    assert!(matches!(&error, Error::Connect { .. }) && error.to_string().contains("control.sock"), "{error}");
}
