//! `--repo`: a path on this machine, or the address of a remote. Addresses are checked before anything is run.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::Error;

/// Where the repository is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    Local(PathBuf),
    Remote(Remote),
}

/// A remote that may be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Remote {
    /// As it is given to git. Holds no secret.
    pub url: String,
    pub scheme: Scheme,
}

/// The ways of talking to a remote that are allowed, as git calls them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    File,
    Https,
    /// Loopback only.
    Http,
    Ssh,
}

impl Scheme {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Https => "https",
            Self::Http => "http",
            Self::Ssh => "ssh",
        }
    }
}

impl Address {
    pub fn parse(text: &str) -> Result<Self, Error> {
        let refused = |why: &str| Error::Address { address: without_credentials(text), why: why.to_owned() };
        if text.is_empty() || text.chars().any(char::is_control) || text.starts_with('-') {
            return Err(refused("it is empty, starts with a dash, or has a control character in it"));
        }
        if let Some((scheme, rest)) = text.split_once("://") {
            let scheme = match scheme.to_ascii_lowercase().as_str() {
                "file" => Scheme::File,
                "https" => Scheme::Https,
                "http" => Scheme::Http,
                "ssh" | "git+ssh" | "ssh+git" => Scheme::Ssh,
                _ => return Err(refused("only https, ssh and file are spoken")),
            };
            return Self::with_scheme(text, scheme, rest);
        }
        if !Path::new(text).exists() && is_scp_like(text) {
            if text.split_once('@').is_some_and(|(user, _)| user.contains(':')) {
                return Err(Error::CredentialsInAddress { address: without_credentials(text), what: "a password" });
            }
            return Ok(Self::Remote(Remote { url: text.to_owned(), scheme: Scheme::Ssh }));
        }
        if text.contains("::") && !Path::new(text).exists() {
            return Err(refused("remote helpers are not run"));
        }
        Ok(Self::Local(PathBuf::from(text)))
    }

    fn with_scheme(text: &str, scheme: Scheme, rest: &str) -> Result<Self, Error> {
        let refused = |why: &str| Error::Address { address: without_credentials(text), why: why.to_owned() };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let (user, host) = authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
        let credentials = |what| Err(Error::CredentialsInAddress { address: without_credentials(text), what });
        match (scheme, user) {
            (Scheme::Https | Scheme::Http, Some(_)) => return credentials("a user name or token"),
            (Scheme::Ssh, Some(user)) if user.contains(':') => return credentials("a password"),
            (Scheme::Ssh, Some(user)) if user.starts_with('-') => return Err(refused("the user starts with a dash")),
            (Scheme::File, _) if !host.is_empty() && host != "localhost" => {
                return Err(refused("a file address names no host: write file:///path"));
            }
            _ => {}
        }
        if matches!(scheme, Scheme::Https | Scheme::Http) && rest.contains(['?', '#']) {
            return credentials("a query or fragment, which may hold a secret");
        }
        if scheme != Scheme::File && (host.is_empty() || host.starts_with('-')) {
            return Err(refused("it names no host"));
        }
        if scheme == Scheme::Http && !is_loopback(host) {
            return Err(refused("plain http is spoken only to this machine"));
        }
        Ok(Self::Remote(Remote { url: text.to_owned(), scheme }))
    }
}

/// `host:path` or `user@host:path`, with the colon before any slash, as git reads it.
fn is_scp_like(text: &str) -> bool {
    let Some((host, path)) = text.split_once(':') else { return false };
    !host.is_empty() && !host.contains('/') && !path.is_empty() && !path.starts_with(':')
}

fn is_loopback(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The address with any user information cut out: what may be shown.
pub(super) fn without_credentials(text: &str) -> String {
    let shown = match text.split_once("://") {
        Some((scheme, rest)) => {
            let rest = rest.split(['?', '#']).next().unwrap_or_default();
            let authority = rest.find('/').unwrap_or(rest.len());
            format!("{scheme}://{}", &rest[rest[..authority].rfind('@').map_or(0, |at| at + 1)..])
        }
        None => match text.split_once('@') {
            Some((user, rest)) if user.contains(':') => rest.to_owned(),
            _ => text.to_owned(),
        },
    };
    super::error::detail(&shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_are_spoken() {
        for (text, scheme) in [
            ("https://git.example.org/state.git", Scheme::Https),
            ("ssh://git@git.example.org:2222/state.git", Scheme::Ssh),
            ("git@git.example.org:team/state.git", Scheme::Ssh),
            ("file:///srv/state.git", Scheme::File),
            ("http://127.0.0.1:8080/state.git", Scheme::Http),
            ("http://[::1]:8080/state.git", Scheme::Http),
        ] {
            assert_eq!(
                Address::parse(text).unwrap(),
                Address::Remote(Remote { url: text.to_owned(), scheme }),
                "{text}"
            );
        }
        for text in [".", "/srv/state.git", "state", "./a:b"] {
            assert_eq!(Address::parse(text).unwrap(), Address::Local(text.into()), "{text}");
        }
    }

    #[test]
    fn credentials_in_an_address_are_refused_and_never_repeated() {
        for text in [
            "https://s3cret@git.example.org/state.git",
            "https://user:s3cret@git.example.org/state.git",
            "https://git.example.org/state.git?private_token=s3cret",
            "ssh://git:s3cret@git.example.org/state.git",
            "git:s3cret@git.example.org:state.git",
        ] {
            let error = Address::parse(text).unwrap_err();
            assert!(matches!(error, Error::CredentialsInAddress { .. }), "{text}: {error}");
            assert!(!error.to_string().contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn addresses_that_run_something_or_go_in_the_clear_are_refused() {
        for text in [
            "",
            "--upload-pack=touch /tmp/x",
            "ext::sh -c true",
            "git://git.example.org/state.git",
            "http://git.example.org/state.git",
            "http://127.0.0.1.example.org/state.git",
            "ssh://-oProxyCommand=x/state.git",
            "https:///state.git",
            "file://server/state.git",
        ] {
            assert!(matches!(Address::parse(text), Err(Error::Address { .. })), "{text}");
        }
    }
}
