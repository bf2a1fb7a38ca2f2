//! The outputs of a prompt, brought over whole and named here: names from over there become no paths.

use std::collections::BTreeMap;

use crate::act::http::{self, Request};
use crate::act::runtime::adapter::{Fault, Output, Progress, RuntimeError};
use crate::act::runtime::fault;
use crate::core::text::{count, shorten};

use super::adapter::Comfyui;
use super::media;
use super::paths::Look;
use super::verdict::Made;

/// Fetches everything that was made. All of it together is held to what the options say, so that is what it costs in memory.
///
/// # Errors
/// When a file cannot be read, is not what its name says, or all of them are too large together.
pub(super) async fn fetch(
    runtime: &Comfyui,
    made: Vec<Made>,
    asked: &str,
    progress: &Progress,
) -> Result<Vec<Output>, RuntimeError> {
    progress.say(&format!("fetching {}", count(made.len(), "output")));
    let (mut outputs, mut bytes_left) = (Vec::new(), runtime.outputs_bytes_max());
    for made in made {
        let (kind, bytes) = match made {
            Made::Text(text) => ("txt".to_owned(), text.into_bytes()),
            Made::File { look, name } => one(runtime, &look, &name, bytes_left, asked).await?,
        };
        bytes_left = bytes_left.checked_sub(bytes.len()).ok_or_else(|| too_large(asked, "they have more"))?;
        outputs.push(Output { name: String::new(), kind, bytes });
    }
    name(&mut outputs);
    Ok(outputs)
}

/// One file, of at most `bytes_max` bytes: its short type and what is in it.
async fn one(
    runtime: &Comfyui,
    look: &Look,
    name: &str,
    bytes_max: usize,
    asked: &str,
) -> Result<(String, Vec<u8>), RuntimeError> {
    let shown = shorten(name, 80);
    let request = Request::get(look.path()).bytes().within(runtime.timeouts.run.get());
    let streaming = runtime.client.open(request).await?;
    if streaming.status != 200 {
        return Err(fault::of_answer(&streaming.read().await?, &format!("{asked}: cannot fetch `{shown}`")));
    }
    let answer = streaming.read_up_to(bytes_max).await.map_err(|error| match error {
        http::Error::TooLarge { .. } => too_large(asked, &error.to_string()),
        other => other.into(),
    })?;
    match media::kind(name, &answer.body) {
        Ok(kind) => Ok((kind, answer.body)),
        Err(why) => Err(RuntimeError::new(Fault::RuntimeError, format!("{asked}: `{shown}` is broken: {why}"))),
    }
}

/// That the outputs are larger than they may be. The same would come of it again.
fn too_large(asked: &str, why: &str) -> RuntimeError {
    let message =
        format!("{asked}: its outputs are larger than `outputsMb` of the options lets them be together: {why}");
    RuntimeError::new(Fault::BadInput, message)
}

/// `image.png`; where there are several, `image-1.png`, `image-2.png`.
fn name(outputs: &mut [Output]) {
    let mut totals: BTreeMap<&str, usize> = BTreeMap::new();
    for output in outputs.iter() {
        *totals.entry(media::stem(&output.kind)).or_default() += 1;
    }
    let mut so_far: BTreeMap<&str, usize> = BTreeMap::new();
    for output in outputs {
        let stem = media::stem(&output.kind);
        let at = so_far.entry(stem).or_default();
        *at += 1;
        output.name =
            if totals[stem] == 1 { format!("{stem}.{}", output.kind) } else { format!("{stem}-{at}.{}", output.kind) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_named_by_what_they_are_and_numbered_where_there_are_several() {
        let output = |kind: &str| Output { name: String::new(), kind: kind.to_owned(), bytes: Vec::new() };
        let mut outputs = ["png", "jpg", "mp4", "txt"].map(output);
        name(&mut outputs);
        assert_eq!(outputs.map(|output| output.name), ["image-1.png", "image-2.jpg", "video.mp4", "text.txt"]);
    }
}
