//! Server-sent events, read from bytes as they come.
//!
//! An own parser, because of three things that the well-kept crates do not give together: a cap on the length of a line
//! and of an event, errors that name the cap, and the stray line that a server writes into an event stream when it
//! fails after its status has gone out (llama-swap does). The rules are those of the HTML standard, section 9.2.6,
//! without `id` and `retry`, which no runtime that is driven here uses.

/// The longest line, in bytes.
pub const LINE_BYTES_MAX: usize = 1024 * 1024;
/// The largest event, in bytes of data.
pub const EVENT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Something in the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    Event {
        /// The name after `event:`; empty when there was none.
        name: String,
        data: String,
    },
    /// A line that is no field but looks like JSON: an error body in the middle of a stream.
    Stray(String),
}

/// Why the stream cannot be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("a line of the event stream is longer than {LINE_BYTES_MAX} bytes")]
    LineTooLong,
    #[error("an event of the stream is larger than {EVENT_BYTES_MAX} bytes")]
    EventTooLarge,
    #[error("the event stream is not UTF-8")]
    NotUtf8,
}

/// Reads one stream. Feed it with [`Parser::push`], end it with [`Parser::finish`].
#[derive(Debug, Default)]
pub struct Parser {
    line: Vec<u8>,
    /// The last byte was a carriage return: a line feed now belongs to it.
    after_return: bool,
    /// A line has been read, so that a byte order mark is no longer one.
    begun: bool,
    name: String,
    data: Option<String>,
}

impl Parser {
    /// Takes the next bytes and gives what they complete.
    ///
    /// # Errors
    /// When a limit is hit or a line is not UTF-8. The stream cannot be read on after that.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Item>, Error> {
        let mut items = Vec::new();
        for &byte in bytes {
            let after_return = std::mem::replace(&mut self.after_return, byte == b'\r');
            match byte {
                b'\n' if after_return => {}
                b'\n' | b'\r' => self.end_line(&mut items)?,
                _ if self.line.len() == LINE_BYTES_MAX => return Err(Error::LineTooLong),
                _ => self.line.push(byte),
            }
        }
        Ok(items)
    }

    /// The stream has ended. An unfinished event is dropped, as the standard says; an unfinished stray line is kept.
    #[must_use]
    pub fn finish(self) -> Option<Item> {
        String::from_utf8(self.line).ok().and_then(|line| stray(&line))
    }

    fn end_line(&mut self, items: &mut Vec<Item>) -> Result<(), Error> {
        let bytes = std::mem::take(&mut self.line);
        let line = std::str::from_utf8(&bytes).map_err(|_| Error::NotUtf8)?;
        let line =
            if std::mem::replace(&mut self.begun, true) { line } else { line.strip_prefix('\u{feff}').unwrap_or(line) };
        if line.is_empty() {
            let name = std::mem::take(&mut self.name);
            items.extend(self.data.take().map(|data| Item::Event { name, data }));
            return Ok(());
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => self.add_data(value)?,
            "event" => value.clone_into(&mut self.name),
            // llama.cpp's server writes `error: {…}` in place of an event when it fails halfway.
            "error" => items.extend(stray(value)),
            _ => items.extend(stray(line)),
        }
        Ok(())
    }

    fn add_data(&mut self, value: &str) -> Result<(), Error> {
        let have = self.data.as_ref().map_or(0, |data| data.len() + 1);
        if have + value.len() > EVENT_BYTES_MAX {
            return Err(Error::EventTooLarge);
        }
        match &mut self.data {
            Some(data) => {
                data.push('\n');
                data.push_str(value);
            }
            None => self.data = Some(value.to_owned()),
        }
        Ok(())
    }
}

