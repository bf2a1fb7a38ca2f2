//! The YAML library, and the only file that names it: typed decoding, and decoding to a tree with positions.
//!
//! Both work on one document and under the same bounds. JSON is YAML, so `*.json` takes the same way.

use std::collections::HashMap;

use serde::de::DeserializeSeed;
use serde_saphyr::granit_parser::{self, Event, Marker, Parser, ScalarStyle, Span, StrInput, Tag};
use serde_saphyr::{Error, MergeKeyPolicy, Options};

use crate::core::text::shorten;

use super::code;
use super::diagnostic::SourceSpan;
use super::limit::{DEPTH_MAX, NODES_MAX, VALUE_CHARS_MAX};
use super::source::Finding;
use super::tree::{Entry, Node, Value};

/// Why a typed decoding failed: the first problem only, and where, as far as the library knows.
#[derive(Debug)]
pub struct Failure {
    pub message: String,
    /// Line and column within the document, from 1; none when the library does not know.
    pub at: Option<(u32, u32)>,
}

/// Decodes one document.
///
/// # Errors
/// The first problem that the YAML library or the type found.
pub fn decode<'de, S: DeserializeSeed<'de>>(text: &'de str, seed: S) -> Result<S::Value, Failure> {
    serde_saphyr::with_deserializer_from_str_with_options(text, options(), |de| seed.deserialize(de))
        .map_err(|error| failure(&error))
}

fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: DEPTH_MAX,
            flow_nesting_limit: DEPTH_MAX,
            max_nodes: NODES_MAX,
            max_documents: 1,
            max_anchors: 0,
            max_aliases: 0,
            max_merge_keys: 0,
        },
        strict_booleans: true,
        with_snippet: false,
        reject_unsupported_tags: true,
        merge_keys: MergeKeyPolicy::Error,
    }
}

fn failure(error: &Error) -> Failure {
    let message = match error.without_snippet() {
        Error::Message { msg, .. } => msg.clone(),
        Error::SerdeInvalidType { unexpected, expected, .. }
        | Error::SerdeInvalidValue { unexpected, expected, .. } => {
            format!("{} where {expected} was expected", shorten(unexpected, VALUE_CHARS_MAX))
        }
        other => {
            // The library puts the place behind its words; the diagnostic has it already.
            let text = other.to_string();
            let cut = text.find(" at line ").or_else(|| text.find('\n')).unwrap_or(text.len());
            text[..cut].to_owned()
        }
    };
    let narrow = |n: u64| u32::try_from(n).ok().filter(|n| *n > 0);
    let at = error.location().and_then(|place| Some((narrow(place.line())?, narrow(place.column())?)));
    Failure { message, at }
}

/// What could be read of a document, and what is wrong with its syntax.
#[derive(Debug, Default)]
pub struct Parsed {
    /// The tree; when the syntax is broken, as much of it as stands before the break.
    pub root: Option<Node>,
    /// Whether the tree is the whole document.
    pub complete: bool,
    pub findings: Vec<Finding>,
}

/// Reads a document into a tree with positions. Never panics, and takes no more than the bounds allow.
#[must_use]
pub fn tree(text: &str) -> Parsed {
    // One more than allowed, so that this file and not the parser says that it is too deep.
    let options = granit_parser::options! {
        flow_nesting_limit: DEPTH_MAX + 1,
        block_nesting_limit: DEPTH_MAX + 2,
        emit_unresolved_aliases: true,
    };
    let mut builder = Builder::default();
    let complete = builder.run(&mut Parser::new_from_str_with_options(text, options));
    while !builder.open.is_empty() {
        builder.close(None);
    }
    Parsed { root: builder.root, complete, findings: builder.findings }
}

#[derive(Default)]
struct Builder {
    open: Vec<Frame>,
    root: Option<Node>,
    nodes: usize,
    findings: Vec<Finding>,
}

/// A list or mapping whose end was not seen yet.
enum Frame {
    List { span: SourceSpan, items: Vec<Node> },
    Map { span: SourceSpan, entries: Vec<Entry>, key: Option<Key>, seen: HashMap<String, u32> },
}

enum Key {
    Text(String, SourceSpan),
    /// A key that is no single value. Reported; its value is left out.
    Strange,
}

