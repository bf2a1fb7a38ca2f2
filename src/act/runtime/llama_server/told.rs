//! What llama-server means by its errors: the same mistake has several statuses, and one status several meanings.

use crate::act::runtime::adapter::{Fault, RuntimeError};

/// Words, in lower case, that say more than the status.
const MEANINGS: &[(&str, Fault, &str)] = &[
    ("loading model", Fault::Busy, "it is still loading its model"),
    ("no slot available", Fault::Busy, "all its slots are taken"),
    ("model limit reached", Fault::Busy, "as many models are loaded as `--models-max` allows"),
    ("failed to load", Fault::RuntimeError, "the model's own process ended; its log says why"),
];

/// `error` with the fault that its words mean.
pub(super) fn meant(mut error: RuntimeError) -> RuntimeError {
    let Some(words) = error.words.as_deref().map(str::to_lowercase) else { return error };
    if let Some((_, fault, means)) = MEANINGS.iter().find(|(sign, ..)| words.contains(sign)) {
        // Memory that ran out is told in more words than these, and is the better answer.
        if error.fault != Fault::OutOfMemory {
            error.fault = *fault;
        }
        error.message = format!("{}: {means}", error.message);
    } else if words.starts_with("model ") && words.ends_with("not found") {
        // Quirk 4: 404, 400 or 500, depending on what was asked.
        error.fault = Fault::NotFound;
    }
    error
}

/// Whether `error` says that a model would have to be loaded first, and that nobody does so by itself.
pub(super) fn is_not_loaded(error: &RuntimeError) -> bool {
    error.words.as_deref() == Some("model is not loaded")
}

/// What the end of a task for vectors tells of whether the server makes any: why not, or nothing against it. None when it
/// tells neither.
#[expect(clippy::option_option, reason = "not told, told that it does, told that it does not and why")]
pub(super) fn of_vectors(error: Option<&RuntimeError>) -> Option<Option<String>> {
    let Some(error) = error else { return Some(None) };
    let words = error.words.as_deref()?;
    let refuses = words.to_lowercase().contains("does not support embeddings");
    refuses.then(|| Some(format!("it refused when it was last asked: {words}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quirks_1_and_4_words_decide_where_the_status_does_not() {
        for (fault, words, expected, says) in [
            (Fault::Busy, "Loading model", Fault::Busy, "still loading"),
            (Fault::Busy, "no slot available", Fault::Busy, "slots are taken"),
            (Fault::RuntimeError, "model limit reached, try again later", Fault::Busy, "--models-max"),
            (Fault::RuntimeError, "model name=a failed to load", Fault::RuntimeError, "its log"),
            (Fault::OutOfMemory, "failed to load: out of memory", Fault::OutOfMemory, "its log"),
            (Fault::BadInput, "model 'x' not found", Fault::NotFound, "asked"),
            (Fault::BadInput, "model is not found", Fault::NotFound, "asked"),
            (Fault::BadInput, "the file was not found", Fault::BadInput, "asked"),
        ] {
            let error = meant(RuntimeError::new(fault, "asked").saying(words));
            assert!(error.fault == expected && error.message.contains(says), "{error}");
        }
    }

    #[test]
    fn only_the_servers_own_words_say_that_it_makes_no_vectors() {
        let error = |words: &str| RuntimeError::new(Fault::BadInput, "asked").saying(words);
        let refused = error("This server does not support embeddings. Start it with `--embeddings`");
        assert!(of_vectors(Some(&refused)).unwrap().unwrap().contains("`--embeddings`"));
        assert_eq!(of_vectors(None), Some(None), "it did");
        for other in [error("input is too large"), RuntimeError::new(Fault::Timeout, "asked")] {
            assert_eq!(of_vectors(Some(&other)), None, "{other}");
        }
    }
}
