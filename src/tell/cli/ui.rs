//! The only place that prints. Data goes to stdout, talk to stderr, progress to a terminal only.
//!
//! Colour follows `--color`, then `NO_COLOR` (no-color.org), `CLICOLOR_FORCE` (bixense.com/clicolors) and the terminal.

use std::io::{self, IsTerminal as _, Write};

use clap::ValueEnum;

use crate::tell::terminal::{clean, clean_line, cut};

use super::failure::Failure;

/// When to use colour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Colour {
    #[default]
    Auto,
    Always,
    Never,
}

/// What a piece of text means; never told by colour alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    #[default]
    Plain,
    Good,
    Warning,
    Bad,
    Faint,
    Strong,
}

/// Width of a terminal that does not tell its own.
const WIDTH_UNKNOWN: usize = 100;
/// Terminals narrower than this are treated as if they were this wide.
const WIDTH_MIN: usize = 20;

/// Where output goes and how it may look.
pub struct Ui {
    out: Box<dyn Write>,
    err: Box<dyn Write>,
    colour_out: bool,
    colour_err: bool,
    width_out: Option<usize>,
    width_err: Option<usize>,
    verbose: bool,
    progress_shown: bool,
}

impl Ui {
    /// The output of this process.
    #[must_use]
    pub fn of_process(colour: Colour, verbose: bool) -> Self {
        let (out, err) = (io::stdout(), io::stderr());
        let (out_is_terminal, err_is_terminal) = (out.is_terminal(), err.is_terminal());
        let env = |name: &str| std::env::var(name).ok();
        Self {
            colour_out: uses_colour(colour, env, out_is_terminal),
            colour_err: uses_colour(colour, env, err_is_terminal),
            width_out: out_is_terminal.then(|| terminal_width(env("COLUMNS").as_deref(), &out)),
            width_err: err_is_terminal.then(|| terminal_width(env("COLUMNS").as_deref(), &err)),
            out: Box::new(out),
            err: Box::new(err),
            verbose,
            progress_shown: false,
        }
    }

    /// Output into the given writers, as a terminal of `width` cells or as a pipe.
    pub fn to(out: impl Write + 'static, err: impl Write + 'static, width: Option<usize>, colour: bool) -> Self {
        Self {
            out: Box::new(out),
            err: Box::new(err),
            colour_out: colour,
            colour_err: colour,
            width_out: width,
            width_err: width,
            verbose: false,
            progress_shown: false,
        }
    }

    /// How data may look.
    #[must_use]
    pub fn paint(&self) -> Paint {
        Paint { on: self.colour_out }
    }

    /// Cells of the terminal that data goes to; none when it goes to a pipe or a file.
    #[must_use]
    pub fn width(&self) -> Option<usize> {
        self.width_out
    }

    /// True when somebody watches progress.
    #[must_use]
    pub fn shows_progress(&self) -> bool {
        self.width_err.is_some()
    }

    /// Data for stdout as it is; `text` brings its own line ends.
    ///
    /// # Errors
    /// When it cannot be written; a broken pipe becomes a quiet failure.
    pub fn data(&mut self, text: &str) -> io::Result<()> {
        self.end_progress();
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }

    /// Data without any colour of ours, such as JSON. On a terminal it is made harmless; a pipe gets every byte of it.
    ///
    /// # Errors
    /// As for [`Ui::data`].
    pub fn plain(&mut self, text: &str) -> io::Result<()> {
        if self.width_out.is_some() { self.data(&clean(text)) } else { self.data(text) }
    }

    /// Replaces what stands on the terminal, or adds to a pipe.
    ///
    /// # Errors
    /// As for [`Ui::data`].
    pub fn redraw(&mut self, text: &str) -> io::Result<()> {
        if self.width_out.is_some() {
            self.out.write_all(b"\x1b[H\x1b[2J")?;
        }
        self.data(text)
    }

    /// Talk for stderr: one line.
    pub fn say(&mut self, line: &str) {
        self.end_progress();
        self.talk(&format!("{}\n", clean(line)));
    }

    /// A line that the next one replaces. Nothing is written where nobody watches.
    pub fn progress(&mut self, line: &str) {
        let Some(width) = self.width_err else { return };
        let line = cut(&clean_line(line), width.saturating_sub(1));
        self.talk(&format!("\r\x1b[K{line}"));
        self.progress_shown = true;
    }

    /// Tells a failure: what happened, where, what to do next.
    pub fn fail(&mut self, failure: &Failure) {
        if failure.quiet {
            return;
        }
        self.end_progress();
        let paint = Paint { on: self.colour_err };
        let mut text = format!("{} {}\n", paint.tone("error:", Tone::Bad), clean_line(&failure.what));
        if let Some(place) = &failure.place {
            text.push_str(&format!("  {} {}\n", paint.tone("at:", Tone::Faint), clean_line(place)));
        }
        for detail in failure.details.iter().filter(|_| self.verbose) {
            text.push_str(&format!("  {} {}\n", paint.tone("because:", Tone::Faint), clean_line(detail)));
        }
        for hint in &failure.hints {
            text.push_str(&format!("{} {}\n", paint.tone("hint:", Tone::Strong), clean_line(hint)));
        }
        self.talk(&text);
    }

    fn end_progress(&mut self) {
        if std::mem::take(&mut self.progress_shown) {
            self.talk("\r\x1b[K");
        }
    }

