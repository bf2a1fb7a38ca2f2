//! `text.embed`: one vector for the text, and one for each file.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::act::http::Request;
use crate::act::runtime::adapter::{Fault, Invocation, Outcome, Output, RuntimeError};
use crate::act::runtime::fault;
use crate::act::runtime::input::texts_of;
use crate::act::runtime::params;
use crate::act::runtime::stop::Stop;

use super::api::Api;

#[derive(Deserialize)]
struct Answer {
    data: Vec<Embedding>,
    #[serde(default)]
    usage: Value,
}

#[derive(Deserialize)]
struct Embedding {
    index: usize,
    embedding: Vec<f64>,
}

/// `vectors.json`.
#[derive(Serialize)]
struct Vectors {
    model: String,
    dimensions: usize,
    vectors: Vec<Vector>,
}

#[derive(Serialize)]
struct Vector {
    /// `text`, or the name of the file.
    of: String,
    vector: Vec<f64>,
}

/// Does `invocation` with `model`.
///
/// # Errors
/// Bad input, or what the server says.
pub async fn run(api: &Api<'_>, model: String, invocation: Invocation) -> Result<Outcome, RuntimeError> {
    params::only(&invocation.params, &invocation.capability, &[])?;
    let asked = format!("cannot do `{}` with `{model}`", invocation.capability);
    let names: Vec<String> = invocation
        .text
        .iter()
        .map(|_| "text".to_owned())
        .chain(invocation.files.iter().map(|file| file.name.clone()))
        .collect();
    let (stop, waiting) = Stop::after(api.limit);
    let read = tokio::task::spawn_blocking(move || texts_of(&invocation, &stop)).await;
    drop(waiting);
    let texts = read
        .unwrap_or_else(|e| Err(RuntimeError::new(Fault::RuntimeError, format!("reading the input broke off: {e}"))))?;

    let body = json!({"model": model, "input": texts, "encoding_format": "float"});
    let request = Request::post(api.routes.embeddings).json(&body).within(api.limit);
    let answer = api.client.send(request).await?;
    if answer.status != 200 {
        return Err(fault::of_answer(&answer, &asked));
    }
    let told: Value = answer.json()?;
    if let Some(error) = fault::in_stream(&told, &asked) {
        return Err(error);
    }
    let answer: Answer = answer.json()?;
    let prompt_tokens = answer.usage.get("prompt_tokens").and_then(Value::as_f64);
    let vectors = vectors(model, names, answer.data)
        .map_err(|why| RuntimeError::new(Fault::RuntimeError, format!("{asked}: {why}")))?;
    outcome(&vectors, prompt_tokens)
}

/// One vector for each name, in order, all of one length.
fn vectors(model: String, names: Vec<String>, mut data: Vec<Embedding>) -> Result<Vectors, String> {
    data.sort_by_key(|embedding| embedding.index);
    if data.len() != names.len() || data.iter().enumerate().any(|(at, embedding)| embedding.index != at) {
        return Err(format!("it answers {} texts with {} vectors", names.len(), data.len()));
    }
    let dimensions = data.first().map_or(0, |embedding| embedding.embedding.len());
    if dimensions == 0 || data.iter().any(|embedding| embedding.embedding.len() != dimensions) {
        return Err("its vectors are empty or of different lengths".to_owned());
    }
    let vectors =
        names.into_iter().zip(data).map(|(of, embedding)| Vector { of, vector: embedding.embedding }).collect();
    Ok(Vectors { model, dimensions, vectors })
}

fn outcome(vectors: &Vectors, prompt_tokens: Option<f64>) -> Result<Outcome, RuntimeError> {
    let json = serde_json::to_string(vectors)
        .map_err(|e| RuntimeError::new(Fault::RuntimeError, format!("the vectors cannot be written as JSON: {e}")))?;
    #[expect(clippy::cast_precision_loss, reason = "vectors have some thousand dimensions")]
    let dimensions = vectors.dimensions as f64;
    let figures = [("dimensions", Some(dimensions)), ("prompt_tokens", prompt_tokens)];
    Ok(Outcome {
        outputs: vec![Output {
            name: "vectors.json".to_owned(),
            kind: "json".to_owned(),
            bytes: (json + "\n").into_bytes(),
        }],
        model: Some(vectors.model.clone()),
        prompt: None,
        figures: figures.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn embedding(index: usize, embedding: &[f64]) -> Embedding {
        Embedding { index, embedding: embedding.to_vec() }
    }

    #[test]
    fn vectors_are_matched_to_their_texts_by_index() {
        let names = vec!["text".to_owned(), "a.txt".to_owned()];
        let data = vec![embedding(1, &[3.0, 4.0]), embedding(0, &[1.0, 2.0])];
        let all = vectors("m".to_owned(), names, data).ok().unwrap();
        assert_eq!(
            serde_json::to_string(&all).unwrap(),
            r#"{"model":"m","dimensions":2,"vectors":[{"of":"text","vector":[1.0,2.0]},{"of":"a.txt","vector":[3.0,4.0]}]}"#
        );
    }

    #[test]
    fn missing_doubled_empty_and_uneven_vectors_are_refused() {
        let names = || vec!["a".to_owned(), "b".to_owned()];
        for data in [
            vec![embedding(0, &[1.0])],
            vec![embedding(0, &[1.0]), embedding(0, &[1.0])],
            vec![embedding(0, &[]), embedding(1, &[])],
            vec![embedding(0, &[1.0]), embedding(1, &[1.0, 2.0])],
        ] {
            assert!(vectors("m".to_owned(), names(), data).is_err());
        }
    }
}
