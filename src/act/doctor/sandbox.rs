//! What protects this machine from the programs of `adapter: exec`, and what is missing of that.

use crate::act::runtime::exec::Protection;
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
    let found = tokio::task::spawn_blocking(|| Protection::found(Sandboxing::Auto)).await;
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

/// Judges.
#[must_use]
pub fn judge(facts: &Facts) -> Vec<Finding> {
    const CHECK: &str = "sandbox";
    let Some(missing) = facts.protection.missing() else {
        return vec![Finding::ok(CHECK, facts.protection.in_words())];
    };
    if !facts.is_needed {
        return vec![Finding::skipped(CHECK, format!("no runtime runs programs; for those: {missing}"))];
    }
    let mend = if facts.user_namespaces == Some(false) {
        "install bubblewrap, and let it make user namespaces: an AppArmor profile for bwrap, or sysctl kernel.unprivileged_userns_clone=1 (Debian), kernel.apparmor_restrict_unprivileged_userns=0 (Ubuntu)"
    } else {
        "install bubblewrap and util-linux (apt install bubblewrap util-linux)"
    };
    vec![Finding::warn(CHECK, missing, mend)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::act::doctor::Status;

    #[test]
    fn missing_protection_matters_where_programs_are_run() {
        // Nothing is there at all.
        let with = |is_needed, user_namespaces| {
            judge(&Facts { protection: Protection::default(), user_namespaces, is_needed })[0].clone()
        };
        assert_eq!(with(false, None).status, Status::Skipped);
        assert!(with(true, Some(true)).mend.is_some_and(|mend| mend.contains("apt install bubblewrap")));
        assert!(with(true, Some(false)).mend.is_some_and(|mend| mend.contains("user namespaces")));
        assert_eq!(with(true, None).status, Status::Warn);
    }
}
