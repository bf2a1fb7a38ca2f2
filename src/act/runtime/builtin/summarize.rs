//! `text.summarize`: sentences of the text itself, chosen by one of two published baselines.
//!
//! `lead` takes the first sentences (lead-3 is the usual baseline for news, see Nallapati, Zhai and Zhou, "SummaRuNNer",
//! AAAI 2017, section 4); `textrank` takes the most central ones and puts them back into the order of the text. Neither
//! writes a word of its own.

use crate::act::runtime::stop::{Stop, Stopped};

use super::block::{BlockKind, blocks};
use super::plain::plain;
use super::sentence::sentences;
use super::textrank;
use super::word::{spans, words};

/// Sentences of a summary when nothing else is asked for.
pub const SENTENCES_DEFAULT: usize = 3;

/// A way to choose sentences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Lead,
    TextRank,
}

/// How long a summary may be. None is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Length {
    pub words_max: Option<usize>,
    pub sentences_max: Option<usize>,
}

/// A summary and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    pub text: String,
    pub words: usize,
    pub sentences: usize,
    pub words_of_text: usize,
    pub sentences_of_text: usize,
    /// How many of them could be chosen: fewer than there are when the text is very long.
    pub sentences_ranked: usize,
}

/// Summarises the prose of `text`: headings, code and tables are passed over unless there is nothing else.
/// None when there is no sentence at all.
///
/// # Errors
/// When it was told to stop.
pub fn summarize(text: &str, method: Method, length: Length, stop: &Stop) -> Result<Option<Summary>, Stopped> {
    let lines = prose(text);
    let all: Vec<&str> = lines.iter().flat_map(|line| sentences(line)).collect();
    if all.is_empty() {
        return Ok(None);
    }
    stop.check()?;
    let order = match method {
        Method::Lead => (0..all.len()).collect(),
        Method::TextRank => textrank::rank(&all, stop)?,
    };
    let length = match length {
        Length { words_max: None, sentences_max: None } => {
            Length { sentences_max: Some(SENTENCES_DEFAULT), ..Length::default() }
        }
        given => given,
    };
    let chosen = choose(&all, &order, method, length);
    let text = chosen.join(" ");
    Ok(Some(Summary {
        words: words(&text).count(),
        sentences: chosen.len(),
        words_of_text: all.iter().map(|sentence| words(sentence).count()).sum(),
        sentences_of_text: all.len(),
        sentences_ranked: order.len(),
        text,
    }))
}

fn prose(text: &str) -> Vec<String> {
    let blocks = blocks(text);
    let is_prose = |kind: BlockKind| matches!(kind, BlockKind::Paragraph | BlockKind::Item);
    let only_prose = blocks.iter().any(|block| is_prose(block.kind));
    blocks.iter().filter(|block| !only_prose || is_prose(block.kind)).map(|block| plain(&block.text)).collect()
}

/// The chosen sentences in the order of the text. `lead` stops at the first that does not fit, because a gap would not
/// be a lead; `textrank` goes on to the next that does. At least one is given, cut where it alone is too long.
fn choose(all: &[&str], order: &[usize], method: Method, length: Length) -> Vec<String> {
    let words_max = length.words_max.unwrap_or(usize::MAX);
    let mut left = words_max;
    let mut chosen = Vec::new();
    for &at in order {
        if chosen.len() == length.sentences_max.unwrap_or(usize::MAX) {
            break;
        }
        let count = words(all[at]).count();
        if count <= left {
            left -= count;
            chosen.push(at);
        } else if method == Method::Lead {
            break;
        }
    }
    chosen.sort_unstable();
    match (chosen.is_empty(), order.first()) {
        (true, Some(&best)) => vec![cut(all[best], words_max)],
        _ => chosen.into_iter().map(|at| all[at].to_owned()).collect(),
    }
}

/// The first `words_max` words of `sentence`, with an ellipsis.
fn cut(sentence: &str, words_max: usize) -> String {
    let end = spans(sentence).nth(words_max.saturating_sub(1)).map_or(sentence.len(), |word| word.end);
    format!("{} …", &sentence[..end])
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = "# Storm\n\nA storm hit the island. The storm damaged farms and the harbour of the island. \
        Dr. Lee counted 3.5 metres of rain.\n\n- Farms on the island lost their harvest.\n- Cats slept.\n\n\
        ```\ncode. is. skipped.\n```\n";

    fn summary(text: &str, method: Method, words_max: Option<usize>, sentences_max: Option<usize>) -> Option<Summary> {
        let (stop, _waiting) = Stop::after(Duration::from_secs(60));
        summarize(text, method, Length { words_max, sentences_max }, &stop).unwrap()
    }

    #[test]
    fn lead_takes_the_first_sentences_of_the_prose() {
        let lead = summary(TEXT, Method::Lead, None, None).unwrap();
        assert_eq!(
            lead.text,
            "A storm hit the island. The storm damaged farms and the harbour of the island. Dr. Lee counted 3.5 metres of rain."
        );
        assert_eq!((lead.sentences, lead.sentences_of_text), (3, 5));
        assert_eq!(summary(TEXT, Method::Lead, Some(6), None).unwrap().text, "A storm hit the island.");
    }

    #[test]
    fn textrank_takes_the_central_sentences_in_the_order_of_the_text() {
        let best = |sentences| summary(TEXT, Method::TextRank, None, Some(sentences)).unwrap().text;
        assert_eq!(best(1), "The storm damaged farms and the harbour of the island.");
        assert_eq!(
            best(3),
            "A storm hit the island. The storm damaged farms and the harbour of the island. \
             Farms on the island lost their harvest."
        );
    }

    #[test]
    fn a_sentence_longer_than_the_limit_is_cut_and_marked() {
        assert_eq!(summary("One two three four five.", Method::Lead, Some(2), None).unwrap().text, "One two …");
        assert_eq!(summary("漢字漢字。", Method::TextRank, Some(2), None).unwrap().text, "漢字 …");
    }

    #[test]
    fn a_text_of_headings_is_summarised_all_the_same_and_nothing_gives_nothing() {
        assert_eq!(summary("# Only a title\n", Method::Lead, None, None).unwrap().text, "Only a title");
        assert_eq!(summary(" \n***\n", Method::TextRank, None, None), None);
    }

    proptest! {
        #[test]
        fn the_limits_are_kept(text in "([a-zA-Zé漢]{1,8}[ .!?\n]{1,2}){1,40}", words_max in 1usize..20, sentences_max in 1usize..5) {
            for method in [Method::Lead, Method::TextRank] {
                if let Some(summary) = summary(&text, method, Some(words_max), Some(sentences_max)) {
                    prop_assert!(summary.words <= words_max && summary.sentences <= sentences_max);
                    prop_assert!(summary.words > 0);
                }
            }
        }
    }
}
