//! A token: read from its file at the time of use, put into one header, and shown nowhere.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use tokio::io::AsyncReadExt as _;

/// The longest token; bearer tokens are some dozens of characters, signed ones a few thousand.
const TOKEN_BYTES_MAX: u64 = 16 * 1024;

/// A token on its way into a header. Never shown.
#[derive(Clone)]
pub(super) struct Secret(Arc<str>);

impl Secret {
    /// Reads the token in `file`, which holds it alone.
    ///
    /// # Errors
    /// Why it cannot be used, without a word of what is in the file.
    pub(super) async fn read(file: &Path) -> Result<Self, String> {
        let file = tokio::fs::File::open(file).await.map_err(|e| e.to_string())?;
        let mut text = String::new();
        file.take(TOKEN_BYTES_MAX + 1).read_to_string(&mut text).await.map_err(|e| e.kind().to_string())?;
        if text.len() as u64 > TOKEN_BYTES_MAX {
            return Err(format!("it is larger than {TOKEN_BYTES_MAX} bytes"));
        }
        Self::parse(&text).ok_or_else(|| "it must hold one line of printable ASCII without spaces".to_owned())
    }

    fn parse(text: &str) -> Option<Self> {
        let token = text.trim();
        (!token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic())).then(|| Self(token.into()))
    }

    /// The value of the header that carries it.
    pub(super) fn bearer(&self) -> String {
        format!("Bearer {}", self.0)
    }

    /// `text` with every repetition of the token taken out.
    pub(super) fn hide(&self, text: &str) -> String {
        text.replace(&*self.0, "(hidden)")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_one_printable_word_and_hidden_in_what_is_shown() {
        for bad in ["", " \n", "two words", "a\tb", "gr\u{fc}n"] {
            assert!(Secret::parse(bad).is_none(), "{bad:?}");
        }
        let secret = Secret::parse(" tok3n\n").unwrap();
        assert_eq!(secret.hide("you sent Bearer tok3n"), "you sent Bearer (hidden)");
        assert_eq!(format!("{secret:?}"), "(hidden)");
    }
}
