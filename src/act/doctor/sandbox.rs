//! What protects this machine from the programs of `adapter: exec`, and what is missing of that.

use crate::act::runtime::exec::{Protection, Tools};
use crate::declare::manifest::kind::options::exec::Sandboxing;

use super::finding::Finding;

/// What is known of the protection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    pub protection: Protection,
    /// Whether the kernel lets anybody make user namespaces; none where it does not tell.
    pub user_namespaces: Option<bool>,
    /// Whether a Runtime of `adapter: exec` is declared.
    pub is_needed: bool,
}

/// Looks; bubblewrap is tried with nothing in it.
pub async fn gather(is_needed: bool) -> Facts {
    let found = tokio::task::spawn_blocking(|| Protection::found(Sandboxing::Auto, &Tools::of_arcology())).await;
    Facts { protection: found.unwrap_or_default(), user_namespaces: user_namespaces(), is_needed }
}

/// Distributions have one switch or the other; the number is the kernel's own.
fn user_namespaces() -> Option<bool> {
    let read = |path: &str| std::fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let most = read("/proc/sys/user/max_user_namespaces")?;
    let forbidden = read("/proc/sys/kernel/unprivileged_userns_clone") == Some(0)
        || read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == Some(1);
    Some(most > 0 && !forbidden)
}

const SANDBOX: &str = "sandbox";
const USER_NAMESPACES: &str = "user namespaces";
const LANDLOCK: &str = "landlock";

/// Judges: the level that there is, and what the better and the next level need of the kernel.
#[must_use]
pub fn judge(facts: &Facts) -> Vec<Finding> {
    vec![sandbox(facts), user_namespaces_of(facts), landlock(facts)]
}

fn sandbox(facts: &Facts) -> Finding {
    let Some(missing) = facts.protection.missing() else {
        return Finding::ok(SANDBOX, facts.protection.in_words());
    };
    if !facts.is_needed {
        return Finding::skipped(SANDBOX, format!("no runtime runs programs; for those: {missing}"));
    }
    let mend = if facts.protection.has_bubblewrap() {
        "install util-linux (apt install util-linux)"
    } else if facts.user_namespaces == Some(false) {
        "install bubblewrap (apt install bubblewrap), and let it make user namespaces, see below"
    } else {
        "install bubblewrap (apt install bubblewrap)"
    };
    Finding::warn(SANDBOX, missing, mend)
}

/// Without them bubblewrap makes no sandbox.
fn user_namespaces_of(facts: &Facts) -> Finding {
    const MEND: &str = "let bubblewrap make them: an AppArmor profile for bwrap, or sysctl kernel.unprivileged_userns_clone=1 (Debian), kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu), user.max_user_namespaces=10000 (elsewhere); in a container, run it with a seccomp profile that allows them";
    let works = facts.protection.has_bubblewrap();
    match facts.user_namespaces {
        _ if works => Finding::ok(USER_NAMESPACES, "bubblewrap can make them"),
        Some(true) => Finding::ok(USER_NAMESPACES, "the kernel lets anybody make them"),
        Some(false) if facts.is_needed => {
            Finding::warn(USER_NAMESPACES, "the kernel lets nobody but root make them, and bubblewrap needs them", MEND)
        }
        Some(false) => {
            Finding::skipped(USER_NAMESPACES, "no runtime runs programs; for those: nobody but root may make them")
        }
        None => Finding::skipped(USER_NAMESPACES, "this kernel does not tell whether they can be made"),
    }
}

/// What holds programs where bubblewrap does not.
fn landlock(facts: &Facts) -> Finding {
    let mend = |linux: &str| {
        format!(
            "use Linux {linux} or newer, built with CONFIG_SECURITY_LANDLOCK, and started with `landlock` in `lsm=` where that is set"
        )
    };
    let matters = facts.is_needed && !facts.protection.has_bubblewrap();
    match facts.protection.landlock() {
        Ok(abi) => match abi.better_from() {
            Some(linux) if matters && !abi.is_good() => {
                Finding::warn(LANDLOCK, format!("ABI {}: {}", abi.0, abi.leaves_open()), mend(linux))
            }
            Some(_) | None => Finding::ok(LANDLOCK, format!("ABI {}, used where bubblewrap does not work", abi.0)),
        },
        Err(why) if matters => Finding::warn(LANDLOCK, format!("not used: {why}"), mend("5.13")),
        Err(why) => Finding::skipped(LANDLOCK, format!("not needed here; {why}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::act::doctor::Status;

    fn with(is_needed: bool, user_namespaces: Option<bool>, protection: Protection) -> Vec<Finding> {
        judge(&Facts { protection, user_namespaces, is_needed })
    }

    #[test]
    fn missing_protection_matters_where_programs_are_run() {
        let nothing = Protection::default;
        let statuses = |findings: Vec<Finding>| findings.iter().map(|finding| finding.status).collect::<Vec<_>>();
        use Status::{Ok, Skipped, Warn};
        assert_eq!(statuses(with(false, None, nothing())), [Skipped, Skipped, Skipped]);
        assert_eq!(statuses(with(false, Some(false), nothing())), [Skipped, Skipped, Skipped]);
        assert_eq!(statuses(with(true, None, nothing())), [Warn, Skipped, Warn]);
        assert_eq!(statuses(with(true, Some(true), nothing())), [Warn, Ok, Warn]);
        assert_eq!(statuses(with(true, Some(false), nothing())), [Warn, Warn, Warn]);
    }

    #[test]
    fn each_line_says_how_to_mend_it() {
        let findings = with(true, Some(false), Protection::default());
        for (finding, part) in findings.iter().zip(["apt install bubblewrap", "sysctl", "CONFIG_SECURITY_LANDLOCK"]) {
            assert!(finding.mend.as_deref().is_some_and(|mend| mend.contains(part)), "{finding:?}");
        }
        assert!(
            with(true, Some(true), Protection::default())[0]
                .mend
                .as_deref()
                .is_some_and(|mend| !mend.contains("namespaces"))
        );
    }

    #[test]
    fn a_kernel_whose_landlock_holds_little_is_told_where_it_is_all_there_is() {
        for (abi, status) in [(1, Status::Warn), (5, Status::Warn), (6, Status::Ok), (9, Status::Ok)] {
            let finding = &with(true, None, Protection::with_landlock(abi))[2];
            assert_eq!(finding.status, status, "{finding:?}");
            assert!(finding.seen.contains(&format!("ABI {abi}")), "{finding:?}");
        }
        assert_eq!(with(false, None, Protection::with_landlock(1))[2].status, Status::Ok);
    }
}
