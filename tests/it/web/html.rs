//! Reading a page the way a text browser does, and finding what makes it hard to use. A small reader for HTML that this
//! program writes itself; it is strict where browsers forgive.

use std::collections::BTreeSet;

/// A tag or a text.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    Open { name: String, attributes: Vec<(String, String)> },
    Close(String),
    Text(String),
}

const VOID: [&str; 7] = ["meta", "link", "br", "input", "img", "hr", "!doctype"];

/// The pieces of a page. Panics on anything that is not plainly well-formed.
pub fn pieces(html: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = html;
    while !rest.is_empty() {
        let Some(start) = rest.find('<') else {
            pieces.push(Piece::Text(unescape(rest)));
            break;
        };
        if start > 0 {
            pieces.push(Piece::Text(unescape(&rest[..start])));
        }
        let end = start + rest[start..].find('>').expect("every tag is closed");
        let inside = &rest[start + 1..end];
        rest = &rest[end + 1..];
        if let Some(name) = inside.strip_prefix('/') {
            pieces.push(Piece::Close(name.to_owned()));
        } else {
            pieces.push(open(inside));
        }
    }
    pieces
}

fn open(inside: &str) -> Piece {
    let (name, mut rest) = inside.split_once(' ').unwrap_or((inside, ""));
    let mut attributes = Vec::new();
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            break;
        }
        let end = rest.find([' ', '=']).unwrap_or(rest.len());
        let key = rest[..end].to_owned();
        rest = &rest[end..];
        let value = match rest.strip_prefix("=\"") {
            Some(quoted) => {
                let close = quoted.find('"').expect("every attribute is closed");
                rest = &quoted[close + 1..];
                unescape(&quoted[..close])
            }
            None => {
                assert!(!rest.starts_with('='), "attributes are quoted: <{inside}>");
                String::new()
            }
        };
        attributes.push((key, value));
    }
    Piece::Open { name: name.to_owned(), attributes }
}

fn unescape(text: &str) -> String {
    let entities = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#x27;", "'"), ("&#x2f;", "/"), ("&amp;", "&")];
    entities.iter().fold(text.to_owned(), |text, (entity, c)| text.replace(entity, c))
}

/// What a text browser shows of the main part: a line a block, cells parted by bars.
pub fn text(html: &str) -> String {
    let start = html.find("<main").expect("a page has a main part");
    let end = html.find("</main>").expect("it ends");
    let mut out = String::new();
    let mut preformatted = false;
    for piece in pieces(&html[start..end]) {
        match piece {
            Piece::Text(text) if preformatted => out.push_str(&text),
            Piece::Text(text) => {
                let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
                let (before, after) = (text.starts_with(char::is_whitespace), text.ends_with(char::is_whitespace));
                if before && !out.ends_with(['\n', ' ']) {
                    out.push(' ');
                }
                out.push_str(&words);
                if after && !words.is_empty() {
                    out.push(' ');
                }
            }
            Piece::Open { name, attributes } => {
                preformatted |= name == "pre";
                out.push_str(before(&name));
                if name == "input" && attributes.iter().all(|(key, value)| key != "type" || value != "hidden") {
                    let value = attributes.iter().find(|(key, _)| key == "value").map_or("", |(_, value)| value);
                    out.push_str(&format!("[{value}]"));
                }
            }
            Piece::Close(name) => {
                preformatted &= name != "pre";
                out.push_str(after(&name));
            }
        }
    }
    let lines = out.lines().map(|line| line.trim_end().trim_start_matches("| ")).filter(|line| !line.trim().is_empty());
    lines.collect::<Vec<_>>().join("\n")
}

fn before(name: &str) -> &'static str {
    match name {
        "h1" => "\n# ",
        "h2" => "\n## ",
        "h3" => "\n### ",
        "li" => "\n- ",
        "td" | "th" => "| ",
        "title" | "desc" | "text" | "tr" | "p" | "div" | "section" | "article" | "pre" | "caption" | "dt" | "br"
        | "form" | "details" => "\n",
        "dd" => ": ",
        "option" => " ",
        _ => "",
    }
}

