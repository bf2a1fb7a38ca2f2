//! Asking a program of this machine a short question: bounded in time and in what is read, without input, without a shell.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

use crate::core::text::shorten;

/// How long an answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// Bytes of an answer that are read.
const ANSWER_BYTES_MAX: u64 = 4 << 10;

/// The first line that the program prints, without the blanks around it.
///
/// # Errors
/// Why there is none: it cannot be started, fails, or takes too long.
pub async fn first_line(program: &Path, arguments: &[&str], folder: &Path) -> Result<String, String> {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(folder).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let work = async {
        let mut child = command.spawn().map_err(|error| format!("it cannot be started: {error}"))?;
        let mut text = Vec::new();
        if let Some(out) = child.stdout.take() {
            out.take(ANSWER_BYTES_MAX).read_to_end(&mut text).await.map_err(|error| error.to_string())?;
        }
        let status = child.wait().await.map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&text);
        let line = text.lines().next().unwrap_or_default().trim();
        if status.success() { Ok(shorten(line, 200)) } else { Err(format!("it left with {status}")) }
    };
    let late = || Err(format!("it did not answer within {} s", ANSWER_MAX.as_secs()));
    tokio::time::timeout(ANSWER_MAX, work).await.unwrap_or_else(|_| late())
}
