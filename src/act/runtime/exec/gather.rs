//! What a program prints, in bounded memory: all of it up to a limit, or its end; and its lines as they come.

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe::Receiver;
use tokio_util::sync::CancellationToken;

/// What is read at once.
const CHUNK_BYTES: usize = 16 * 1024;
/// The longest line; a longer one is told in parts.
const LINE_BYTES_MAX: usize = 2 * 1024;

/// What is kept of a stream.
#[derive(Clone, Copy, Debug)]
pub(super) enum Keep {
    /// All of it.
    All,
    /// Its last bytes.
    End(usize),
}

/// A stream that is being read.
#[derive(Debug)]
pub(super) struct Gathered {
    kept: Arc<Mutex<Vec<u8>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Gathered {
    /// Reads `pipe` until it ends or has given more than `bytes_max`, which `over` is then told.
    pub fn from(
        pipe: OwnedFd,
        keep: Keep,
        bytes_max: u64,
        over: CancellationToken,
        mut line: impl FnMut(&str) + Send + 'static,
    ) -> std::io::Result<Self> {
        let mut pipe = Receiver::from_owned_fd(pipe)?;
        let kept: Arc<Mutex<Vec<u8>>> = Arc::default();
        let into = kept.clone();
        let task = tokio::spawn(async move {
            let (mut chunk, mut lines, mut total) = (vec![0; CHUNK_BYTES], Lines::default(), 0_u64);
            while let Ok(read @ 1..) = pipe.read(&mut chunk).await {
                total += read as u64;
                if total > bytes_max {
                    over.cancel();
                    break;
                }
                lines.take(&chunk[..read], &mut line);
                add(&mut into.lock().unwrap_or_else(PoisonError::into_inner), &chunk[..read], keep);
            }
            lines.end(&mut line);
        });
        Ok(Self { kept, task })
    }

    /// What was kept, when the stream has ended or `patience` has.
    pub async fn end(mut self, patience: std::time::Duration) -> Vec<u8> {
        if tokio::time::timeout(patience, &mut self.task).await.is_err() {
            self.task.abort();
        }
        std::mem::take(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn add(kept: &mut Vec<u8>, chunk: &[u8], keep: Keep) {
    kept.extend_from_slice(chunk);
    if let Keep::End(bytes_max) = keep
        && kept.len() > bytes_max
    {
        kept.drain(..kept.len() - bytes_max);
    }
}

/// Splits into lines, at line feeds and at the carriage returns with which programs write over a line.
#[derive(Debug, Default)]
struct Lines(Vec<u8>);

impl Lines {
    fn take(&mut self, chunk: &[u8], line: &mut impl FnMut(&str)) {
        for byte in chunk {
            if matches!(byte, b'\n' | b'\r') || self.0.len() >= LINE_BYTES_MAX {
                self.end(line);
            }
            if !matches!(byte, b'\n' | b'\r') {
                self.0.push(*byte);
            }
        }
    }

    fn end(&mut self, line: &mut impl FnMut(&str)) {
        if !self.0.is_empty() {
            line(&String::from_utf8_lossy(&self.0));
            self.0.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_where_programs_end_them_and_are_bounded() {
        let (mut lines, mut told) = (Lines::default(), Vec::new());
        for chunk in [&b"one\ntw"[..], b"o\r10%\r", b"\xff\n", &[b'x'; LINE_BYTES_MAX + 1]] {
            lines.take(chunk, &mut |line: &str| told.push(line.to_owned()));
        }
        lines.end(&mut |line: &str| told.push(line.to_owned()));
        assert_eq!(told[..4], ["one", "two", "10%", "\u{fffd}"]);
        assert_eq!(told[4..].iter().map(String::len).collect::<Vec<_>>(), [LINE_BYTES_MAX, 1]);
    }

    #[test]
    fn the_end_of_what_is_printed_is_kept() {
        let mut kept = Vec::new();
        for chunk in [&b"abc"[..], b"defg"] {
            add(&mut kept, chunk, Keep::End(4));
        }
        assert_eq!(kept, b"defg");
    }
}
