//! What went wrong, for a person: what happened, where, and what to do next. And the exit codes, which are contracts.

use std::fmt;

use crate::core::text::nearest;

/// The exit codes of every verb.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done, valid, in sync, nothing to do.
    Fine,
    /// Failed, invalid, not in sync, not found.
    Problem,
    /// `plan --exit-code`: something would change.
    WouldChange,
    /// The command line itself makes no sense.
    Usage,
    /// `status`: no daemon answers.
    NoDaemon,
    /// `lease run`: what the program that was run left with.
    Program(u8),
}

impl Exit {
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Fine => 0,
            Self::Problem => 1,
            Self::WouldChange | Self::Usage => 2,
            Self::NoDaemon => 3,
            Self::Program(code) => code,
        }
    }
}

/// Why a verb could not do its work.
#[derive(Debug)]
pub struct Failure {
    /// What happened, a lower-case fragment.
    pub what: String,
    /// Where: a file, a socket, a place in a manifest.
    pub place: Option<String>,
    /// What to do next; each becomes a line.
    pub hints: Vec<String>,
    /// What lies beneath, shown with `-v`.
    pub details: Vec<String>,
    pub exit: Exit,
    /// Whoever read our output stopped reading: nothing is said.
    pub quiet: bool,
}

/// What every verb gives back.
pub type Outcome<T = Exit> = Result<T, Failure>;

impl Failure {
    pub fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            place: None,
            hints: Vec::new(),
            details: Vec::new(),
            exit: Exit::Problem,
            quiet: false,
        }
    }

    /// A command line that makes no sense.
    pub fn usage(what: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, ..Self::new(what) }
    }

    /// For verbs whose exit codes know only success and failure: that no daemon answers is a failure like any other.
    #[must_use]
    pub fn plain(self) -> Self {
        if self.exit == Exit::NoDaemon { self.exit(Exit::Problem) } else { self }
    }

    #[must_use]
    pub fn at(mut self, place: impl fmt::Display) -> Self {
        self.place = Some(place.to_string());
        self
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    #[must_use]
    pub fn detail(mut self, detail: impl fmt::Display) -> Self {
        self.details.push(detail.to_string());
        self
    }

    #[must_use]
    pub fn exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// Adds `did you mean …?` when one of `candidates` is near `wanted`.
    #[must_use]
    pub fn did_you_mean<'a>(self, wanted: &str, candidates: impl IntoIterator<Item = &'a str>) -> Self {
        match nearest(wanted, candidates) {
            Some(near) => self.hint(format!("did you mean `{near}`?")),
            None => self,
        }
    }
}

/// Output that nobody reads any more ends the verb without a word; any other trouble with output is told.
impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        let quiet = error.kind() == std::io::ErrorKind::BrokenPipe;
        let exit = if quiet { Exit::Fine } else { Exit::Problem };
        Self { quiet, exit, ..Self::new(format!("output could not be written: {error}")) }
    }
}

/// `error` and everything beneath it in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut beneath = error.source();
    while let Some(cause) = beneath {
        let words = cause.to_string();
        if !text.ends_with(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        beneath = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_the_published_ones() {
        let codes = [Exit::Fine, Exit::Problem, Exit::WouldChange, Exit::Usage, Exit::NoDaemon].map(Exit::code);
        assert_eq!(codes, [0, 1, 2, 2, 3]);
    }

    #[test]
    fn only_a_broken_pipe_is_passed_over_in_silence() {
        let broken = Failure::from(std::io::Error::from(std::io::ErrorKind::BrokenPipe));
        assert!(broken.quiet && broken.exit == Exit::Fine);
        let full = Failure::from(std::io::Error::from(std::io::ErrorKind::StorageFull));
        assert!(!full.quiet && full.exit == Exit::Problem);
    }
}
