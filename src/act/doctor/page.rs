//! Where the page listens, and whether this machine is on a tailnet. Judging, and one look for a socket.

use std::path::Path;

use super::finding::Finding;

/// Where Tailscale's daemon listens on Linux.
const TAILSCALE_SOCKET: &str = "/var/run/tailscale/tailscaled.sock";

/// What is known of the page's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    pub address: String,
    /// Whether it can be listened on, or why not.
    pub free: Result<(), String>,
    pub daemon_runs: bool,
    pub has_tailscale: bool,
}

/// Whether Tailscale's daemon has its socket here.
#[must_use]
pub fn has_tailscale() -> bool {
    Path::new(TAILSCALE_SOCKET).exists()
}

/// Judges.
#[must_use]
pub fn judge(facts: &Facts) -> Vec<Finding> {
    let address = &facts.address;
    let page = match &facts.free {
        Ok(()) if facts.daemon_runs => Finding::warn(
            "page",
            format!("the daemon runs, and nobody listens on {address}"),
            "if it was started with another --listen, name that here too: arcology doctor --listen ADDR",
        ),
        Ok(()) => Finding::ok("page", format!("{address} is free")),
        Err(_) if facts.daemon_runs => {
            Finding::ok("page", format!("{address} is taken, as it is while the daemon runs"))
        }
        Err(why) => Finding::fail("page", why.clone(), "choose another: arcology up --listen 127.0.0.1:PORT"),
    };
    let seen = if facts.has_tailscale {
        "it runs here; the page is served on loopback alone in this version, so reach it through SSH"
    } else {
        "not here; nothing needs it"
    };
    vec![page, Finding::skipped("tailscale", seen)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::act::doctor::Status;

    #[test]
    fn a_taken_port_is_only_trouble_when_no_daemon_took_it() {
        for (is_free, daemon_runs, expected) in [
            (true, false, Status::Ok),
            (false, true, Status::Ok),
            (false, false, Status::Fail),
            (true, true, Status::Warn),
        ] {
            let free = if is_free { Ok(()) } else { Err("in use".to_owned()) };
            let facts = Facts { address: "127.0.0.1:7480".into(), free, daemon_runs, has_tailscale: false };
            assert_eq!(judge(&facts)[0].status, expected);
        }
    }
}
