//! How a text capability becomes the turns of a chat.
//!
//! The templates are the files beside this one, one for each turn, so that anyone can read what is sent; a runtime's
//! `options.prompts` replaces them by capability and turn. A turn is a template of its own, so that no text can smuggle
//! in another turn. An undefined value is an error, and a template that runs away runs out of fuel.

use std::collections::{BTreeMap, BTreeSet};

use minijinja::{Environment, UndefinedBehavior, Value};

use super::adapter::{Fault, RuntimeError};

/// Instructions that one template may take; the defaults take some dozens.
const FUEL: u64 = 100_000;
/// The longest template in a manifest.
const TEMPLATE_BYTES_MAX: usize = 64 * 1024;
/// The longest prompt that is sent.
const PROMPT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The turns there can be, in the order in which they are sent.
const TURNS: &[&str] = &["system", "user"];

const DEFAULTS: &[(&str, &str, &str)] = &[
    ("text.generate", "user", include_str!("text.generate.user.j2")),
    ("text.summarize", "system", include_str!("text.summarize.system.j2")),
    ("text.summarize", "user", include_str!("text.summarize.user.j2")),
];

/// The templates of a runtime.
#[derive(Debug)]
pub struct Prompts {
    environment: Environment<'static>,
}

/// One turn of a chat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    pub role: &'static str,
    pub content: String,
}

impl Prompts {
    /// The default templates, with those of `options.prompts` in their place: capability → turn → template.
    ///
    /// # Errors
    /// Bad input when they have another shape, name an unknown capability or turn, or are no templates.
    pub fn new(options: &BTreeMap<String, serde_json::Value>) -> Result<Self, RuntimeError> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        let mut prompts = Self { environment };
        for (capability, turn, template) in DEFAULTS {
            prompts.add(capability, turn, template)?;
        }
        let Some(own) = options.get("prompts") else { return Ok(prompts) };
        let own: BTreeMap<String, BTreeMap<String, String>> = serde_json::from_value(own.clone()).map_err(|e| {
            bad(format!("`options.prompts` maps a capability to its turns, and a turn to a template: {e}"))
        })?;
        for (capability, turns) in &own {
            let capabilities = DEFAULTS.iter().map(|(capability, _, _)| *capability);
            refuse_unknown("capability with prompts", capability, capabilities)?;
            for (turn, template) in turns {
                refuse_unknown("turn", turn, TURNS.iter().copied())?;
                prompts.add(capability, turn, template)?;
            }
        }
        Ok(prompts)
    }

    fn add(&mut self, capability: &str, turn: &str, template: &str) -> Result<(), RuntimeError> {
        let name = format!("{capability}.{turn}");
        if template.len() > TEMPLATE_BYTES_MAX {
            return Err(bad(format!("the prompt `{name}` is longer than {TEMPLATE_BYTES_MAX} bytes")));
        }
        let template = template.to_owned();
        self.environment
            .add_template_owned(name.clone(), template)
            .map_err(|e| bad(format!("the prompt `{name}` is no template: {e}")))
    }

    /// The turns for `text` with the settings `params`.
    ///
    /// # Errors
    /// Bad input when a template uses what is not there, never ends, or gives too much.
    pub fn render(
        &self,
        capability: &str,
        text: &str,
        params: &BTreeMap<String, serde_json::Value>,
    ) -> Result<Vec<Turn>, RuntimeError> {
        let context = minijinja::context! { text => text, params => Value::from(minijinja::value::Serde(params)) };
        let mut turns = Vec::new();
        for role in TURNS {
            let Ok(template) = self.environment.get_template(&format!("{capability}.{role}")) else { continue };
            let content = template.render(&context).map_err(|e| bad(format!("the prompt cannot be made: {e}")))?;
            if content.len() > PROMPT_BYTES_MAX {
                return Err(bad(format!("the prompt is longer than {PROMPT_BYTES_MAX} bytes")));
            }
            turns.push(Turn { role, content: content.trim().to_owned() });
        }
        Ok(turns)
    }

    /// The settings that the templates of `capability` use: they are for the prompt, not for the model server.
    #[must_use]
    pub fn settings(&self, capability: &str) -> BTreeSet<String> {
        let used = |role: &&str| {
            let template = self.environment.get_template(&format!("{capability}.{role}")).ok()?;
            Some(template.undeclared_variables(true))
        };
        let names = TURNS.iter().filter_map(used).flatten();
        names.filter_map(|name| name.strip_prefix("params.").map(str::to_owned)).collect()
    }
}

