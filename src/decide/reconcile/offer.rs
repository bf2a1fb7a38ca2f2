//! What a Runtime is declared to offer and does not: models that it does not know, capabilities that it lacks. Pure.
//!
//! Only what the running program can tell is judged; what an adapter cannot do at all is an error of the manifest. Where it does not tell all its models, a model that is not among them may
//! still be there.

use crate::core::Name;
use crate::core::text::{nearest, shorten};
use crate::decide::view::RuntimeView;
use crate::declare::manifest::kind::runtime::RuntimeSpec;

use super::inputs::Inputs;
use super::status::{Drift, FieldDifference};

/// Names that are listed in a sentence.
const NAMED_MAX: usize = 4;
/// The longest name that is repeated in a sentence, in characters.
const NAME_CHARS_MAX: usize = 80;

/// Everything that is declared of `runtime` and that `view` says is not so.
#[must_use]
pub fn missing(inputs: &Inputs<'_>, runtime: &Name, spec: &RuntimeSpec, view: &RuntimeView) -> Vec<FieldDifference> {
    let mut missing = Vec::new();
    for (object, model) in inputs.world.models() {
        for served in model.served_by.iter().filter(|served| served.runtime == *runtime) {
            let name = &object.document.key.name;
            let served_as = served.served_as.as_deref().unwrap_or(name.as_str());
            if let Some(why) = unknown(view, served_as) {
                missing.push(FieldDifference {
                    field: format!("models[{name}]"),
                    desired: format!("serves `{served_as}`"),
                    observed: format!("model {} is declared here, and the runtime {why}", quoted(served_as)),
                    drift: Drift::Missing,
                });
            }
        }
    }
    for capability in &spec.capabilities {
        if let Some(why) = view.lacks.get(capability) {
            missing.push(FieldDifference {
                field: format!("capabilities[{capability}]"),
                desired: "offered".to_owned(),
                observed: format!("capability {} is declared here, and {why}", quoted(capability)),
                drift: Drift::Missing,
            });
        }
    }
    missing
}

/// Why the runtime cannot have the model `served_as`; none when it knows it, or may know it.
#[must_use]
pub fn unknown(view: &RuntimeView, served_as: &str) -> Option<String> {
    if view.partial || view.model(served_as).is_some() {
        return None;
    }
    let real = view.models.iter().map(|model| model.name.as_str());
    let known: Vec<&str> = real.chain(view.aliases.keys().map(String::as_str)).collect();
    let Some(first) = known.first() else { return Some("does not know it; it knows no model at all".to_owned()) };
    let named: Vec<String> = known.iter().take(NAMED_MAX).map(|name| quoted(name)).collect();
    let more = known.len().saturating_sub(NAMED_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let near = nearest(served_as, known.iter().copied()).or_else(|| beginning_like(served_as, &known));
    let near = near.filter(|near| known.len() > 1 || near != first);
    let near = near.map(|near| format!("; nearest {}", quoted(near))).unwrap_or_default();
    Some(format!("does not know it; it knows {}{more}{near}", named.join(", ")))
}

/// A name of which the other is the beginning, as `qwen3` is of `qwen3-8b`.
fn beginning_like<'a>(wanted: &str, known: &[&'a str]) -> Option<&'a str> {
    let alike = |name: &&&str| name.starts_with(wanted) || wanted.starts_with(**name);
    known.iter().filter(|name| !name.is_empty()).find(alike).copied()
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", shorten(name, NAME_CHARS_MAX))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::decide::view::{ModelState, ModelView};

    fn view(names: &[&str]) -> RuntimeView {
        let model = |name: &&str| ModelView {
            name: (*name).to_owned(),
            state: ModelState::Unloaded,
            vram_gb: None,
            context_tokens: None,
            expires_at: None,
        };
        let aliases = BTreeMap::from([("gpt".to_owned(), "a".to_owned())]);
        RuntimeView { models: names.iter().map(model).collect(), aliases, ..RuntimeView::default() }
    }

    #[test]
    fn a_model_that_is_not_known_is_told_with_those_that_are_and_the_nearest() {
        let known = view(&["a", "qwen3-8b", "zephyr"]);
        for (wanted, why) in [
            ("a", None),
            ("gpt", None),
            ("qwen3-8", Some(r#"does not know it; it knows "a", "qwen3-8b", "zephyr", "gpt"; nearest "qwen3-8b""#)),
            ("qwen3", Some(r#"does not know it; it knows "a", "qwen3-8b", "zephyr", "gpt"; nearest "qwen3-8b""#)),
            ("mistral", Some(r#"does not know it; it knows "a", "qwen3-8b", "zephyr", "gpt""#)),
        ] {
            assert_eq!(unknown(&known, wanted).as_deref(), why, "{wanted}");
        }
        let many = view(&["m1", "m2", "m3", "m4", "m5"]);
        assert_eq!(unknown(&many, "other").unwrap(), r#"does not know it; it knows "m1", "m2", "m3", "m4" and 2 more"#);
        let none = RuntimeView::default();
        assert_eq!(unknown(&none, "a").unwrap(), "does not know it; it knows no model at all");
    }

    #[test]
    fn a_runtime_that_does_not_tell_all_its_models_is_not_accused() {
        assert_eq!(unknown(&RuntimeView { partial: true, ..view(&["a"]) }, "hidden"), None);
    }
}