fn after(name: &str) -> &'static str {
    match name {
        "h1" | "h2" | "h3" | "p" | "pre" | "tr" | "caption" | "dl" | "ul" | "ol" | "table" | "section" => "\n",
        "td" | "th" | "label" => " ",
        _ => "",
    }
}

/// Where the page's links, files and scripts lead.
pub fn links(html: &str) -> Vec<String> {
    let addresses = pieces(html).into_iter().filter_map(|piece| match piece {
        Piece::Open { name, attributes } if ["a", "link", "script", "img", "audio"].contains(&name.as_str()) => {
            attributes.into_iter().find(|(key, _)| key == "href" || key == "src").map(|(_, value)| value)
        }
        _ => None,
    });
    addresses.collect()
}

/// All that makes a page hard to use or unsafe, in words; empty for a good one.
pub fn faults(html: &str) -> Vec<String> {
    let pieces = pieces(html);
    let mut faults = nesting(&pieces);
    faults.extend(structure(&pieces));
    faults.extend(behaviour(&pieces));
    faults.extend(names(&pieces));
    faults
}

fn nesting(pieces: &[Piece]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut open: Vec<&str> = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Open { name, .. } if !VOID.contains(&name.as_str()) => open.push(name),
            Piece::Open { .. } | Piece::Text(_) => {}
            Piece::Close(name) => {
                if open.pop() != Some(name.as_str()) {
                    faults.push(format!("</{name}> closes something else"));
                    return faults;
                }
            }
        }
    }
    faults.extend(open.iter().map(|name| format!("<{name}> is never closed")));
    faults
}

fn opened<'a>(pieces: &'a [Piece], wanted: &'a str) -> impl Iterator<Item = &'a Vec<(String, String)>> + 'a {
    pieces.iter().filter_map(move |piece| match piece {
        Piece::Open { name, attributes } if name == wanted => Some(attributes),
        _ => None,
    })
}

fn value<'a>(attributes: &'a [(String, String)], key: &str) -> Option<&'a str> {
    attributes.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
}

/// The pieces that are not inside of a drawing, which has titles of its own.
fn outside_drawings(pieces: &[Piece]) -> Vec<&Piece> {
    let mut depth = 0_i32;
    let outside = pieces.iter().filter(|piece| {
        match piece {
            Piece::Open { name, .. } if name == "svg" => depth += 1,
            Piece::Close(name) if name == "svg" => depth -= 1,
            Piece::Open { .. } | Piece::Close(_) | Piece::Text(_) => {}
        }
        depth == 0
    });
    outside.collect()
}

/// Landmarks, headings, tables.
fn structure(pieces: &[Piece]) -> Vec<String> {
    let mut faults = Vec::new();
    let page = outside_drawings(pieces);
    for landmark in ["header", "nav", "main", "footer", "h1", "title"] {
        let n = page.iter().filter(|piece| matches!(piece, Piece::Open { name, .. } if name == landmark)).count();
        if n != 1 {
            faults.push(format!("{n} <{landmark}>"));
        }
    }
    if opened(pieces, "html").next().and_then(|html| value(html, "lang")) != Some("en") {
        faults.push("no language".into());
    }
    let mut last = 0;
    for piece in pieces {
        let Piece::Open { name, .. } = piece else { continue };
        let Some(level) = ["h1", "h2", "h3", "h4"].iter().position(|heading| heading == name) else { continue };
        if level > last {
            faults.push(format!("<{name}> skips a level"));
        }
        last = level + 1;
    }
    let tables = opened(pieces, "table").count();
    if opened(pieces, "caption").count() != tables {
        faults.push("a table without a caption".into());
    }
    let unscoped = opened(pieces, "th").filter(|th| value(th, "scope").is_none()).count();
    if unscoped > 0 {
        faults.push(format!("{unscoped} header cells without scope"));
    }
    if !opened(pieces, "a").any(|a| value(a, "href") == Some("#main")) {
        faults.push("no way to skip to the content".into());
    }
    faults
}