impl Builder {
    /// Whether the end of the document was reached.
    fn run<'a>(&mut self, parser: &mut Parser<'a, StrInput<'a>>) -> bool {
        while let Some(event) = parser.next_event() {
            match event {
                Err(error) => {
                    let span = point(*error.marker());
                    let message = error.info();
                    self.findings.push(if message.contains("nesting") || message.contains("recursion") {
                        too_deep(span)
                    } else {
                        let help = if message.contains("tab") {
                            "indent with spaces: YAML does not take tabs there"
                        } else {
                            "look at the indentation, quotes and brackets of this line and the one before it"
                        };
                        Finding::new(code::SYNTAX, span, uncapitalized(&message))
                            .label("the reader stopped here")
                            .help(help)
                    });
                    return false;
                }
                Ok((event, span)) => {
                    if !self.take(event, span) {
                        return false;
                    }
                }
            }
        }
        true
    }

    /// Takes one event; false when a bound is reached and reading stops.
    fn take(&mut self, event: Event<'_>, place: Span) -> bool {
        let span = stretch(place);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_extras(anchor, tag.as_deref(), span);
                let plain = style == ScalarStyle::Plain && tag.is_none_or(|tag| tag.core_suffix() != Some("str"));
                self.put(Node { span, value: Value::Scalar { text: text.into_owned(), plain } });
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.refuse_extras(anchor, tag.as_deref(), span);
                self.open.push(Frame::List { span, items: Vec::new() });
            }
            Event::MappingStart(_, anchor, tag) => {
                self.refuse_extras(anchor, tag.as_deref(), span);
                self.open.push(Frame::Map { span, entries: Vec::new(), key: None, seen: HashMap::new() });
            }
            Event::SequenceEnd | Event::MappingEnd => {
                self.close(Some(span.end));
                return true;
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                self.extra(span, "aliases are not read", "an alias");
                self.put(Node { span, value: Value::Scalar { text: String::new(), plain: true } });
            }
            // The frame of the stream, and whatever later versions of the library add that is no value.
            _ => return true,
        }
        self.nodes += 1;
        if self.open.len() > DEPTH_MAX {
            self.findings.push(too_deep(span));
            return false;
        }
        if self.nodes > NODES_MAX {
            let message = format!("a document has at most {NODES_MAX} values, this one has more");
            self.findings.push(
                Finding::new(code::TOO_MANY_VALUES, span, message)
                    .help("split it, or keep long lists such as cases in a file of their own"),
            );
            return false;
        }
        true
    }

    fn refuse_extras(&mut self, anchor: usize, tag: Option<&Tag>, span: SourceSpan) {
        if anchor != 0 {
            self.extra(span, "anchors are not read", "has an anchor");
        }
        if tag.is_some_and(|tag| !tag.is_yaml_core_schema()) {
            self.extra(span, "tags are not read", "has a tag");
        }
    }

    fn extra(&mut self, span: SourceSpan, message: &str, label: &str) {
        self.findings.push(
            Finding::new(code::ANCHOR, span, message.into()).label(label).help("write the value out where it is used"),
        );
    }

    /// Puts a finished value where it belongs: as a key, into its list or mapping, or as the root.
    fn put(&mut self, node: Node) {
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Frame::List { items, .. }) => items.push(node),
            Some(Frame::Map { entries, key, seen, .. }) => match key.take() {
                Some(Key::Strange) => {}
                Some(Key::Text(name, key_span)) => entries.push(Entry { key: name, key_span, node }),
                None => match node.value {
                    Value::Scalar { text, .. } => {
                        if text == "<<" {
                            let finding = Finding::new(code::ANCHOR, node.span, "merge keys are not read".into())
                                .label("a merge key");
                            self.findings.push(finding.help("write the fields out where they are used"));
                        }
                        if let Some(first) = seen.get(&text) {
                            let shown = super::source::quoted(&text);
                            let finding =
                                Finding::new(code::DUPLICATE_KEY, node.span, format!("the key {shown} stands twice"));
                            let finding = finding.label("again here").help("keep one of the two");
                            self.findings.push(Finding { first_line: Some(*first), ..finding });
                        } else {
                            seen.insert(text.clone(), node.span.line);
                        }
                        *key = Some(Key::Text(text, node.span));
                    }
                    Value::List(_) | Value::Map(_) => {
                        *key = Some(Key::Strange);
                        let finding =
                            Finding::new(code::SYNTAX, node.span, "a key must be a single word or text".into());
                        self.findings.push(finding.help("quote the key if it starts with a bracket or a brace"));
                    }
                },
            },
        }
    }

    fn close(&mut self, end: Option<usize>) {
        let node = match self.open.pop() {
            None => return,
            Some(Frame::List { span, items }) => Node { span: until(span, end), value: Value::List(items) },
            Some(Frame::Map { span, entries, .. }) => Node { span: until(span, end), value: Value::Map(entries) },
        };
        self.put(node);
    }
}

/// The library's words, beginning in lower case as all messages do.
fn uncapitalized(message: &str) -> String {
    let mut chars = message.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

fn too_deep(span: SourceSpan) -> Finding {
    let message = format!("lists and mappings stand more than {DEPTH_MAX} deep in one another");
    Finding::new(code::TOO_DEEP, span, message)
        .label("one too many")
        .help("no manifest needs that; look for a bracket that is not closed")
}

fn until(span: SourceSpan, end: Option<usize>) -> SourceSpan {
    SourceSpan { end: end.unwrap_or(span.end).max(span.start), ..span }
}

fn stretch(span: Span) -> SourceSpan {
    let start = point(span.start);
    SourceSpan { end: span.end.byte_offset().unwrap_or(start.start).max(start.start), ..start }
}

fn point(marker: Marker) -> SourceSpan {
    let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let start = marker.byte_offset().unwrap_or_default();
    SourceSpan { line: narrow(marker.line()), column: narrow(marker.col().saturating_add(1)), start, end: start }
}
