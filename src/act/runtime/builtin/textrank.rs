//! TextRank, the published graph-ranking baseline: which sentences the others point at.
//!
//! Rada Mihalcea and Paul Tarau, "TextRank: Bringing Order into Texts", EMNLP 2004. Sentences are the vertices of an
//! undirected graph; the weight of an edge is how many words two sentences share (section 4.1),
//!
//! ```text
//! similarity(Si, Sj) = |{w : w in Si and w in Sj}| / (log |Si| + log |Sj|)
//! ```
//!
//! and the score of a vertex is the fixed point of (section 2.2)
//!
//! ```text
//! WS(Vi) = (1 - d) + d * sum over neighbours Vj of  w_ji / (sum over neighbours Vk of Vj of w_jk) * WS(Vj)
//! ```
//!
//! with d = 0.85 and iteration until no score moves by more than 0.0001. As the paper allows, words are filtered before
//! they are counted: function words are left out. The result is a function of the text alone.

use std::collections::{BTreeSet, HashMap};

use crate::act::runtime::stop::{Stop, Stopped};

use super::word::{is_function_word, words};

/// The graph has one edge for each pair of sentences, so their number is bounded; later sentences are not ranked.
pub const SENTENCES_RANKED_MAX: usize = 1_500;
/// Distinct words of a sentence that are compared. Sentences of prose have some dozens.
const WORDS_COMPARED_MAX: usize = 200;
const DAMPING: f64 = 0.85;
const CONVERGED: f64 = 0.0001;
const ROUNDS_MAX: usize = 100;

/// A sentence as the graph sees it.
struct Vertex {
    /// Its distinct words as numbers, sorted.
    words: Vec<u32>,
    /// The logarithm of how many words it has.
    log_length: f64,
}

/// The places of `sentences`, the most central one first; equal scores keep the order of the text.
///
/// # Errors
/// When it was told to stop.
pub fn rank(sentences: &[&str], stop: &Stop) -> Result<Vec<usize>, Stopped> {
    let ranked = &sentences[..sentences.len().min(SENTENCES_RANKED_MAX)];
    let scores = scores(&graph(&vertices(ranked), stop)?, stop)?;
    let mut order: Vec<usize> = (0..ranked.len()).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b)));
    Ok(order)
}

fn vertices(sentences: &[&str]) -> Vec<Vertex> {
    let mut numbers: HashMap<String, u32> = HashMap::new();
    let number_words = |sentence: &&str| {
        let mut length = 0_u32;
        let mut distinct = BTreeSet::new();
        for word in words(sentence).map(str::to_lowercase).filter(|word| !is_function_word(word)) {
            length += 1;
            let next = u32::try_from(numbers.len()).unwrap_or(u32::MAX);
            let number = *numbers.entry(word).or_insert(next);
            if distinct.len() < WORDS_COMPARED_MAX {
                distinct.insert(number);
            }
        }
        Vertex { words: distinct.into_iter().collect(), log_length: f64::from(length.max(1)).ln() }
    };
    sentences.iter().map(number_words).collect()
}

/// For each vertex its neighbours and the weights of the edges to them.
fn graph(vertices: &[Vertex], stop: &Stop) -> Result<Vec<Vec<(usize, f64)>>, Stopped> {
    let mut edges = vec![Vec::new(); vertices.len()];
    for i in 0..vertices.len() {
        stop.check()?;
        for j in 0..i {
            let weight = similarity(&vertices[i], &vertices[j]);
            if weight > 0.0 {
                edges[i].push((j, weight));
                edges[j].push((i, weight));
            }
        }
    }
    Ok(edges)
}

/// How alike two sentences are. Two sentences of one word each have no length to divide by and are unrelated.
fn similarity(a: &Vertex, b: &Vertex) -> f64 {
    let lengths = a.log_length + b.log_length;
    if lengths <= 0.0 {
        return 0.0;
    }
    let (mut i, mut j, mut shared) = (0, 0, 0_u32);
    while let (Some(x), Some(y)) = (a.words.get(i), b.words.get(j)) {
        shared += u32::from(x == y);
        i += usize::from(x <= y);
        j += usize::from(y <= x);
    }
    f64::from(shared) / lengths
}

fn scores(edges: &[Vec<(usize, f64)>], stop: &Stop) -> Result<Vec<f64>, Stopped> {
    let given: Vec<f64> = edges.iter().map(|out| out.iter().map(|(_, weight)| weight).sum()).collect();
    let mut scores = vec![1.0; edges.len()];
    for _ in 0..ROUNDS_MAX {
        stop.check()?;
        let next: Vec<f64> = edges
            .iter()
            .map(|neighbours| {
                let received: f64 = neighbours.iter().map(|(j, weight)| weight / given[*j] * scores[*j]).sum();
                (1.0 - DAMPING) + DAMPING * received
            })
            .collect();
        let moved = scores.iter().zip(&next).map(|(old, new)| (old - new).abs()).fold(0.0, f64::max);
        scores = next;
        if moved < CONVERGED {
            break;
        }
    }
    Ok(scores)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn order(sentences: &[&str]) -> Vec<usize> {
        let (stop, _waiting) = Stop::after(Duration::from_secs(60));
        rank(sentences, &stop).unwrap()
    }

    #[test]
    fn the_sentence_that_shares_words_with_all_others_comes_first() {
        let text = [
            "Bananas are yellow fruit.",
            "Hurricanes damage coastal towns.",
            "Storms and hurricanes damage towns and fruit farms on islands.",
            "Islands suffer storms.",
        ];
        assert_eq!(order(&text)[0], 2);
        assert_eq!(order(&text), order(&text));
    }

    #[test]
    fn similarity_and_scores_follow_the_formulas_of_the_paper() {
        let all = vertices(&["red green blue", "red green black white", "pink"]);
        let weight = similarity(&all[0], &all[1]);
        assert!((weight - 2.0 / (3_f64.ln() + 4_f64.ln())).abs() < 1e-12);
        assert!(similarity(&all[0], &all[2]).abs() < 1e-12);

        let (stop, _waiting) = Stop::after(Duration::from_secs(60));
        let scores = scores(&graph(&all, &stop).unwrap(), &stop).unwrap();
        // Two vertices joined by one edge hold each other at 1; a lonely one falls to 1 - d.
        assert!((scores[0] - 1.0).abs() < 1e-9 && (scores[1] - 1.0).abs() < 1e-9, "{scores:?}");
        assert!((scores[2] - 0.15).abs() < 1e-9, "{scores:?}");
    }

    #[test]
    fn sentences_of_one_word_and_no_sentences_are_harmless() {
        assert_eq!(order(&[]), Vec::<usize>::new());
        assert_eq!(order(&["Yes", "Yes", "No"]), [0, 1, 2]);
    }

    #[test]
    fn a_long_text_is_ranked_as_far_as_the_limit_and_can_be_stopped() {
        let many = vec!["alpha beta"; SENTENCES_RANKED_MAX + 5];
        assert_eq!(order(&many).len(), SENTENCES_RANKED_MAX);
        let (stop, waiting) = Stop::after(Duration::from_secs(60));
        drop(waiting);
        assert_eq!(rank(&many, &stop), Err(Stopped::Gone));
    }
}
