//! HTTP/1.1 to a daemon, over its control socket or to its page: just enough of it for answers with a length or in chunks.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;

/// A connection that is kept alive.
pub struct Connection {
    stream: BufReader<Box<dyn Duplex>>,
    host: String,
}

trait Duplex: Read + Write {}

impl<T: Read + Write> Duplex for T {}

impl Connection {
    /// To the control socket.
    pub fn open(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket).expect("the daemon listens");
        Self { stream: BufReader::new(Box::new(stream)), host: "arcology".to_owned() }
    }

    /// To the page, at `host:port`.
    pub fn to_page(address: &str) -> Self {
        let stream = TcpStream::connect(address).expect("the page is served");
        Self { stream: BufReader::new(Box::new(stream)), host: address.to_owned() }
    }

    /// The status and the whole answer.
    pub fn call(&mut self, method: &str, path: &str, body: &str) -> (u16, String) {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            self.host,
            body.len()
        );
        self.stream.get_mut().write_all((head + body).as_bytes()).expect("the daemon reads");
        let status = self.line().split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        let (mut length, mut chunked) = (0, false);
        loop {
            let line = self.line().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            }
            chunked |= line.starts_with("transfer-encoding:") && line.contains("chunked");
        }
        let mut answer = Vec::new();
        if chunked {
            loop {
                let size = usize::from_str_radix(self.line().trim(), 16).expect("a size");
                self.bytes(size, &mut answer);
                assert!(self.line().is_empty(), "a chunk ends with its line");
                if size == 0 {
                    break;
                }
            }
        } else {
            self.bytes(length, &mut answer);
        }
        (status, String::from_utf8(answer).expect("the answer is text"))
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).expect("the daemon answers");
        line.trim_end().to_owned()
    }

    fn bytes(&mut self, count: usize, into: &mut Vec<u8>) {
        let read = (&mut self.stream).take(count as u64).read_to_end(into).expect("the daemon answers");
        assert_eq!(read, count, "the answer is whole");
    }
}
