//! A runtime's endpoint is a plain HTTP address, there when the adapter needs one and absent otherwise.

use super::super::code::ENDPOINT;
use super::super::document::Spec;
use super::{Complaint, Subject, spec};

pub fn check(subject: &Subject<'_>, complaints: &mut Vec<Complaint>) {
    let Spec::Runtime(runtime) = subject.spec else { return };
    let adapter = runtime.adapter.as_str();
    let complaint = |message: String| Complaint::new(ENDPOINT, spec("endpoint"), message);
    let by_adapter = |message: String| complaint(message).follows_from(spec("adapter"));
    match &runtime.endpoint {
        None if runtime.adapter.needs_endpoint() => complaints.push(
            by_adapter(format!("the adapter `{adapter}` is reached over HTTP, but there is no endpoint"))
                .label("`endpoint` is missing here")
                .help("for example `endpoint: http://127.0.0.1:8080`"),
        ),
        Some(_) if !runtime.adapter.needs_endpoint() => complaints.push(
            by_adapter(format!("the adapter `{adapter}` is not reached over HTTP"))
                .at_key()
                .label("not used")
                .help("remove this line"),
        ),
        Some(endpoint) => complaints.extend(flaw(endpoint).map(|(message, help)| {
            complaint(message.to_owned()).label("expected an address such as http://127.0.0.1:8080").help(help)
        })),
        None => {}
    }
}

/// What is wrong with an endpoint, and what to do. The address itself is never repeated: it may hold a password.
fn flaw(endpoint: &str) -> Option<(&'static str, &'static str)> {
    let rest = endpoint.strip_prefix("http://").or_else(|| endpoint.strip_prefix("https://"));
    let Some(rest) = rest else {
        return Some((
            "the endpoint does not begin with http:// or https://",
            "write the scheme, the host and the port",
        ));
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Some((
            "the endpoint holds credentials, and manifests are in Git",
            "use `auth: {tokenFrom: {file: NAME}}` instead; if this was committed, change the password",
        ));
    }
    if endpoint.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Some(("the endpoint holds white space", "remove it"));
    }
    if rest.contains(['?', '#']) {
        return Some(("the endpoint has a query or a fragment", "give the base address alone"));
    }
    let (host, port) = split_port(authority);
    if host.is_empty() {
        return Some(("the endpoint has no host", "write it between the slashes and the port"));
    }
    if port.is_some_and(|port| port.parse::<u16>().map_or(true, |number| number == 0)) {
        return Some(("the endpoint's port is no number from 1 to 65535", "write the port behind a colon"));
    }
    None
}

/// Host and port of an authority; an IPv6 address stands in brackets.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    let after_host = authority.rfind(']').map_or(0, |at| at + 1);
    match authority[after_host..].find(':') {
        Some(at) => (&authority[..after_host + at], Some(&authority[after_host + at + 1..])),
        None => (authority, None),
    }
}

#[cfg(test)]
mod tests {
    use super::flaw;

    #[test]
    fn plain_http_addresses_pass() {
        for good in
            ["http://127.0.0.1:8080", "https://box.tail1234.ts.net", "http://[::1]:80/v1", "http://localhost:9/a@b"]
        {
            assert_eq!(flaw(good), None, "{good}");
        }
    }

    #[test]
    fn anything_else_is_named_for_what_it_is() {
        for (bad, word) in [
            ("127.0.0.1:8080", "begin"),
            ("ftp://host", "begin"),
            ("http://user:pw@host", "credentials"),
            ("http://", "no host"),
            ("http://:80", "no host"),
            ("http://host:", "port"),
            ("http://host:0", "port"),
            ("http://host:99999", "port"),
            ("http://host/?key=1", "query"),
            ("http://my host", "white space"),
        ] {
            assert!(flaw(bad).unwrap().0.contains(word), "{bad}");
        }
    }
}
