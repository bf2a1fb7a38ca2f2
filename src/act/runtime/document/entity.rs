//! Character references of HTML: the numeric ones, and the named ones that are common in documents.

/// Sorted, so that it can be searched. The standard knows 2,231 names; unknown ones are kept as they stand.
const NAMED: &[(&str, &str)] = &[
    ("AMP", "&"),
    ("Aacute", "Á"),
    ("Agrave", "À"),
    ("Auml", "Ä"),
    ("Ccedil", "Ç"),
    ("Eacute", "É"),
    ("GT", ">"),
    ("LT", "<"),
    ("Ntilde", "Ñ"),
    ("Ouml", "Ö"),
    ("QUOT", "\""),
    ("Uuml", "Ü"),
    ("aacute", "á"),
    ("acirc", "â"),
    ("aelig", "æ"),
    ("agrave", "à"),
    ("alpha", "α"),
    ("amp", "&"),
    ("apos", "'"),
    ("aring", "å"),
    ("atilde", "ã"),
    ("auml", "ä"),
    ("beta", "β"),
    ("bull", "•"),
    ("ccedil", "ç"),
    ("cent", "¢"),
    ("copy", "©"),
    ("deg", "°"),
    ("divide", "÷"),
    ("eacute", "é"),
    ("ecirc", "ê"),
    ("egrave", "è"),
    ("emsp", " "),
    ("ensp", " "),
    ("euml", "ë"),
    ("euro", "€"),
    ("frac12", "½"),
    ("ge", "≥"),
    ("gt", ">"),
    ("hellip", "…"),
    ("iacute", "í"),
    ("icirc", "î"),
    ("iquest", "¿"),
    ("iuml", "ï"),
    ("laquo", "«"),
    ("larr", "←"),
    ("ldquo", "“"),
    ("le", "≤"),
    ("lsquo", "‘"),
    ("lt", "<"),
    ("mdash", "—"),
    ("micro", "µ"),
    ("middot", "·"),
    ("minus", "−"),
    ("nbsp", " "),
    ("ndash", "–"),
    ("ne", "≠"),
    ("ntilde", "ñ"),
    ("oacute", "ó"),
    ("ocirc", "ô"),
    ("oelig", "œ"),
    ("oslash", "ø"),
    ("ouml", "ö"),
    ("para", "¶"),
    ("plusmn", "±"),
    ("pound", "£"),
    ("quot", "\""),
    ("raquo", "»"),
    ("rarr", "→"),
    ("rdquo", "”"),
    ("reg", "®"),
    ("rsquo", "’"),
    ("sect", "§"),
    ("shy", ""),
    ("szlig", "ß"),
    ("thinsp", " "),
    ("times", "×"),
    ("trade", "™"),
    ("uacute", "ú"),
    ("uuml", "ü"),
    ("yen", "¥"),
];

/// The longest reference that is looked at, with its `&` and `;`.
const REFERENCE_BYTES_MAX: usize = 12;

/// `text` with its character references resolved.
#[must_use]
pub(super) fn resolve(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = rest.bytes().take(REFERENCE_BYTES_MAX).position(|b| b == b';');
        match end.and_then(|end| Some((character(&rest[1..end], &mut out)?, end))) {
            Some(((), end)) => rest = &rest[end + 1..],
            None => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

/// Appends what `name` stands for; none when it stands for nothing.
fn character(name: &str, out: &mut String) -> Option<()> {
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok()?,
            None => number.parse().ok()?,
        };
        // Control characters other than line ends and tabs are no text.
        let c = char::from_u32(code).filter(|c| !c.is_control() || matches!(c, '\n' | '\t' | '\r'));
        out.push(c.unwrap_or('\u{fffd}'));
        return Some(());
    }
    let found = NAMED.binary_search_by_key(&name, |(known, _)| known).ok()?;
    out.push_str(NAMED[found].1);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_become_characters_and_what_is_none_stays() {
        assert_eq!(resolve("a &amp; b &lt;c&gt; &#233;&#xE9;&eacute; &hellip;"), "a & b <c> ééé …");
        assert_eq!(resolve("AT&T &unknown; &; &#x110000; &#0; R&D"), "AT&T &unknown; &; \u{fffd} \u{fffd} R&D");
        assert_eq!(resolve("é&é;&"), "é&é;&");
    }

    #[test]
    fn the_names_are_sorted_so_that_they_can_be_searched() {
        assert!(NAMED.is_sorted_by_key(|(name, _)| *name));
    }
}
