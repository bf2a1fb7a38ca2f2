//! Units that manifests are written in: lengths of time and gigabytes.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A length of time written with its unit: `500ms`, `5s`, `10m`, `2h`, `7d`, or several: `1h30m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(Duration);

/// The longest span: a hundred years. Longer ones are typing errors and would overflow time arithmetic.
pub const SPAN_MAX: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Text that is no length of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a length of time; write a whole number and a unit, such as 500ms, 5s, 10m, 2h or 7d")]
pub struct SpanError(String);

impl Span {
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }

    #[must_use]
    pub const fn get(self) -> Duration {
        self.0
    }

    /// Reads `5s`, `1h30m` and the like.
    ///
    /// # Errors
    /// When the text is anything else, or longer than [`SPAN_MAX`].
    pub fn parse(text: &str) -> Result<Self, SpanError> {
        let bad = || SpanError(text.chars().take(40).collect());
        let mut rest = text.trim();
        let mut total = Duration::ZERO;
        if rest.is_empty() {
            return Err(bad());
        }
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let number: u64 = rest[..digits].parse().map_err(|_| bad())?;
            rest = &rest[digits..];
            let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
            let millis = match &rest[..letters] {
                "ms" => 1,
                "s" => 1_000,
                "m" | "min" => 60_000,
                "h" => 3_600_000,
                "d" => 86_400_000,
                _ => return Err(bad()),
            };
            rest = &rest[letters..];
            let part = Duration::from_millis(number.checked_mul(millis).ok_or_else(bad)?);
            total = total.checked_add(part).filter(|sum| *sum <= SPAN_MAX).ok_or_else(bad)?;
        }
        Ok(Self(total))
    }
}

/// A number of gigabytes without needless decimals: `7.8`, `32`.
#[must_use]
pub fn gigabytes(amount: f64) -> String {
    // Rounded first, and then without the sign of zero: the sum of no figures is -0.
    let text = format!("{:.1}", (amount * 10.0).round() / 10.0 + 0.0);
    text.strip_suffix(".0").unwrap_or(&text).to_owned()
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if millis == 0 {
            return f.write_str("0s");
        }
        for (unit, size) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)] {
            let n = millis / size;
            millis %= size;
            if n > 0 {
                write!(f, "{n}{unit}")?;
            }
        }
        Ok(())
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for Span {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Span".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "A length of time with its unit: 500ms, 5s, 10m, 2h, 7d, or several: 1h30m.",
            "pattern": "^([0-9]+(ms|s|m|min|h|d))+$",
            "format": "arcology-span",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_and_written_the_same_way() {
        for (text, secs) in [("5s", 5), ("10m", 600), ("1h30m", 5_400), ("7d", 604_800), ("0s", 0)] {
            let span = Span::parse(text).unwrap();
            assert_eq!(span, Span::from_secs(secs));
            assert_eq!(span.to_string(), text);
        }
        assert_eq!(Span::parse("500ms").unwrap().get(), Duration::from_millis(500));
    }

    #[test]
    fn gigabytes_have_one_decimal_where_it_says_something() {
        for (amount, text) in [(7.8, "7.8"), (32.0, "32"), (31.99, "32"), (0.0, "0"), (-0.0, "0"), (-0.04, "0")] {
            assert_eq!(gigabytes(amount), text);
        }
    }

    #[test]
    fn a_span_without_a_unit_or_beyond_a_century_is_refused() {
        for text in ["", "5", "s", "5 s", "-5s", "1.5h", "5w", "99999999999999999999s", "40000d"] {
            assert!(Span::parse(text).is_err(), "{text}");
        }
    }
}
