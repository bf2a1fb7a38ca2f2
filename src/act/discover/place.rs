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
}

impl Place {
    /// Base URL.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{self}")
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

/// The places that `text` means: one where it names a port, else the host's `ports`.
///
/// # Errors
/// Why it is no `HOST` or `HOST:PORT`, in a few words.
pub fn parse(text: &str, ports: &[u16]) -> Result<Vec<Place>, String> {
    let (host, port) = split(text)?;
    if host.is_empty() || host.len() > HOST_CHARS_MAX {
        return Err("it names no host".to_owned());
    }
    let is_address = host.parse::<std::net::Ipv6Addr>().is_ok();
    let is_name =
        host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte)) && !host.starts_with('-');
    if !is_address && !is_name {
        return Err("write HOST or HOST:PORT, without http:// and without a path".to_owned());
    }
    let place = |port: u16| Place { host: host.to_owned(), port };
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
        ] {
            let places: Vec<String> = parse(text, &[1, 2]).unwrap().iter().map(Place::to_string).collect();
            assert_eq!(places.join(" "), expected, "{text}");
        }
        assert!(is_here("localhost") && is_here("::1") && is_here("127.8.0.1") && !is_here("desk"));
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
        ] {
            assert!(parse(text, &[1]).is_err(), "{text}");
        }
    }
}