fn stray(line: &str) -> Option<Item> {
    line.trim_start().starts_with('{').then(|| Item::Stray(line.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &[u8]) -> Vec<Item> {
        let mut parser = Parser::default();
        let mut items = parser.push(text).unwrap();
        items.extend(parser.finish());
        items
    }

    fn event(name: &str, data: &str) -> Item {
        Item::Event { name: name.to_owned(), data: data.to_owned() }
    }

    #[test]
    fn every_dialect_in_use_gives_the_same_event() {
        for text in [
            "event:message\ndata:hello\n\n",
            "event: message\ndata: hello\n\n",
            "event: message\r\ndata: hello\r\n\r\n",
            "event: message\rdata: hello\r\r",
            "\u{feff}event: message\ndata: hello\n\n",
            ": keep-alive\nid: 7\nretry: 10\nevent: message\nunknown: x\ndata: hello\n\n",
        ] {
            assert_eq!(read(text.as_bytes()), [event("message", "hello")], "{text:?}");
        }
    }

    #[test]
    fn data_lines_are_joined_and_events_without_data_are_dropped() {
        assert_eq!(read(b"data: a\ndata:\ndata:  b\n\n"), [event("", "a\n\n b")]);
        assert_eq!(read(b"event: x\n\ndata\n\n: c\n\n"), [event("", "")]);
        assert_eq!(read(b"data: unfinished"), []);
        assert_eq!(read(b"data: unfinished\n"), []);
    }

    #[test]
    fn an_error_body_in_the_middle_of_a_stream_is_kept_as_a_stray_line() {
        let items = read(b"data: {}\n\n{\"src\":\"llama-swap\",\"error\":\"x\"}");
        assert_eq!(items, [event("", "{}"), Item::Stray("{\"src\":\"llama-swap\",\"error\":\"x\"}".into())]);
        assert_eq!(read(b"{\"error\":1}\n").len(), 1);
        assert_eq!(read(b"error: {\"code\":500}\n"), [Item::Stray("{\"code\":500}".into())]);
    }

    #[test]
    fn endless_lines_and_endless_events_hit_their_limits() {
        let mut parser = Parser::default();
        parser.push(&vec![b'x'; LINE_BYTES_MAX]).unwrap();
        assert_eq!(parser.push(b"x"), Err(Error::LineTooLong));

        let mut parser = Parser::default();
        let line = format!("data:{}\n", "x".repeat(LINE_BYTES_MAX - 8));
        let mut outcome = Ok(Vec::new());
        for _ in 0..5 {
            outcome = outcome.and_then(|_| parser.push(line.as_bytes()));
        }
        assert_eq!(outcome, Err(Error::EventTooLarge));
    }

    #[test]
    fn bytes_that_are_no_text_end_the_stream() {
        assert_eq!(Parser::default().push(b"data: \xff\xfe\n"), Err(Error::NotUtf8));
    }

    proptest! {
        #[test]
        fn where_the_chunks_are_cut_makes_no_difference(
            lines in proptest::collection::vec("(data|event|id|:|\\{|é|x)?:? ?[a-zé😀 {}]{0,8}(\r\n|\n|\r|\n\n)", 0..20),
            cuts in proptest::collection::vec(1usize..7, 1..40),
        ) {
            let text = lines.concat().into_bytes();
            let mut parser = Parser::default();
            let mut items = Vec::new();
            let (mut rest, mut cut) = (text.as_slice(), cuts.iter().cycle());
            while !rest.is_empty() {
                let at = (*cut.next().unwrap()).min(rest.len());
                items.extend(parser.push(&rest[..at]).unwrap());
                rest = &rest[at..];
            }
            items.extend(parser.finish());
            prop_assert_eq!(items, read(&text));
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut parser = Parser::default();
            let _ = parser.push(&bytes).map(|_| parser.finish());
        }

        #[test]
        fn any_data_that_is_written_is_read_back(data in "[^\r]{0,60}") {
            let frame: String = data.split('\n').map(|line| format!("data: {line}\n")).collect::<String>() + "\n";
            prop_assert_eq!(read(frame.as_bytes()), vec![event("", &data)]);
        }
    }
}
