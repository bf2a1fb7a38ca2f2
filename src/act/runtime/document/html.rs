//! The text of HTML.
//!
//! An own small tokenizer, because only the text is wanted: a full parser (html5ever) brings some thirty crates and
//! builds a tree that would be thrown away. It knows tags, quoted attributes, comments, the elements whose content is no
//! text, and which elements break a line. It runs in linear time, whatever it is given.

use super::super::stop::{Stop, Stopped};
use super::entity;

/// Elements whose content is not shown as text.
const HIDDEN: &[&str] =
    &["canvas", "head", "iframe", "math", "noscript", "object", "script", "style", "svg", "template"];

/// Elements whose content holds no tags: it ends at their own end tag only.
const RAW: &[&str] = &["script", "style"];

/// Elements that stand on lines of their own, with a blank line around.
const BLOCKS: &[&str] = &[
    "address",
    "article",
    "aside",
    "blockquote",
    "dd",
    "details",
    "div",
    "dl",
    "dt",
    "fieldset",
    "figcaption",
    "figure",
    "footer",
    "form",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hr",
    "main",
    "nav",
    "ol",
    "p",
    "pre",
    "section",
    "summary",
    "table",
    "ul",
];

/// How often a long run asks whether it is to stop, in tags.
const TAGS_PER_CHECK: usize = 4_096;

/// A tag: its name in lower case, and whether it closes.
struct Tag {
    name: String,
    closes: bool,
    self_closing: bool,
}

/// What is written so far.
#[derive(Default)]
struct Page {
    out: String,
    /// Line ends that are due before the next word.
    breaks: usize,
    space: bool,
    /// The hidden element that is open, and how many of its kind are open in it.
    hidden: Option<(String, usize)>,
    preformatted: usize,
}

/// The text of `html`: blocks separated by blank lines, list items marked with `- `, headings with `#`.
///
/// # Errors
/// When it was told to stop.
pub fn text(html: &str, stop: &Stop) -> Result<String, Stopped> {
    let mut page = Page::default();
    let mut rest = html;
    let mut tags = 0_usize;
    while let Some(at) = rest.find('<') {
        page.text(&rest[..at]);
        rest = &rest[at..];
        tags += 1;
        if tags.is_multiple_of(TAGS_PER_CHECK) {
            stop.check()?;
        }
        rest = match markup(rest) {
            Some((Some(tag), after)) => {
                page.tag(&tag);
                if !tag.closes && RAW.contains(&tag.name.as_str()) { skip_raw(after, &tag.name) } else { after }
            }
            Some((None, after)) => after,
            None => {
                page.text("<");
                &rest[1..]
            }
        };
    }
    page.text(rest);
    let mut out = page.out;
    if !out.is_empty() {
        out.push('\n');
    }
    Ok(out)
}

/// What stands at the `<` that `text` starts with: a tag, or something that is passed over (comment, doctype), and what
/// follows it. None when it is only a less-than sign.
fn markup(text: &str) -> Option<(Option<Tag>, &str)> {
    let inner = &text[1..];
    if let Some(comment) = inner.strip_prefix("!--") {
        let end = comment.find("-->").map_or(comment.len(), |end| end + 3);
        return Some((None, &comment[end..]));
    }
    if inner.starts_with(['!', '?']) {
        return Some((None, &inner[inner.find('>').map_or(inner.len(), |end| end + 1)..]));
    }
    let closes = inner.starts_with('/');
    let named = inner.strip_prefix('/').unwrap_or(inner);
    if !named.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return None;
    }
    let name_end = named.find(|c: char| c.is_whitespace() || matches!(c, '/' | '>')).unwrap_or(named.len());
    let end = tag_end(named.as_bytes());
    let self_closing = named[..end].ends_with('/');
    let tag = Tag { name: named[..name_end].to_ascii_lowercase(), closes, self_closing };
    Some((Some(tag), named.get(end + 1..).unwrap_or("")))
}

/// Where the tag ends: at the first `>` outside a quoted attribute value.
fn tag_end(tag: &[u8]) -> usize {
    let mut quote = None;
    let mut after_equals = false;
    for (at, &byte) in tag.iter().enumerate() {
        match (quote, byte) {
            (Some(open), _) if byte == open => quote = None,
            (Some(_), _) => {}
            (None, b'>') => return at,
            (None, b'"' | b'\'') if after_equals => quote = Some(byte),
            (None, _) => {}
        }
        after_equals = byte == b'=' || (after_equals && byte.is_ascii_whitespace());
    }
    tag.len()
}

/// What follows the content of a raw element, from its end tag on.
fn skip_raw<'a>(text: &'a str, name: &str) -> &'a str {
    let mut from = 0;
    while let Some(at) = text[from..].find("</") {
        let start = from + at;
        let after = text.as_bytes().get(start + 2..start + 2 + name.len());
        if after.is_some_and(|after| after.eq_ignore_ascii_case(name.as_bytes())) {
            return &text[start..];
        }
        from = start + 2;
    }
    ""
}