/// The turns as a person reads them, for the lineage.
#[must_use]
pub fn shown(turns: &[Turn]) -> String {
    turns.iter().map(|turn| format!("{}:\n{}\n", turn.role, turn.content)).collect::<Vec<_>>().join("\n")
}

fn refuse_unknown(
    what: &str,
    name: &str,
    known: impl Iterator<Item = &'static str> + Clone,
) -> Result<(), RuntimeError> {
    if known.clone().any(|known| known == name) {
        return Ok(());
    }
    let hint = match crate::core::text::nearest(name, known.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there are {}", known.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(", ")),
    };
    Err(bad(format!("`options.prompts` names no {what} with `{name}`; {hint}")))
}

fn bad(message: String) -> RuntimeError {
    RuntimeError::new(Fault::BadInput, message)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(value: serde_json::Value) -> BTreeMap<String, serde_json::Value> {
        serde_json::from_value(value).unwrap()
    }

    fn render(options: serde_json::Value, capability: &str, params: serde_json::Value) -> Result<String, RuntimeError> {
        Ok(shown(&Prompts::new(&map(options))?.render(capability, "<the> text", &map(params))?))
    }

    #[test]
    fn the_default_prompts_spell_out_the_turns_and_escape_nothing() {
        insta::assert_snapshot!(render(json!({}), "text.summarize", json!({"max_words": 60})).unwrap(), @r"
        system:
        You summarise texts. Say only what the text says; add no fact, name or number of your own.
        Answer with the summary alone, in the language of the text.

        user:
        Summarise the text below in at most 60 words.

        <the> text
        ");
        assert_eq!(render(json!({}), "text.generate", json!({})).unwrap(), "user:\n<the> text\n");
    }

    #[test]
    fn a_runtime_can_bring_its_own_turns_and_their_settings_stay_out_of_the_request() {
        let options = json!({"prompts": {"text.generate": {"system": "Be {{ params.tone }}."}}});
        let prompts = Prompts::new(&map(options.clone())).unwrap();
        assert_eq!(prompts.settings("text.generate"), BTreeSet::from(["tone".to_owned()]));
        let text = render(options, "text.generate", json!({"tone": "kind"})).unwrap();
        assert_eq!(text, "system:\nBe kind.\n\nuser:\n<the> text\n");
    }

    #[test]
    fn undefined_values_endless_templates_and_unknown_names_are_errors() {
        for (options, says) in [
            (json!({"prompts": {"text.generate": {"user": "{{ nothing }}"}}}), "undefined"),
            (json!({"prompts": {"text.generate": {"user": "{% for i in range(99999) %}{{ i }}{% endfor %}"}}}), "fuel"),
            (json!({"prompts": {"text.generate": {"user": "{% if %}"}}}), "no template"),
            (json!({"prompts": {"text.generat": {"user": "x"}}}), "did you mean `text.generate`?"),
            (json!({"prompts": {"text.generate": {"assistant": "x"}}}), "there are system, user"),
            (json!({"prompts": "x"}), "maps a capability"),
        ] {
            let error = render(options.clone(), "text.generate", json!({})).unwrap_err();
            assert!(error.fault == Fault::BadInput && error.message.contains(says), "{options}: {error}");
        }
    }
}
