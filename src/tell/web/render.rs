//! From a view to HTML: the only file that names the template engine.
//!
//! Guarantees: everything is escaped; control characters and the ones that turn text around are made visible, so that
//! no name can pose as another; an absent value that a template forgot about is an error, never an empty place; a
//! template cannot run for ever.

use std::borrow::Cow;
use std::sync::LazyLock;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, ValueKind};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, State, UndefinedBehavior, Value, escape_formatter};
use serde::Serialize;

/// The most steps that one page may take: about ten times what a page of 1,000 objects needs.
const FUEL_MAX: u64 = 10_000_000;

/// The pages, by the file that lays them out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Template {
    Home,
    Drift,
    Object,
    Locks,
    Tasks,
    Task,
    Runtime,
    Models,
    Vault,
    Artifact,
    Audit,
    Message,
}

impl Template {
    fn file(self) -> &'static str {
        match self {
            Self::Home => "home.html",
            Self::Drift => "drift.html",
            Self::Object => "object.html",
            Self::Locks => "locks.html",
            Self::Tasks => "tasks.html",
            Self::Task => "task.html",
            Self::Runtime => "runtime.html",
            Self::Models => "models.html",
            Self::Vault => "vault.html",
            Self::Artifact => "artifact.html",
            Self::Audit => "audit.html",
            Self::Message => "message.html",
        }
    }
}

const SOURCES: [(&str, &str); 15] = [
    ("parts.html", include_str!("template/parts.html")),
    ("frame.html", include_str!("template/frame.html")),
    ("home.html", include_str!("template/home.html")),
    ("drift.html", include_str!("template/drift.html")),
    ("object.html", include_str!("template/object.html")),
    ("lock_parts.html", include_str!("template/lock_parts.html")),
    ("locks.html", include_str!("template/locks.html")),
    ("tasks.html", include_str!("template/tasks.html")),
    ("task.html", include_str!("template/task.html")),
    ("runtime.html", include_str!("template/runtime.html")),
    ("models.html", include_str!("template/models.html")),
    ("vault.html", include_str!("template/vault.html")),
    ("artifact.html", include_str!("template/artifact.html")),
    ("audit.html", include_str!("template/audit.html")),
    ("message.html", include_str!("template/message.html")),
];

static TEMPLATES: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.expect("the delimiters are the usual ones"));
    environment.set_fuel(Some(FUEL_MAX));
    environment.set_formatter(write_value);
    for (name, source) in SOURCES {
        environment.add_template(name, source).expect("the templates are part of the program and tests render each");
    }
    environment
});

/// A view that could not be laid out: a mistake in a template, or a page that would be too large.
#[derive(Debug, thiserror::Error)]
#[error("the page could not be rendered")]
pub struct RenderError(#[source] Error);

/// The page as HTML.
///
/// # Errors
/// When the template asks for what the view does not have, or takes too many steps.
pub fn html(template: Template, view: &impl Serialize) -> Result<String, RenderError> {
    let page = TEMPLATES.get_template(template.file()).map_err(RenderError)?;
    page.render(Value::from(Serde(view))).map_err(RenderError)
}

/// Writes a value into a page. Absent values are refused: what stands there instead is the template's to say.
fn write_value(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    match value.kind() {
        ValueKind::None => Err(Error::new(ErrorKind::InvalidOperation, "an absent value cannot be shown")),
        ValueKind::String if !value.is_safe() => match value.as_str().map(visible) {
            Some(Cow::Owned(text)) => escape_formatter(out, state, &Value::from(text)),
            Some(Cow::Borrowed(_)) | None => escape_formatter(out, state, value),
        },
        _ => escape_formatter(out, state, value),
    }
}

/// The text with each character that would be invisible or turn its neighbours around replaced by its number.
///
/// The set: control characters but tab and line end, and the bidirectional controls and zero-width characters that
/// let one text pose as another (Unicode Technical Report 36, section 3; CVE-2021-42574).
fn visible(text: &str) -> Cow<'_, str> {
    use std::fmt::Write as _;
    if !text.chars().any(deceives) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if deceives(c) {
            // Writing to a String cannot fail.
            let _ = write!(shown, "<U+{:04X}>", u32::from(c));
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

fn deceives(c: char) -> bool {
    let bidirectional =
        matches!(c, '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
    let zero_width = matches!(c, '\u{200B}' | '\u{2060}' | '\u{FEFF}');
    bidirectional || zero_width || (c.is_control() && !matches!(c, '\n' | '\t'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_turns_around_or_hides_is_shown_as_numbers() {
        assert_eq!(visible("plain\n\ttext é 漢"), "plain\n\ttext é 漢");
        assert_eq!(visible("a\u{202e}b\u{0}"), "a<U+202E>b<U+0000>");
    }

    #[test]
    fn every_template_compiles() {
        assert_eq!(TEMPLATES.templates().count(), SOURCES.len());
    }

    #[test]
    fn a_value_that_a_template_forgot_about_is_an_error_and_so_is_an_endless_page() {
        let mut environment = TEMPLATES.clone();
        environment.add_template("none.html", "{{ x }}").unwrap();
        environment.add_template("missing.html", "{{ x.y }}").unwrap();
        environment
            .add_template(
                "endless.html",
                "{% for a in range(9999) %}{% for b in range(9999) %}{{ b }}{% endfor %}{% endfor %}",
            )
            .unwrap();
        let render = |name: &str, view: serde_json::Value| {
            environment.get_template(name).unwrap().render(Value::from(Serde(view))).map_err(|error| error.kind())
        };
        assert_eq!(render("none.html", serde_json::json!({"x": null})), Err(ErrorKind::InvalidOperation));
        assert_eq!(render("missing.html", serde_json::json!({"x": {}})), Err(ErrorKind::UndefinedError));
        assert_eq!(render("endless.html", serde_json::json!({})), Err(ErrorKind::OutOfFuel));
        assert_eq!(
            render("none.html", serde_json::json!({"x": "<b>&\u{202e}"})).unwrap(),
            "&lt;b&gt;&amp;&lt;U+202E&gt;"
        );
    }
}