impl Page {
    fn text(&mut self, raw: &str) {
        if self.hidden.is_some() || raw.is_empty() {
            return;
        }
        let text = entity::resolve(raw);
        if self.preformatted > 0 {
            for (at, line) in text.split('\n').enumerate() {
                if at > 0 {
                    self.breaks = (self.breaks + 1).min(2);
                }
                self.word(line.trim_end_matches('\r'));
            }
            return;
        }
        self.space |= text.starts_with(char::is_whitespace);
        for (at, word) in text.split_whitespace().enumerate() {
            self.space |= at > 0;
            self.word(word);
        }
        self.space |= text.ends_with(char::is_whitespace);
    }

    fn word(&mut self, word: &str) {
        if word.is_empty() {
            return;
        }
        if self.breaks > 0 {
            if !self.out.is_empty() {
                self.out.push_str(&"\n\n"[..self.breaks]);
            }
        } else if self.space && !self.out.is_empty() && !self.out.ends_with(' ') {
            self.out.push(' ');
        }
        self.out.push_str(word);
        (self.breaks, self.space) = (0, false);
    }

    fn tag(&mut self, tag: &Tag) {
        let name = tag.name.as_str();
        if self.stays_hidden(tag) {
            return;
        }
        match name {
            "br" => self.breaks = (self.breaks + 1).min(2),
            "li" | "tr" | "option" => self.breaks = self.breaks.max(1),
            "td" | "th" => self.space = true,
            _ if BLOCKS.contains(&name) => self.breaks = 2,
            _ => {}
        }
        match (name, tag.closes) {
            ("pre", false) => self.preformatted += 1,
            ("pre", true) => self.preformatted = self.preformatted.saturating_sub(1),
            ("li", false) => self.mark("- "),
            ("h1", false) => self.mark("# "),
            ("h2", false) => self.mark("## "),
            ("h3" | "h4" | "h5" | "h6", false) => self.mark("### "),
            _ => {}
        }
    }

    /// Writes a mark at the start of a line; the next word follows it without a break.
    fn mark(&mut self, mark: &str) {
        self.word(mark.trim_end());
        self.space = true;
    }

    /// Keeps count of hidden elements; true when this tag is inside one or opens or closes one.
    fn stays_hidden(&mut self, tag: &Tag) -> bool {
        match &mut self.hidden {
            Some((name, depth)) => {
                if *name == tag.name && !tag.self_closing {
                    *depth = if tag.closes { depth.saturating_sub(1) } else { *depth + 1 };
                }
                // A body that starts ends the head, also where nobody closed it.
                if *depth == 0 || (name == "head" && tag.name == "body") {
                    self.hidden = None;
                }
                true
            }
            None if !tag.closes && !tag.self_closing && HIDDEN.contains(&tag.name.as_str()) => {
                self.hidden = Some((tag.name.clone(), 1));
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn read(html: &str) -> String {
        let (stop, _waiting) = Stop::after(Duration::from_secs(60));
        text(html, &stop).unwrap()
    }

    #[test]
    fn a_page_becomes_readable_text() {
        let html = "<!DOCTYPE html><html><head><title>T</title><style>p{}</style></head><body>\n<h1>Big &amp; bold</h1>\n\
            <p>One <b>two</b>,\n three<br>four</p><ul><li>a</li><li>b <i>c</i></ul>\
            <script>if (a < b && '</p>') {}</script><!-- <p>no</p> --><table><tr><td>x<td>y</table>end</body></html>";
        assert_eq!(read(html), "# Big & bold\n\nOne two, three\nfour\n\n- a\n- b c\n\nx y\n\nend\n");
    }

    #[test]
    fn preformatted_text_keeps_its_lines_and_spaces() {
        assert_eq!(read("<pre>a\n  b</pre>c"), "a\n  b\n\nc\n");
    }

    #[test]
    fn tricky_markup_hides_no_text_and_shows_no_code() {
        for (html, expected) in [
            ("<a title=\"a > b\" href='x'>link</a>", "link\n"),
            ("a < b and c > d", "a < b and c > d\n"),
            ("<SCRIPT>x</SCRIPT >y", "y\n"),
            ("<script>never closed", ""),
            ("<script>'</scrip' </script>shown", "shown\n"),
            ("<head><title>x</title><body>shown", "shown\n"),
            ("<svg><svg></svg>no</svg>yes", "yes\n"),
            ("<!-- never closed <p>x", ""),
            ("<p", ""),
            ("x<br/><br/><br/>y", "x\n\ny\n"),
            ("it&rsquo;s <em>5</em>&nbsp;%", "it’s 5 %\n"),
        ] {
            assert_eq!(read(html), expected, "{html}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(html in "(<|/|>|script|p|pre|li|head|!--|-->|=|\"|'|&|#|;|é| |\n|a){0,60}") {
            let _ = read(&html);
        }

        #[test]
        fn words_outside_tags_are_kept(words in proptest::collection::vec("[a-zé]{1,6}", 1..10)) {
            let html: String = words.iter().map(|word| format!("<p class=\"x>\">{word}</p>")).collect();
            prop_assert_eq!(read(&html), words.join("\n\n") + "\n");
        }
    }
}
