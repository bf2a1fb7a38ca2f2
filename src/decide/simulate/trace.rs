//! What happened in a simulation, line by line: always as a digest, and as text where somebody wants to read it.

use std::fmt::{self, Write};

/// FNV-1a (Fowler, Noll, Vo; draft-eastlake-fnv): enough to tell two traces apart, and cheap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    pub fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    #[must_use]
    pub fn value(self) -> u64 {
        self.0
    }
}

impl Write for Fnv {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.add(text.as_bytes());
        Ok(())
    }
}

/// The trace of one simulation.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    digest: Fnv,
    text: Option<Vec<String>>,
    lines: u64,
}

impl Trace {
    /// A trace that keeps its text.
    #[must_use]
    pub fn kept() -> Self {
        Self { text: Some(Vec::new()), ..Self::default() }
    }

    /// Adds a line that happened at `at_ms`.
    pub fn add(&mut self, at_ms: u64, line: fmt::Arguments<'_>) {
        self.lines += 1;
        self.digest.add(&at_ms.to_le_bytes());
        // A hasher takes everything that is written into it.
        let _ = self.digest.write_fmt(line);
        if let Some(text) = &mut self.text {
            text.push(format!("{:>9.3} s  {line}", at_ms as f64 / 1e3));
        }
    }

    #[must_use]
    pub fn digest(&self) -> u64 {
        self.digest.value()
    }

    #[must_use]
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// The text, where it was kept.
    #[must_use]
    pub fn into_text(self) -> Vec<String> {
        self.text.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fnv_gives_the_published_value_of_a_word() {
        // From the reference code's test vectors: FNV-1a, 64 bits, of "foobar".
        let mut hash = Fnv::default();
        hash.add(b"foobar");
        assert_eq!(hash.value(), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn a_trace_differs_by_its_words_and_by_its_times_and_not_by_being_kept() {
        let of = |mut trace: Trace, at, word: &str| {
            trace.add(at, format_args!("{word}"));
            trace.digest()
        };
        assert_eq!(of(Trace::default(), 1, "a"), of(Trace::kept(), 1, "a"));
        assert_ne!(of(Trace::default(), 1, "a"), of(Trace::default(), 2, "a"));
        assert_ne!(of(Trace::default(), 1, "a"), of(Trace::default(), 1, "b"));
    }
}
