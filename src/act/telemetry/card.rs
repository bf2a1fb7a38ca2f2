//! A graphics card as the driver tells of it: raw figures, checked for what cannot be, and why one cannot be read.

use crate::core::text::shorten;
use crate::decide::host_view::GpuProcess;

/// More memory than any card has, in bytes: 16 TiB. A larger figure is a broken answer.
const MEMORY_BYTES_MAX: u64 = 1 << 44;
/// Hotter than any chip survives, in degrees Celsius.
const TEMPERATURE_C_MAX: u32 = 200;
/// The longest name that is kept, in characters.
const NAME_CHARS_MAX: usize = 80;

/// A card that the driver counts.
#[derive(Clone, Debug, PartialEq)]
pub struct Card {
    /// Its place in the driver's count.
    pub index: u32,
    /// Absent when not even that could be asked.
    pub uuid: Option<String>,
    pub name: Option<String>,
    pub figures: Result<Figures, Fault>,
}

/// What a card uses.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    pub total_bytes: u64,
    /// What can still be allocated. The driver keeps some of the rest for itself, which counts as used here.
    pub free_bytes: u64,
    pub util_pct: Option<f64>,
    pub temperature_c: Option<f64>,
    /// The largest first.
    pub processes: Vec<GpuProcess>,
}

/// Why a card, or the driver, could not be asked: one sentence, the same words for the same cause.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Fault {
    pub why: String,
    /// The library should be opened anew before the next look: what it holds may be of a driver that is gone.
    pub reopen: bool,
}

impl Fault {
    pub fn lasting(why: impl Into<String>) -> Self {
        Self { why: why.into(), reopen: false }
    }
}

impl Figures {
    /// Figures that make sense together.
    ///
    /// # Errors
    /// When the memory figures cannot be true: then nothing of the card is believed.
    pub fn checked(
        total_bytes: u64,
        free_bytes: u64,
        util_pct: Option<u32>,
        temperature_c: Option<u32>,
        processes: Vec<GpuProcess>,
    ) -> Result<Self, Fault> {
        if total_bytes == 0 || total_bytes > MEMORY_BYTES_MAX || free_bytes > total_bytes {
            return Err(Fault::lasting("the driver's memory figures cannot be true"));
        }
        Ok(Self {
            total_bytes,
            free_bytes,
            util_pct: util_pct.filter(|pct| *pct <= 100).map(f64::from),
            temperature_c: temperature_c.filter(|degrees| *degrees <= TEMPERATURE_C_MAX).map(f64::from),
            processes,
        })
    }
}

/// A name as it may be shown: bounded, without control characters. None when nothing is left.
#[must_use]
pub fn plain_name(text: &str) -> Option<String> {
    let name = shorten(text.trim(), NAME_CHARS_MAX);
    (!name.trim().is_empty()).then_some(name)
}

/// The program's file name out of what the driver tells of a process, which may be its whole command line: arguments can
/// hold secrets and are not kept.
#[must_use]
pub fn program_name(text: &str) -> Option<String> {
    let program = text.split(char::is_whitespace).find(|word| !word.is_empty())?;
    plain_name(program.rsplit(['/', '\\']).next().unwrap_or(program))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_that_cannot_be_true_are_not_believed() {
        let gb = 1 << 30;
        for (total, free) in [(0, 0), (gb, gb + 1), (u64::MAX, 0), (MEMORY_BYTES_MAX + 1, 1)] {
            assert!(Figures::checked(total, free, None, None, Vec::new()).is_err(), "{total} {free}");
        }
        let odd = Figures::checked(gb, gb, Some(4_000_000_000), Some(u32::MAX), Vec::new()).unwrap();
        assert_eq!((odd.util_pct, odd.temperature_c), (None, None), "the memory may still be right");
        let usual = Figures::checked(gb, 0, Some(100), Some(61), Vec::new()).unwrap();
        assert_eq!((usual.util_pct, usual.temperature_c), (Some(100.0), Some(61.0)));
    }

    #[test]
    fn of_a_process_its_program_is_kept_and_no_argument() {
        for (told, kept) in [
            ("/usr/bin/python3 serve.py --token=abc", Some("python3")),
            ("llama-server", Some("llama-server")),
            ("C:\\Tools\\comfy.exe", Some("comfy.exe")),
            ("  ", None),
            ("/", None),
        ] {
            assert_eq!(program_name(told).as_deref(), kept, "{told}");
        }
        assert!(!plain_name("RTX\u{1b}[2J 5090").unwrap().contains('\u{1b}'));
        assert_eq!(plain_name(&"x".repeat(500)).unwrap().chars().count(), NAME_CHARS_MAX);
    }
}
