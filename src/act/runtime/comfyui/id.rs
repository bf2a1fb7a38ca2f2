//! Ids that are chosen here: of a prompt, so that it can be followed and taken back even when the answer is lost, and of a client.

use std::hash::{BuildHasher as _, RandomState};

/// A random UUID (version 4, RFC 9562) in lower case, as ComfyUI wants it.
pub(super) fn uuid() -> String {
    let bits = (u128::from(random()) << 64) | u128::from(random());
    of_bits(bits)
}

/// A seed: 48 random bits, which every program and every number of a figure can hold exactly.
pub(super) fn seed() -> u64 {
    random() >> 16
}

/// 64 bits that nobody can foretell: each state is keyed by the operating system's randomness and differs from the one before.
fn random() -> u64 {
    RandomState::new().hash_one(())
}

fn of_bits(bits: u128) -> String {
    let bits = bits & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_uuid_of_version_four_in_lower_case_and_no_two_are_alike() {
        assert_eq!(of_bits(u128::MAX), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(of_bits(0), "00000000-0000-4000-8000-000000000000");
        assert_ne!(uuid(), uuid());
        assert!(seed() < 1 << 48);
    }
}
