//! Where runtimes usually listen, and what a person may write for a place to look at. Pure.

use std::fmt;

/// The ports on which the known runtimes listen when nobody says otherwise, each with who does.
pub const USUAL_PORTS: &[(u16, &str)] = &[
    (5000, "text-generation-webui"),
    (7778, "TTS-WebUI"),
    (8000, "vLLM, speaches, openedai-speech"),
    (8080, "llama-swap, llama-server"),
    (8081, "llama-server"),
    (8188, "ComfyUI"),
    (8265, "Ray"),
    (8880, "Kokoro-FastAPI"),
    (11434, "Ollama"),
];

/// This machine, as it is asked.
pub const THIS_MACHINE: &str = "127.0.0.1";
/// The longest name of a host (RFC 1035, section 2.3.4).
const HOST_CHARS_MAX: usize = 253;

/// A port of a host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// A name or an address, an IPv6 address without brackets.
    pub host: String,
    pub port: u16,
    /// It is spoken to over TLS.
    pub is_tls: bool,
    /// A person named this very port, and not only the machine: what they hand over for it may be sent there.
    pub is_exact: bool,
}

/// What begins a place that is spoken to over TLS, and its port where none is named (RFC 9110, section 4.2.2).
const TLS: (&str, u16) = ("https://", 443);

impl Place {
    /// Base URL.
    #[must_use]
    pub fn endpoint(&self) -> String {
        match (self.is_tls, self.to_string()) {
            (false, at) => format!("http://{at}"),
            // As it is usually written, without the port that is meant anyway.
            (true, at) => format!("https://{}", at.strip_suffix(&format!(":{}", TLS.1)).unwrap_or(&at)),
        }
    }

    /// It is this machine by its name or address; the name of this machine in the network does not count.
    #[must_use]
    pub fn is_here(&self) -> bool {
        is_here(&self.host)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[must_use]
pub fn is_here(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

/// The places that `text` means: one where it names a port or TLS, else the host's `ports`.
///
/// # Errors
/// Why it is no `HOST`, `HOST:PORT` or `https://HOST[:PORT]`, in a few words.
pub fn parse(text: &str, ports: &[u16]) -> Result<Vec<Place>, String> {
    let (is_tls, rest) = match text.strip_prefix(TLS.0) {
        Some(rest) => (true, rest.strip_suffix('/').unwrap_or(rest)),
        None => (false, text),
    };
    let (host, port) = split(rest)?;
    let port = port.or(is_tls.then_some(TLS.1));
    if host.is_empty() || host.len() > HOST_CHARS_MAX {
        return Err("it names no host".to_owned());
    }
    let is_address = host.parse::<std::net::Ipv6Addr>().is_ok();
    let is_name =
        host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte)) && !host.starts_with('-');
    if !is_address && !is_name {
        return Err("write HOST, HOST:PORT or https://HOST, without a path".to_owned());
    }
    let place = |number: u16| Place { host: host.to_owned(), port: number, is_tls, is_exact: port.is_some() };
    Ok(port.map_or_else(|| ports.iter().map(|port| place(*port)).collect(), |port| vec![place(port)]))
}

fn split(text: &str) -> Result<(&str, Option<u16>), String> {
    let number = |port: &str| match port.parse::<u16>() {
        Ok(port) if port > 0 => Ok(Some(port)),
        _ => Err("its port is not a number between 1 and 65535".to_owned()),
    };
    if let Some(rest) = text.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or("a bracket is not closed")?;
        return match rest.strip_prefix(':') {
            Some(port) => Ok((host, number(port)?)),
            None if rest.is_empty() => Ok((host, None)),
            None => Err("after the bracket only :PORT may stand".to_owned()),
        };
    }
    match text.split_once(':') {
        Some((host, port)) if !port.contains([':', '/']) => Ok((host, number(port)?)),
        _ => Ok((text, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_with_and_without_ports_are_read() {
        for (text, expected) in [
            ("desk", "desk:1 desk:2"),
            ("desk.lan:8080", "desk.lan:8080"),
            ("127.0.0.1:5", "127.0.0.1:5"),
            ("[::1]:5", "[::1]:5"),
            ("[fe80::1]", "[fe80::1]:1 [fe80::1]:2"),
            ("::1", "[::1]:1 [::1]:2"),
            ("https://desk.lan", "desk.lan:443"),
        ] {
            let places: Vec<String> = parse(text, &[1, 2]).unwrap().iter().map(Place::to_string).collect();
            assert_eq!(places.join(" "), expected, "{text}");
        }
        assert!(is_here("localhost") && is_here("::1") && is_here("127.8.0.1") && !is_here("desk"));
    }

    #[test]
    fn a_place_with_a_port_or_tls_is_one_place_and_has_its_endpoint() {
        for (text, endpoint) in [
            ("desk:80", "http://desk:80"),
            ("https://desk", "https://desk"),
            ("https://desk/", "https://desk"),
            ("https://desk:8443", "https://desk:8443"),
            ("https://[::1]:9", "https://[::1]:9"),
        ] {
            let places = parse(text, &[1, 2]).unwrap();
            assert!(places.len() == 1 && places[0].is_exact && places[0].endpoint() == endpoint, "{places:?}");
        }
        assert!(parse("desk", &[1, 2]).unwrap().iter().all(|place| !place.is_exact && !place.is_tls));
    }

    #[test]
    fn what_is_no_place_is_refused() {
        for text in [
            "",
            ":80",
            "http://desk",
            "http://desk:80/",
            "desk/x",
            "a b",
            "me@desk",
            "desk:0",
            "desk:99999",
            "[::1",
            "[::1]x",
            "-desk",
            "desk:80:90",
            "https://",
            "https://desk/v1",
            "https://me:word@desk",
        ] {
            assert!(parse(text, &[1]).is_err(), "{text}");
        }
    }
}
