//! JSON Schema (2020-12) of the kinds, from the Rust types: what editors complete by, and what `check` walks.

use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::core::Kind;

use super::API_VERSION;
use super::header::{FIELDS, Metadata};
use super::kind::options;
use super::kind::{
    blueprint::BlueprintSpec, experiment::ExperimentSpec, golden_set::GoldenSetSpec, host::HostSpec,
    loadout::LoadoutSpec, model::ModelSpec, policy::PolicySpec, run::RunSpec, runtime::RuntimeSpec, task::TaskSpec,
};

/// The dialect of every schema here.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// The schemas of the specs by kind, with the definitions that they share.
pub(super) struct Schemas {
    pub metadata: Value,
    specs: Vec<(Kind, Value)>,
    /// The options of each adapter: its name and their schema.
    options: Vec<(&'static str, Value)>,
    pub definitions: Map<String, Value>,
}

static SCHEMAS: LazyLock<Schemas> = LazyLock::new(|| {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let specs = Kind::ALL.into_iter().map(|kind| (kind, spec_of(kind, &mut generator).to_value())).collect();
    let metadata = generator.subschema_for::<Metadata>().to_value();
    let of_adapter = |it: &options::Options| (it.adapter.as_str(), (it.schema)(&mut generator).to_value());
    let options = options::all().iter().map(of_adapter).collect();
    Schemas { metadata, specs, options, definitions: generator.take_definitions(true) }
});

static WHOLE: LazyLock<Value> = LazyLock::new(|| {
    let kinds: Vec<_> = Kind::ALL.into_iter().map(document).collect();
    json!({
        "$schema": DIALECT,
        "title": "Arcology manifest",
        "oneOf": kinds,
        "$defs": SCHEMAS.definitions,
    })
});

/// The schema of a whole document of one kind.
#[must_use]
pub fn of(kind: Kind) -> Value {
    let mut schema = document(kind);
    if let Value::Object(fields) = &mut schema {
        fields.insert("$schema".into(), DIALECT.into());
        fields.insert("$defs".into(), Value::Object(reachable(&SCHEMAS.definitions, fields)));
    }
    schema
}

/// The schema of a document of any kind.
#[must_use]
pub fn all() -> Value {
    WHOLE.clone()
}

/// The parts, for those that walk them.
pub(super) fn parts() -> &'static Schemas {
    &SCHEMAS
}

impl Schemas {
    /// The schema of a kind's `spec`.
    pub fn spec(&self, kind: Kind) -> &Value {
        self.specs.iter().find(|(known, _)| *known == kind).map_or(&Value::Null, |(_, schema)| schema)
    }
}

fn spec_of(kind: Kind, generator: &mut SchemaGenerator) -> Schema {
    match kind {
        Kind::Host => generator.subschema_for::<HostSpec>(),
        Kind::Runtime => generator.subschema_for::<RuntimeSpec>(),
        Kind::Model => generator.subschema_for::<ModelSpec>(),
        Kind::Loadout => generator.subschema_for::<LoadoutSpec>(),
        Kind::Policy => generator.subschema_for::<PolicySpec>(),
        Kind::Blueprint => generator.subschema_for::<BlueprintSpec>(),
        Kind::Task => generator.subschema_for::<TaskSpec>(),
        Kind::Run => generator.subschema_for::<RunSpec>(),
        Kind::GoldenSet => generator.subschema_for::<GoldenSetSpec>(),
        Kind::Experiment => generator.subschema_for::<ExperimentSpec>(),
    }
}

/// A document of a kind, its definitions left to the caller.
fn document(kind: Kind) -> Value {
    let spec = SCHEMAS.spec(kind);
    let description = resolve(&SCHEMAS.definitions, spec).get("description").cloned().unwrap_or_default();
    let spec = if kind == Kind::Runtime { with_options(spec) } else { spec.clone() };
    json!({
        "title": kind.as_str(),
        "description": description,
        "type": "object",
        "properties": {
            "apiVersion": {"description": "The version of this format.", "const": API_VERSION},
            "kind": {"description": "What is declared.", "const": kind.as_str()},
            "metadata": SCHEMAS.metadata,
            "spec": spec,
        },
        "required": FIELDS,
        "additionalProperties": false,
    })
}

/// The schema of a Runtime's spec in which `options` follow from `adapter`. Editors understand it; our own check of a
/// document does not need it, because a rule looks at options.
fn with_options(spec: &Value) -> Value {
    let choices = SCHEMAS.options.iter().map(|(adapter, options)| {
        json!({
            "if": {"properties": {"adapter": {"const": adapter}}, "required": ["adapter"]},
            "then": {"properties": {"options": options}},
        })
    });
    let mut whole = spec.clone();
    if let Value::Object(fields) = &mut whole {
        fields.insert("allOf".to_owned(), choices.collect());
    }
    whole
}

/// The schema that a `$ref` stands for, or the schema itself.
pub(super) fn resolve<'a>(definitions: &'a Map<String, Value>, schema: &'a Value) -> &'a Value {
    schema
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|pointer| pointer.strip_prefix("#/$defs/"))
        .and_then(|name| definitions.get(name))
        .unwrap_or(schema)
}

/// Those definitions that a schema needs, directly or through others.
fn reachable(definitions: &Map<String, Value>, schema: &Map<String, Value>) -> Map<String, Value> {
    let mut found = Map::new();
    let mut names: Vec<String> = schema.values().flat_map(references).collect();
    while let Some(name) = names.pop() {
        if let Some(definition) = definitions.get(&name).filter(|_| !found.contains_key(&name)) {
            names.extend(references(definition));
            found.insert(name, definition.clone());
        }
    }
    found
}

fn references(schema: &Value) -> Vec<String> {
    match schema {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(key, value)| match value.as_str().and_then(|text| text.strip_prefix("#/$defs/")) {
                Some(name) if key == "$ref" => vec![name.to_owned()],
                _ => references(value),
            })
            .collect(),
        Value::Array(items) => items.iter().flat_map(references).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_of_a_schema_has_its_definition() {
        for kind in Kind::ALL {
            let schema = of(kind);
            let definitions = schema["$defs"].as_object().unwrap();
            for name in references(&schema) {
                assert!(definitions.contains_key(&name), "{kind}: {name}");
            }
        }
        assert_eq!(all()["oneOf"].as_array().unwrap().len(), Kind::ALL.len());
    }

    #[test]
    fn the_options_of_a_runtime_follow_from_its_adapter() {
        let runtime = of(Kind::Runtime);
        let choices = runtime["properties"]["spec"]["allOf"].as_array().unwrap();
        let swap =
            choices.iter().find(|choice| choice["if"]["properties"]["adapter"]["const"] == "llama-swap").unwrap();
        assert_eq!(swap["then"]["properties"]["options"]["$ref"], "#/$defs/LlamaSwapOptions");
        assert!(runtime["$defs"]["LlamaSwapOptions"]["properties"]["checkPath"].is_object());
    }

    #[test]
    fn descriptions_come_from_the_doc_comments() {
        let host = of(Kind::Host);
        assert_eq!(host["description"], "A machine that runtimes live on.");
        assert_eq!(host["$defs"]["GpuSpec"]["properties"]["vramGb"]["description"], "Memory in GB (2^30 bytes).");
        assert_eq!(host["properties"]["kind"]["const"], "Host");
        assert!(host["$defs"].get("PolicySpec").is_none(), "a schema holds only what it needs");
    }
}
