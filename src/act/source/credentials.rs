//! The identities for a remote: only those in the credentials folder, read when they are used.
//!
//! | file | for |
//! | --- | --- |
//! | `git-token` | https: the password or token |
//! | `git-user` | https: the user name beside it, where the forge wants a certain one |
//! | `git-ssh-key` | ssh: the private deploy key, without a passphrase |
//! | `git-known-hosts` | ssh: the host keys that are accepted, as in `known_hosts` |

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::Error;
use super::address::{Remote, Scheme};
use super::git_program::{Additions, absolute};

pub(super) const TOKEN: &str = "git-token";
pub(super) const USER: &str = "git-user";
pub(super) const SSH_KEY: &str = "git-ssh-key";
pub(super) const KNOWN_HOSTS: &str = "git-known-hosts";
/// The user name that is sent with a token when no other is given: forges that take tokens look at the token alone.
const USER_DEFAULT: &str = "x-access-token";
/// Bytes of a token or user name.
const TOKEN_BYTES_MAX: u64 = 8 << 10;
/// Seconds to reach an ssh host, and between two signs of life from it.
const CONNECT_SECONDS: u32 = 15;

/// What git needs to talk to `remote`.
pub(super) fn additions(remote: &Remote, folder: Option<&Path>) -> Result<Additions, Error> {
    let scheme = remote.scheme.as_str();
    let mut additions = Additions {
        settings: vec![(format!("protocol.{scheme}.allow"), "always".into())],
        variables: vec![("GIT_ALLOW_PROTOCOL", scheme.into())],
        secret: None,
    };
    match remote.scheme {
        Scheme::File => {}
        Scheme::Https | Scheme::Http => {
            if let Some(token) = folder.map(|folder| text(folder, TOKEN)).transpose()?.flatten() {
                let user = folder.map(|folder| text(folder, USER)).transpose()?.flatten();
                let user = user.as_deref().unwrap_or(USER_DEFAULT);
                let header = format!("Authorization: Basic {}", base64(format!("{user}:{token}").as_bytes()));
                additions.settings.push((format!("http.{}.extraHeader", origin(&remote.url)), header));
                // A token goes to the host it is for and to no other.
                additions.settings.push(("http.followRedirects".into(), "false".into()));
                additions.secret = Some(token);
            }
        }
        Scheme::Ssh => {
            let (key, hosts) = (file(folder, SSH_KEY)?, file(folder, KNOWN_HOSTS)?);
            additions.variables.push(("GIT_SSH_COMMAND", ssh_command(&key, &hosts)));
        }
    }
    Ok(additions)
}

/// A private key and known hosts, and nothing else that ssh could find by itself.
fn ssh_command(key: &str, known_hosts: &str) -> String {
    format!(
        "ssh -F /dev/null -i '{key}' -o IdentitiesOnly=yes -o IdentityAgent=none -o BatchMode=yes \
         -o PreferredAuthentications=publickey -o StrictHostKeyChecking=yes -o UserKnownHostsFile='{known_hosts}' \
         -o GlobalKnownHostsFile=/dev/null -o UpdateHostKeys=no -o ForwardAgent=no -o ClearAllForwardings=yes \
         -o ConnectTimeout={CONNECT_SECONDS} -o ServerAliveInterval={CONNECT_SECONDS}"
    )
}

/// The path of a credential that must be there, fit to stand in the command above without any quoting of its own.
fn file(folder: Option<&Path>, name: &str) -> Result<String, Error> {
    let refused = |why: &str| Error::Credential { file: name.to_owned(), why: why.to_owned() };
    let folder = folder.ok_or_else(|| refused("an ssh address needs it, and no credentials folder was given"))?;
    let path: PathBuf = absolute(folder)?.join(name);
    if !path.is_file() {
        return Err(refused("it is not there, and an ssh address needs it"));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,=@:".contains(c);
    match path.to_str() {
        Some(text) if text.chars().all(plain) => Ok(text.to_owned()),
        _ => Err(refused("its path has a character that ssh would read in its own way, such as a space")),
    }
}

/// A one-line secret; none when the file is not there.
fn text(folder: &Path, name: &str) -> Result<Option<String>, Error> {
    let refused = |why: String| Error::Credential { file: name.to_owned(), why };
    let file = match File::open(folder.join(name)) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(refused(error.to_string())),
    };
    if file.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0) {
        return Err(refused("every user of this machine can read it; set its mode to 0600".into()));
    }
    let mut content = String::new();
    file.take(TOKEN_BYTES_MAX).read_to_string(&mut content).map_err(|error| refused(error.to_string()))?;
    let secret = content.trim();
    if secret.is_empty() || secret.chars().any(char::is_control) {
        return Err(refused("it should hold one line".into()));
    }
    Ok(Some(secret.to_owned()))
}

/// `https://host:port/` of an address.
fn origin(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
    format!("{scheme}://{}/", rest.split('/').next().unwrap_or_default())
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0_u32, |group, byte| group << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = DIGITS[(group >> (18 - 6 * place)) as usize & 63];
            text.push(if place <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_as_in_the_examples_of_rfc_4648_section_10() {
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }

    #[test]
    fn a_token_is_scoped_to_its_host_and_an_ssh_address_without_a_key_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(TOKEN);
        std::fs::write(&path, "t0ken\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        let remote = |url: &str, scheme| Remote { url: url.into(), scheme };
        let https = remote("https://git.example.org:8443/team/state.git", Scheme::Https);
        let additions_ = additions(&https, Some(folder.path())).unwrap();
        let key = "http.https://git.example.org:8443/.extraHeader";
        assert!(additions_.settings.iter().any(|(setting, _)| setting == key), "{:?}", additions_.settings);

        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(additions(&https, Some(folder.path())), Err(Error::Credential { .. })));

        let ssh = remote("ssh://git@git.example.org/state.git", Scheme::Ssh);
        for folder in [None, Some(folder.path())] {
            assert!(matches!(additions(&ssh, folder), Err(Error::Credential { .. })));
        }
    }
}
