//! The page over a real connection: who is served, what may be asked, and what every answer carries.

use arcology::act::engine::picture::Picture;
use arcology::remember::store::LockChange;
use arcology::remember::store::row::TaskState;
use arcology::tell::web::api::openapi;
use arcology::tell::web::guard::URL_BYTES_MAX;
use arcology::tell::web::route::API_PATHS;
use serde_json::{Value, json};

use super::html::{faults, links, text};
use super::sample;
use super::sample_work;
use super::site::Site;

const PAGES: [&str; 15] = [
    "/",
    "/?state=running&capability=text.summarize&runtime=swap&tag=project%3AAcme",
    "/locks",
    "/locks?gpu=desk%2Fgpu0&past=24h",
    "/drift",
    "/drift?sync=Drifted&kind=Loadout&held=true",
    "/objects/Loadout/desk",
    "/objects/loadouts/desk",
    "/tasks",
    "/tasks/task-1",
    "/runtimes/swap",
    "/models",
    "/vault?type=md",
    "/audit?verb=run",
    "/readyz",
];

async fn site() -> Site {
    let site = Site::open(sample::normal_picture()).await;
    site.finish_task("task-1", &[("brief.md", b"# Brief\n")]).await;
    site
}

/// The same with the tasks that the scheduler of the sample speaks of, and a past of locks.
async fn busy_site() -> Site {
    let site = site().await;
    site.add_task("task-2", TaskState::Running).await;
    for task in ["task-3", "task-80", "task-81", "task-82", "task-83"] {
        site.add_task(task, TaskState::Queued).await;
    }
    let past = sample_work::spans().into_iter().map(LockChange::Began).collect();
    site.state.store.lock_changes(past).await.unwrap();
    site
}

#[tokio::test]
async fn every_page_is_served_whole_under_strict_headers() {
    let site = busy_site().await;
    for path in PAGES {
        let page = site.browse(path).await;
        assert_eq!(page.status, 200, "{path}: {}", page.text());
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8", "{path}");
        assert_eq!(faults(page.text()), Vec::<String>::new(), "{path}");
        let csp = page.header("content-security-policy");
        assert!(csp.starts_with("default-src 'none'") && csp.contains("script-src 'self'"), "{path}: {csp}");
        assert!(!csp.contains("unsafe") && !csp.contains('*') && csp.contains("frame-ancestors 'none'"), "{csp}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("cache-control", "no-store"),
            ("cross-origin-opener-policy", "same-origin"),
        ] {
            assert_eq!(page.header(name), value, "{path} {name}");
        }
        assert!(!page.headers.contains_key("set-cookie"), "{path}");
    }
}

#[tokio::test]
async fn every_link_on_every_page_leads_somewhere() {
    let site = busy_site().await;
    let mut todo: Vec<String> = PAGES.map(str::to_owned).into();
    let mut done = std::collections::BTreeSet::new();
    while let Some(path) = todo.pop() {
        let path = path.split('#').next().unwrap_or_default().to_owned();
        if path.is_empty() || !done.insert(path.clone()) || done.len() > 200 {
            continue;
        }
        let answer = site.browse(&path).await;
        // The task of the sample names a committed Task and an input that are not there; saying so is right.
        let expected = path.starts_with("/objects/Task/") || path.starts_with("/artifacts/7426afc489d0");
        assert!(answer.status == 200 || expected && answer.status == 404, "{path}: {}", answer.status);
        if answer.header("content-type").starts_with("text/html") {
            todo.extend(links(answer.text()));
        }
    }
    assert!(done.len() > 20, "{done:?}");
}

#[tokio::test]
async fn nothing_but_reading_exists() {
    let site = site().await;
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND"] {
        for path in ["/", "/api/v1/tasks", "/v1/tasks", "/v1/reconcile", "/nowhere", "/events"] {
            let target = if method == "CONNECT" { "127.0.0.1:1" } else { path };
            let answer = site.ask(method, target, &["Content-Length: 0"]).await;
            assert_eq!((answer.status, answer.header("allow")), (405, "GET, HEAD"), "{method} {path}");
        }
    }
    let page = site.ask("POST", "/tasks", &["Accept: text/html", "Content-Length: 0"]).await;
    assert!(page.status == 405 && text(page.text()).contains("this page only reads"), "{}", page.text());
}

#[tokio::test]
async fn head_answers_as_get_does_without_the_body() {
    let site = site().await;
    for path in ["/", "/api/v1/status", "/static/style.css", "/healthz", "/nowhere"] {
        let (get, head) = (site.get(path).await, site.ask("HEAD", path, &[]).await);
        assert_eq!((head.status, head.body.len()), (get.status, 0), "{path}");
        assert_eq!(head.header("content-type"), get.header("content-type"), "{path}");
    }
}

