//! Each runtime by the answers of its contract, and none taken for its neighbour.

use serde_json::json;

use super::*;

/// Answers as a server gives them: what is not named is 404.
fn verdict(known: &[(Question, u16, Value)]) -> (Verdict, Vec<Question>) {
    let mut answers = Answers::new();
    let mut asked = Vec::new();
    loop {
        match judge(&answers) {
            Ok(verdict) => return (verdict, asked),
            Err(question) => {
                assert!(!asked.contains(&question), "{question:?} is asked twice");
                asked.push(question);
                let told = known.iter().find(|(known, ..)| *known == question);
                let heard = told.map_or(Heard::json(404, json!({"detail": "Not Found"})), |(_, status, body)| {
                    Heard::json(*status, body.clone())
                });
                answers.insert(question, heard);
            }
        }
    }
}

fn adapter(known: &[(Question, u16, Value)]) -> Option<(AdapterKind, Option<SpeechServer>, bool)> {
    match verdict(known).0 {
        Verdict::Runtime(found) => Some((found.adapter, found.server, found.needs_key)),
        Verdict::Stranger(_) => None,
    }
}

fn models(owner: &str) -> Value {
    json!({"object": "list", "data": [{"id": "a", "owned_by": owner}]})
}

#[test]
fn each_runtime_is_recognized_by_its_own_signs() {
    use Question::*;
    let version = || json!({"version": "0.33.0"});
    let props = || json!({"default_generation_settings": {"n_ctx": 8}, "build_info": "b1"});
    let error = |kind: &str| json!({"error": {"message": "Invalid API Key", "type": kind, "code": 401}});
    let voices = || json!({"voices": ["af"]});
    let tts = |id: &str| json!({"object": "list", "data": [{"id": id}]});
    let swap = || json!({"version": "v250", "commit": "abc"});
    for (says, known, expected) in [
        (
            "swap",
            vec![(Models, 200, models("llama-swap")), (Running, 200, json!({"running": []}))],
            (AdapterKind::LlamaSwap, None, false),
        ),
        (
            "empty swap",
            vec![
                (Models, 200, json!({"data": []})),
                (ApiVersion, 200, swap()),
                (Running, 200, json!({"running": null})),
            ],
            (AdapterKind::LlamaSwap, None, false),
        ),
        (
            "guarded swap",
            vec![(Models, 401, json!({"src": "llama-swap", "error": "unauthorized"}))],
            (AdapterKind::LlamaSwap, None, true),
        ),
        (
            "server",
            vec![(Models, 200, models("llamacpp")), (Props, 200, props())],
            (AdapterKind::LlamaServer, None, false),
        ),
        (
            "empty router",
            vec![(Models, 200, json!({"data": []})), (Props, 200, json!({"role": "router"}))],
            (AdapterKind::LlamaServer, None, false),
        ),
        (
            "loading server",
            vec![(Models, 503, json!({"error": {"message": "Loading model", "type": "unavailable_error"}}))],
            (AdapterKind::LlamaServer, None, false),
        ),
        (
            "guarded server",
            vec![(Models, 401, error("authentication_error")), (Health, 200, json!({"status": "ok"}))],
            (AdapterKind::LlamaServer, None, true),
        ),
        ("vllm", vec![(Models, 200, models("vllm")), (Version, 200, version())], (AdapterKind::Vllm, None, false)),
        (
            "guarded vllm",
            vec![(Models, 401, json!({"error": "Unauthorized"})), (Version, 200, version())],
            (AdapterKind::Vllm, None, true),
        ),
        (
            "ollama",
            vec![(Models, 200, models("library")), (ApiVersion, 200, version()), (Tags, 200, json!({"models": []}))],
            (AdapterKind::Ollama, None, false),
        ),
        (
            "old ollama",
            vec![(ApiVersion, 200, version()), (Tags, 200, json!({"models": []}))],
            (AdapterKind::Ollama, None, false),
        ),
        (
            "textgen",
            vec![(Models, 200, json!({"data": []})), (ModelInfo, 200, json!({"model_name": "None"}))],
            (AdapterKind::TextgenWebui, None, false),
        ),
        (
            "guarded textgen",
            vec![(Models, 401, json!({"detail": "Unauthorized"})), (ModelInfo, 401, json!({}))],
            (AdapterKind::TextgenWebui, None, true),
        ),
        (
            "tts-webui",
            vec![(SpeechModels, 200, json!({"models": [{"id": "chatterbox"}]}))],
            (AdapterKind::TtsWebui, Some(SpeechServer::TtsWebui), false),
        ),
        (
            "kokoro",
            vec![(Models, 200, tts("tts-1")), (Voices, 200, voices()), (Health, 200, json!({"status": "healthy"}))],
            (AdapterKind::TtsWebui, Some(SpeechServer::Kokoro), false),
        ),
        (
            "speaches",
            vec![(Models, 200, tts("Systran/x")), (Voices, 200, voices()), (Health, 200, json!({"message": "OK"}))],
            (AdapterKind::TtsWebui, Some(SpeechServer::Speaches), false),
        ),
        (
            "guarded speaches",
            vec![(Models, 403, json!({"detail": "no"})), (Health, 200, json!({"message": "OK"}))],
            (AdapterKind::TtsWebui, Some(SpeechServer::Speaches), true),
        ),
        (
            "openedai",
            vec![(Models, 200, tts("tts-1-hd")), (Health, 200, json!({"status": "unk"}))],
            (AdapterKind::TtsWebui, Some(SpeechServer::Openedai), false),
        ),
        (
            "comfyui",
            vec![(SystemStats, 200, json!({"system": {"comfyui_version": "0.38.1"}}))],
            (AdapterKind::Comfyui, None, false),
        ),
        (
            "ray",
            vec![(ApiVersion, 200, json!({"version": "4", "ray_version": "2.60.0"}))],
            (AdapterKind::Ray, None, false),
        ),
        ("openai", vec![(Models, 200, models("me"))], (AdapterKind::Openai, None, false)),
        ("who imitates a list of vllm", vec![(Models, 200, models("vllm"))], (AdapterKind::Openai, None, false)),
        (
            "who imitates a list of llama-swap",
            vec![(Models, 200, models("llama-swap"))],
            (AdapterKind::Openai, None, false),
        ),
    ] {
        assert_eq!(adapter(&known), Some(expected), "{says}");
    }
}