/// Nothing runs or is styled in place, and nothing comes from elsewhere.
fn behaviour(pieces: &[Piece]) -> Vec<String> {
    let mut faults = Vec::new();
    for piece in pieces {
        let Piece::Open { name, attributes } = piece else { continue };
        for (key, value) in attributes {
            if key.starts_with("on") || key == "style" {
                faults.push(format!("<{name} {key}>"));
            }
            let local = value.starts_with('/') && !value.starts_with("//") || value.starts_with('#');
            if matches!(key.as_str(), "href" | "src" | "action") && !local {
                faults.push(format!("<{name} {key}={value}> leads elsewhere"));
            }
        }
        if name == "style" || name == "iframe" || (name == "script" && value(attributes, "src").is_none()) {
            faults.push(format!("<{name}> in place"));
        }
    }
    faults
}

/// Everything that needs a name has one, and ids are not repeated.
fn names(pieces: &[Piece]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut ids = BTreeSet::new();
    for piece in pieces {
        let Piece::Open { attributes, .. } = piece else { continue };
        if let Some(id) = value(attributes, "id")
            && !ids.insert(id)
        {
            faults.push(format!("id {id} twice"));
        }
    }
    let labelled: BTreeSet<_> = opened(pieces, "label").filter_map(|label| value(label, "for")).collect();
    for control in opened(pieces, "input").chain(opened(pieces, "select")) {
        let hidden = value(control, "type") == Some("hidden");
        if !hidden && !value(control, "id").is_some_and(|id| labelled.contains(id)) {
            faults.push(format!("a control without a label: {control:?}"));
        }
    }
    faults.extend(
        opened(pieces, "img").filter(|img| value(img, "alt").is_none()).map(|_| "an image without words".into()),
    );
    for svg in opened(pieces, "svg") {
        let drawn = value(svg, "role") == Some("img") && value(svg, "aria-labelledby").is_some();
        if !drawn && value(svg, "focusable") != Some("false") {
            faults.push("a drawing without a name that is not hidden either".into());
        }
    }
    for scroll in pieces.iter().filter_map(|piece| match piece {
        Piece::Open { attributes, .. } if value(attributes, "class") == Some("scroll") => Some(attributes),
        Piece::Open { .. } | Piece::Close(_) | Piece::Text(_) => None,
    }) {
        if value(scroll, "tabindex") != Some("0") || value(scroll, "aria-label").is_none_or(str::is_empty) {
            faults.push("a scrolling box that the keyboard cannot reach, or without a name".into());
        }
    }
    for pre in opened(pieces, "pre") {
        if value(pre, "tabindex") != Some("0") || value(pre, "aria-label").is_none_or(str::is_empty) {
            faults.push("a scrolling text that the keyboard cannot reach, or without a name".into());
        }
    }
    for piece in pieces {
        let Piece::Open { name, attributes } = piece else { continue };
        let by = value(attributes, "aria-labelledby").unwrap_or_default();
        for by in by.split_whitespace().filter(|by| !ids.contains(by)) {
            faults.push(format!("<{name}> is named by {by}, which is not there"));
        }
        let fill = value(attributes, "fill").and_then(|fill| fill.strip_prefix("url(#")?.strip_suffix(')'));
        if let Some(pattern) = fill.filter(|pattern| !ids.contains(pattern)) {
            faults.push(format!("<{name}> is filled with {pattern}, which is not there"));
        }
    }
    faults
}

#[test]
fn the_reader_sees_what_is_wrong_with_a_page() {
    let page = "<!doctype html><html lang=\"en\"><body><main><h1>a</h1><h3>b</h3><p onclick=\"x\" id=\"i\"></p>\
                <table></table><a href=\"http://elsewhere\" id=\"i\">c</a><img src=\"/i.png\"></main></body></html>";
    let faults = faults(page).join("\n");
    for fault in ["skips a level", "onclick", "id i twice", "without a caption", "leads elsewhere", "0 <nav>", "image"]
    {
        assert!(faults.contains(fault), "{fault}: {faults}");
    }
    assert!(self::faults("<p><b></p></b>").join("\n").contains("closes something else"));
}