#[tokio::test]
async fn only_the_own_names_of_the_listener_are_served() {
    let site = site().await;
    let port = site.address.port();
    for host in
        [format!("127.0.0.1:{port}"), format!("localhost:{port}"), format!("LOCALHOST:{port}"), format!("[::1]:{port}")]
    {
        let answer = site.say(&["GET / HTTP/1.1", &format!("Host: {host}"), "Connection: close"]).await;
        assert_eq!(answer.status, 200, "{host}");
    }
    for host in [
        "evil.example".to_owned(),
        format!("evil.example:{port}"),
        format!("127.0.0.1.evil.example:{port}"),
        format!("localhost.:{port}"),
        "127.0.0.1".to_owned(),
        "localhost:1".to_owned(),
        format!("user@localhost:{port}"),
        String::new(),
    ] {
        for path in ["/", "/api/v1/status", "/events", "/static/live.js", "/healthz"] {
            let first = format!("GET {path} HTTP/1.1");
            let answer = site.say(&[&first, &format!("Host: {host}"), "Connection: close"]).await;
            assert_eq!(answer.status, 421, "{host} {path}");
            assert!(!answer.text().contains("desk"), "{host} {path}");
        }
    }
    let own = format!("Host: localhost:{port}");
    let two = site.say(&["GET / HTTP/1.1", &own, "Host: evil.example", "Connection: close"]).await;
    assert!(two.status >= 400, "{}", two.status);
    let none = site.say(&["GET / HTTP/1.1", "Connection: close"]).await;
    assert!(none.status >= 400, "{}", none.status);
    // The absolute form of an address does not stand in for the header.
    let absolute = format!("GET http://localhost:{port}/ HTTP/1.1");
    let absolute = site.say(&[&absolute, "Host: evil.example", "Connection: close"]).await;
    assert_eq!(absolute.status, 421);
}

#[tokio::test]
async fn what_is_wrong_is_told_to_programs_as_a_problem_and_to_people_as_a_page() {
    let site = site().await;
    for (path, status, says) in [
        ("/api/v1/tasks/task-9", 404, "no task is called `task-9`"),
        ("/api/v1/objects/Loadout/other", 404, "there is no Loadout/other"),
        ("/api/v1/objects/Pod/x", 404, "there is no kind `Pod`"),
        ("/api/v1/artifacts/xyz", 404, "is not a digest"),
        ("/api/v1/drift?snyc=Drifted", 400, "`snyc` is not a parameter"),
        ("/api/v1/drift?kind=Pod", 400, "`kind` is one of"),
        ("/api/v1/tasks?limit=0", 400, "`limit` is a whole number"),
        ("/api/v1/tasks?cursor=zzz", 400, "is not a cursor"),
        ("/api/v1/resources?gpu=gpu9", 404, "no host declares the GPU"),
        ("/api/v1/locks?gpu=gpu9", 404, "no host declares the GPU"),
        ("/api/v1/locks?type=mutex", 400, "`type` is one of"),
        ("/api/v1/locks?state=gone", 400, "`state` is one of"),
        ("/api/v1/locks?cursor=t1", 400, "is not a cursor"),
        ("/api/v1/tasks/task-9/why", 404, "no task is called `task-9`"),
        ("/api/v1/nowhere", 404, "/api/v1/openapi.json lists what there is"),
        ("/api/v2/tasks", 404, "there is no `/api/v2/tasks`"),
    ] {
        let answer = site.ask("GET", path, &["Accept: text/html"]).await;
        assert_eq!((answer.status, answer.header("content-type")), (status, "application/problem+json"), "{path}");
        let problem = answer.json();
        assert_eq!((&problem["type"], &problem["status"]), (&json!("about:blank"), &json!(status)), "{path}");
        assert!(problem["detail"].as_str().unwrap().contains(says), "{path}: {problem}");
        assert!(problem["title"].is_string() && answer.headers.contains_key("content-security-policy"), "{path}");
    }
    for (path, status) in [
        ("/tasks/task-9", 404),
        ("/locks?gpu=gpu9", 404),
        ("/locks?past=1y", 400),
        ("/?tga=x", 400),
        ("/tasks?state=dnoe", 400),
        ("/nowhere", 404),
        ("/runtimes/A%20b", 404),
    ] {
        let page = site.browse(path).await;
        assert_eq!(page.status, status, "{path}");
        assert_eq!(faults(page.text()), Vec::<String>::new(), "{path}");
        assert_eq!(site.get(path).await.header("content-type"), "application/problem+json", "{path}");
    }
    assert!(text(site.browse("/tasks?state=dnoe").await.text()).contains("did you mean `done`?"));
}

#[tokio::test]
async fn addresses_are_bounded_and_what_they_hold_is_never_markup() {
    let site = site().await;
    let long = site.get(&format!("/drift?cursor={}", "x".repeat(URL_BYTES_MAX))).await;
    assert_eq!(long.status, 414);
    for path in
        ["/tasks/%3Cscript%3Ealert(1)%3C%2Fscript%3E", "/tasks?tag=%3Cscript%3E", "/tasks/%FF%FE", "/%2e%2e/etc/passwd"]
    {
        let page = site.browse(path).await;
        assert!(page.status < 500 && !page.text().contains("<script>"), "{path}: {}", page.status);
    }
}