    /// Talk that cannot be delivered is given up: there is nobody left to tell.
    fn talk(&mut self, text: &str) {
        let _ = self.err.write_all(text.as_bytes()).and_then(|()| self.err.flush());
    }
}

/// Whether colour is used; pure, so that every combination can be tested.
fn uses_colour(choice: Colour, env: impl Fn(&str) -> Option<String>, is_terminal: bool) -> bool {
    let set = |name: &str| env(name).is_some_and(|value| !value.is_empty());
    match choice {
        Colour::Always => true,
        Colour::Never => false,
        Colour::Auto if set("NO_COLOR") => false,
        Colour::Auto if env("CLICOLOR_FORCE").is_some_and(|value| !value.is_empty() && value != "0") => true,
        Colour::Auto => is_terminal && env("TERM").is_none_or(|term| term != "dumb"),
    }
}

fn terminal_width(columns: Option<&str>, terminal: impl std::os::fd::AsFd) -> usize {
    let asked = columns.and_then(|text| text.trim().parse().ok()).filter(|width| *width > 0);
    let measured = || rustix::termios::tcgetwinsize(terminal).ok().map(|size| usize::from(size.ws_col));
    asked.or_else(measured).filter(|width| *width > 0).unwrap_or(WIDTH_UNKNOWN).max(WIDTH_MIN)
}

/// Puts colour around text where colour is used.
#[derive(Clone, Copy, Debug, Default)]
pub struct Paint {
    pub on: bool,
}

impl Paint {
    /// `text` in the colour of its meaning. The text must be harmless already.
    #[must_use]
    pub fn tone(self, text: &str, tone: Tone) -> String {
        let sgr = match tone {
            Tone::Plain => return text.to_owned(),
            Tone::Good => "32",
            Tone::Warning => "33",
            Tone::Bad => "1;31",
            Tone::Faint => "2",
            Tone::Strong => "1",
        };
        if self.on && !text.is_empty() { format!("\x1b[{sgr}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

#[cfg(test)]
pub mod capture {
    //! Output kept in memory, for tests of verbs.

    use std::cell::RefCell;
    use std::rc::Rc;

    /// A writer whose text can be read while somebody else holds it.
    #[derive(Clone, Default)]
    pub struct Captured(Rc<RefCell<Vec<u8>>>);

    impl Captured {
        pub fn text(&self) -> String {
            String::from_utf8(self.0.borrow().clone()).unwrap()
        }
    }

    impl std::io::Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.borrow_mut().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::capture::Captured;
    use super::*;

    #[test]
    fn colour_follows_the_flag_then_the_environment_then_the_terminal() {
        let none: &[(&str, &str)] = &[];
        for (choice, env, is_terminal, expected) in [
            (Colour::Auto, none, true, true),
            (Colour::Auto, none, false, false),
            (Colour::Auto, &[("NO_COLOR", "1")], true, false),
            (Colour::Auto, &[("NO_COLOR", "")], true, true),
            (Colour::Auto, &[("CLICOLOR_FORCE", "1")], false, true),
            (Colour::Auto, &[("CLICOLOR_FORCE", "0")], false, false),
            (Colour::Auto, &[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")], true, false),
            (Colour::Auto, &[("TERM", "dumb")], true, false),
            (Colour::Always, &[("NO_COLOR", "1")], false, true),
            (Colour::Never, &[("CLICOLOR_FORCE", "1")], true, false),
        ] {
            let get = |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
            assert_eq!(uses_colour(choice, get, is_terminal), expected, "{choice:?} {env:?} {is_terminal}");
        }
    }

    #[test]
    fn data_and_talk_keep_apart_and_progress_needs_a_terminal() {
        let (out, err) = (Captured::default(), Captured::default());
        let mut ui = Ui::to(out.clone(), err.clone(), None, false);
        ui.progress("working");
        ui.data("row\n").unwrap();
        ui.say("done");
        assert_eq!((out.text().as_str(), err.text().as_str()), ("row\n", "done\n"));

        let err = Captured::default();
        let mut ui = Ui::to(Captured::default(), err.clone(), Some(10), false);
        ui.progress("a long line of progress");
        ui.say("done");
        assert_eq!(err.text(), "\r\x1b[Ka long l…\r\x1b[Kdone\n");
    }

    #[test]
    fn data_of_others_cannot_steer_a_terminal_and_reaches_a_pipe_whole() {
        for (width, expected) in [(Some(80), "{\"a\": \"\u{fffd}31m\"}\n"), (None, "{\"a\": \"\u{9b}31m\"}\n")] {
            let out = Captured::default();
            Ui::to(out.clone(), Captured::default(), width, false).plain("{\"a\": \"\u{9b}31m\"}\n").unwrap();
            assert_eq!(out.text(), expected);
        }
    }

    #[test]
    fn a_failure_says_what_where_and_what_next_without_steering_the_terminal() {
        let err = Captured::default();
        let mut ui = Ui::to(Captured::default(), err.clone(), None, false);
        ui.fail(&Failure::new("no \u{1b}[2Jdaemon").at("/run/a.sock").detail("hidden").hint("start one: arcology up"));
        assert_eq!(err.text(), "error: no \u{fffd}[2Jdaemon\n  at: /run/a.sock\nhint: start one: arcology up\n");
    }
}