#[test]
fn strangers_stay_strangers() {
    use Question::*;
    for known in [
        vec![],
        vec![(Models, 200, Value::Null)],
        vec![(Models, 200, json!([1, 2]))],
        vec![(Models, 200, json!({"data": [1]}))],
        vec![(Models, 200, json!({"data": [{"id": 7}]}))],
        vec![(Models, 500, json!("x"))],
        vec![(Models, 401, json!({"error": {"type": "authentication_error"}}))],
        vec![(Models, 401, json!({"detail": "Unauthorized"}))],
        vec![(Models, 403, Value::Null)],
        vec![(ApiVersion, 200, json!({"version": "1.2.3"}))],
        vec![(ApiVersion, 200, json!({"version": {"a": 1}})), (Tags, 200, json!({"models": []}))],
        vec![(SystemStats, 200, json!({"system": "x"}))],
    ] {
        assert_eq!(adapter(&known), None, "{known:?}");
    }
}

#[test]
fn a_stranger_is_asked_few_questions_and_a_signed_list_settles_it_in_two() {
    assert!(verdict(&[]).1.len() <= 5, "{:?}", verdict(&[]).1);
    let swap = [(Question::Models, 200, models("llama-swap")), (Question::Running, 200, json!({"running": []}))];
    assert_eq!(verdict(&swap).1, [Question::Models, Question::Running]);
    let silent = Answers::from([(Question::Models, Heard::default())]);
    assert!(matches!(judge(&silent), Ok(Verdict::Stranger(_))));
}