#[tokio::test]
async fn each_described_path_answers_with_the_keys_it_is_described_with() {
    let site = site().await;
    let sha = arcology::core::Digest::of(b"# Brief\n").hex();
    let document = site.get("/api/v1/openapi.json").await.json();
    let described: Vec<_> = document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    let mut served = API_PATHS.to_vec();
    served.sort_unstable();
    assert_eq!(described, served);
    for path in API_PATHS {
        let address = path
            .replace("{id}", "task-1")
            .replace("{sha}", &sha)
            .replace("{kind}", "Loadout")
            .replace("{name}", "desk");
        let answer = site.get(&address).await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (200, "application/json"),
            "{path}: {}",
            answer.text()
        );
        let body = answer.json();
        let one = match body.get("items") {
            Some(items) => {
                let mut keys: Vec<_> = body.as_object().unwrap().keys().map(String::as_str).collect();
                keys.sort_unstable();
                assert_eq!(keys, ["generated_at", "items", "next", "revision"], "{path}");
                assert!(body["revision"].as_str().unwrap().starts_with("main@sha1:"), "{path}");
                items[0].clone()
            }
            None => body,
        };
        let mut found: Vec<_> = one.as_object().unwrap().keys().map(String::as_str).collect();
        let mut wanted = openapi::keys_of(path).unwrap().to_vec();
        found.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(found, wanted, "{path}");
    }
}

#[tokio::test]
async fn lists_go_on_where_they_ended_and_can_be_narrowed() {
    let site = site().await;
    for n in 2..6 {
        site.finish_task(&format!("task-{n}"), &[("notes.txt", format!("note {n}").as_bytes())]).await;
    }
    let (mut ids, mut address) = (Vec::new(), "/api/v1/tasks?limit=2&state=done".to_owned());
    loop {
        let page = site.get(&address).await.json();
        ids.extend(page["items"].as_array().unwrap().iter().map(|task| task["id"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        address = format!("/api/v1/tasks?limit=2&state=done&cursor={next}");
    }
    assert_eq!(ids, ["task-5", "task-4", "task-3", "task-2", "task-1"]);
    assert_eq!(site.get("/api/v1/tasks?state=error").await.json()["items"], json!([]));
    assert_eq!(site.get("/api/v1/artifacts?type=md").await.json()["items"].as_array().unwrap().len(), 1);
    assert_eq!(site.get("/api/v1/audit?object=task-3").await.json()["items"].as_array().unwrap().len(), 1);
    let html = site.browse("/tasks?limit=2").await;
    assert!(html.text().contains("rel=\"next\"") && html.text().contains("limit=2&amp;cursor="), "{}", html.text());
}

#[tokio::test]
async fn it_is_ready_only_with_a_revision_and_alive_before() {
    let site = Site::open(Picture::default()).await;
    assert_eq!((site.get("/healthz").await.status, site.get("/readyz").await.status), (200, 503));
    let why = site.get("/readyz").await.json();
    assert_eq!(why, json!({"ready": false, "reasons": ["no revision was applied yet"]}));
    assert!(text(site.browse("/readyz").await.text()).contains("no revision was applied yet"));
    site.publish.send_replace(std::sync::Arc::new(sample::normal_picture()));
    assert_eq!(site.get("/readyz").await.json(), json!({"ready": true, "reasons": Value::Array(vec![])}));
    let broken = Picture { store_problem: Some("the disk is full".into()), ..sample::normal_picture() };
    site.publish.send_replace(std::sync::Arc::new(broken));
    let answer = site.get("/readyz").await;
    assert_eq!(answer.status, 503);
    assert!(answer.text().contains("the disk is full"));
}

#[tokio::test]
async fn files_of_the_page_are_kept_by_browsers_until_they_change() {
    let site = site().await;
    for (file, mime) in [
        ("style.css", "text/css; charset=utf-8"),
        ("live.js", "text/javascript; charset=utf-8"),
        ("icon.svg", "image/svg+xml"),
    ] {
        let path = format!("/static/{file}");
        let first = site.get(&path).await;
        assert_eq!((first.status, first.header("content-type")), (200, mime), "{file}");
        let known = format!("If-None-Match: {}", first.header("etag"));
        let again = site.ask("GET", &path, &[&known]).await;
        assert_eq!((again.status, again.body.len()), (304, 0), "{file}");
    }
    assert_eq!(site.get("/static/..%2Fmod.rs").await.status, 404);
    let other = ["/policies", "/models/minilm", "/blueprints/x", "/goldensets/x"];
    for path in other {
        let answer = site.get(path).await;
        assert!(answer.status == 307 && answer.header("location").starts_with('/'), "{path}");
    }
    assert_eq!(site.get("/models/%2F%2Fevil.example").await.status, 404);
}
