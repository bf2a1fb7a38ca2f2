//! The outputs of a prompt, brought over whole and named here: names from over there become no paths.

use std::collections::BTreeMap;

use crate::act::http::Request;
use crate::act::runtime::adapter::{Fault, Output, Progress, RuntimeError};
use crate::act::runtime::fault;
use crate::core::text::{count, shorten};

use super::adapter::Comfyui;
use super::media;
use super::verdict::Made;

/// The most bytes of all outputs of one prompt together.
const OUTPUTS_BYTES_MAX: usize = 1 << 30;

/// Fetches everything that was made.
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
    let (mut outputs, mut bytes_left) = (Vec::new(), OUTPUTS_BYTES_MAX);
    for made in made {
        let (kind, bytes) = match made {
            Made::Text(text) => ("txt".to_owned(), text.into_bytes()),
            Made::File { look, name } => {
                let request = Request::get(look.path()).bytes().within(runtime.timeouts.run.get());
                let answer = runtime.files.send(request).await?;
                let shown = shorten(&name, 80);
                if answer.status != 200 {
                    return Err(fault::of_answer(&answer, &format!("{asked}: cannot fetch `{shown}`")));
                }
                let kind = media::kind(&name, &answer.body).map_err(|why| {
                    RuntimeError::new(Fault::RuntimeError, format!("{asked}: `{shown}` is broken: {why}"))
                })?;
                (kind, answer.body)
            }
        };
        bytes_left = bytes_left.checked_sub(bytes.len()).ok_or_else(|| {
            let message = format!("{asked}: its outputs are larger than {OUTPUTS_BYTES_MAX} bytes together");
            RuntimeError::new(Fault::RuntimeError, message)
        })?;
        outputs.push(Output { name: String::new(), kind, bytes });
    }
    name(&mut outputs);
    Ok(outputs)
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
