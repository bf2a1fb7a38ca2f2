//! Addresses within the page: everything that comes from outside is percent-encoded.

use std::fmt::Write as _;

/// One path segment or query value: all but letters, digits, `-`, `.`, `_` and `~` is encoded.
#[must_use]
pub fn segment(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// `path?key=value&…` with what is present.
#[must_use]
pub fn with_query<'a>(path: &str, query: impl IntoIterator<Item = (&'a str, Option<&'a str>)>) -> String {
    let mut address = path.to_owned();
    let mut join = '?';
    for (key, value) in query {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            address.push(join);
            address.push_str(key);
            address.push('=');
            address.push_str(&segment(value));
            join = '&';
        }
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_comes_from_outside_can_leave_its_place_in_an_address() {
        assert_eq!(segment("a b/../?x=1&y#\"<é"), "a%20b%2F..%2F%3Fx%3D1%26y%23%22%3C%C3%A9");
        let query = [("sync", Some("Drifted")), ("kind", None), ("held", Some("")), ("cursor", Some("1.a&b"))];
        assert_eq!(with_query("/drift", query), "/drift?sync=Drifted&cursor=1.a%26b");
    }
}
