//! What Landlock holds of each kernel, and what it leaves open, in words. Pure.
//!
//! The versions are those of the kernel's own page, <https://docs.kernel.org/userspace-api/landlock.html>: ABI 1 is Linux 5.13,
//! 3 is 6.2, 4 is 6.7, 6 is 6.12, 9 is 7.1. How the rules are put on is [`confine`](super::confine)'s.

/// From this version on a file that may not be written cannot be made empty either.
const TRUNCATES_SINCE: u32 = 3;
/// From this version on TCP can be shut.
const TCP_SINCE: u32 = 4;
/// From this version on other processes cannot be signalled, nor abstract Unix sockets reached.
const SCOPES_SINCE: u32 = 6;
/// From this version on Unix sockets that have a path can be shut.
const SOCKETS_SINCE: u32 = 9;

/// The version of Landlock that this kernel enforces; at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Abi(pub u32);

impl Abi {
    /// What programs are kept to, in a few words.
    #[must_use]
    pub fn holds(self) -> String {
        let mut held = vec!["own files"];
        held.extend((self.0 >= TCP_SINCE).then_some("no TCP unless asked for"));
        held.extend((self.0 >= SCOPES_SINCE).then_some("no signals to other processes"));
        held.push("no privileges");
        format!("Landlock ABI {} ({})", self.0, held.join(", "))
    }

    /// What programs can do all the same, the worst first.
    #[must_use]
    pub fn leaves_open(self) -> String {
        let mut open = Vec::new();
        open.extend((self.0 < SCOPES_SINCE).then_some("end processes of this user"));
        open.extend((self.0 < TRUNCATES_SINCE).then_some("empty files of this user"));
        open.extend((self.0 < SOCKETS_SINCE).then_some("reach Unix sockets, Arcology's own among them"));
        open.push(if self.0 < TCP_SINCE { "use the network" } else { "use the network but for TCP (UDP, for one)" });
        open.push("change the mode and times of this user's files");
        open.push("learn which files and processes there are");
        format!("programs can still {}", open.join(", "))
    }

    /// Whether everything is held that a kernel has held since 2024 (Linux 6.12).
    #[must_use]
    pub fn is_good(self) -> bool {
        self.0 >= SCOPES_SINCE
    }

    /// The Linux that would hold more, where there is one.
    #[must_use]
    pub fn better_from(self) -> Option<&'static str> {
        match self.0 {
            0..TRUNCATES_SINCE => Some("6.2"),
            TRUNCATES_SINCE..TCP_SINCE => Some("6.7"),
            TCP_SINCE..SCOPES_SINCE => Some("6.12"),
            SCOPES_SINCE..SOCKETS_SINCE => Some("7.1"),
            SOCKETS_SINCE.. => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_version_says_what_it_holds_and_what_it_leaves_open() {
        insta::assert_snapshot!(Abi(7).holds(), @"Landlock ABI 7 (own files, no TCP unless asked for, no signals to other processes, no privileges)");
        insta::assert_snapshot!(Abi(7).leaves_open(), @"programs can still reach Unix sockets, Arcology's own among them, use the network but for TCP (UDP, for one), change the mode and times of this user's files, learn which files and processes there are");
        insta::assert_snapshot!(Abi(1).holds(), @"Landlock ABI 1 (own files, no privileges)");
        insta::assert_snapshot!(Abi(1).leaves_open(), @"programs can still end processes of this user, empty files of this user, reach Unix sockets, Arcology's own among them, use the network, change the mode and times of this user's files, learn which files and processes there are");
    }

    #[test]
    fn a_newer_kernel_never_leaves_more_open() {
        for abi in 1..12 {
            let (now, next) = (Abi(abi).leaves_open(), Abi(abi + 1).leaves_open());
            for part in ["end processes", "empty files", "Unix sockets"] {
                assert!(now.contains(part) || !next.contains(part), "{abi}: {part}");
            }
        }
        assert!((1..9).all(|abi| Abi(abi).better_from().is_some()) && Abi(9).better_from().is_none());
    }
}
