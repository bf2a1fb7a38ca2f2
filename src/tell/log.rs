//! The daemon's log as lines for people: the time, the sentence, and a word only when it is not good news.
//!
//! Fields and spans are left to the JSON log and to `-v`: a sentence that needs them to be understood is a poor one.

use std::fmt;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::terminal::clean_line;

/// Calm lines: `05:06:59 applied main@e0bf263de862 "Load it": 9 objects, 1 changed`.
pub struct Calm {
    /// Show fields too.
    pub fields: bool,
}

impl<S, N> FormatEvent<S, N> for Calm
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut line = Line { message: String::new(), fields: String::new() };
        event.record(&mut line);
        let word = match *event.metadata().level() {
            Level::ERROR => "error: ",
            Level::WARN => "warning: ",
            Level::INFO => "",
            Level::DEBUG => "debug: ",
            Level::TRACE => "trace: ",
        };
        let time = jiff::Zoned::now().strftime("%H:%M:%S").to_string();
        let fields = if self.fields { line.fields.as_str() } else { "" };
        // Subjects of commits and words of runtimes are foreign text: no line breaks, no control characters.
        writeln!(writer, "{time} {word}{}{}", clean_line(&line.message), clean_line(fields))
    }
}

struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        } else {
            self.fields.push_str(&format!(" {}={value:?}", field.name()));
        }
    }
}
