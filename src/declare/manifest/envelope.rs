//! A whole document decoded in one pass: the header first, then the spec of the kind that it names.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};

use crate::core::Kind;

use super::API_VERSION;
use super::document::Spec;
use super::header::{FIELDS, Metadata};
use super::yaml::{self, Failure};

/// A decoded document.
#[derive(Debug)]
pub struct Envelope {
    pub metadata: Metadata,
    pub spec: Spec,
}

/// Decodes a document's text.
///
/// # Errors
/// The first problem that was met; [`super::diagnose`] finds the others.
pub fn decode(text: &str) -> Result<Envelope, Failure> {
    let first = yaml::decode(text, Whole { kind: None })?;
    match (first.metadata, first.spec, first.kind) {
        (Some(metadata), Some(spec), _) => Ok(Envelope { metadata, spec }),
        // The spec stood before `kind`; now that the kind is known it can be read.
        (_, None, Some(kind)) => match yaml::decode(text, Whole { kind: Some(kind) })? {
            Half { metadata: Some(metadata), spec: Some(spec), .. } => Ok(Envelope { metadata, spec }),
            Half { .. } => Err(incomplete()),
        },
        _ => Err(incomplete()),
    }
}

fn incomplete() -> Failure {
    Failure { message: "the document is incomplete".into(), at: None }
}

/// Reads a document, with the kind where it is known already.
#[derive(Clone, Copy)]
pub(super) struct Whole {
    pub kind: Option<Kind>,
}

/// What one pass gave; `spec` is none when it stood before `kind`.
pub(super) struct Half {
    pub kind: Option<Kind>,
    pub metadata: Option<Metadata>,
    pub spec: Option<Spec>,
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
enum Field {
    ApiVersion,
    Kind,
    Metadata,
    Spec,
}

impl<'de> DeserializeSeed<'de> for Whole {
    type Value = Half;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Half, D::Error> {
        deserializer.deserialize_struct("Document", FIELDS, self)
    }
}

impl<'de> Visitor<'de> for Whole {
    type Value = Half;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a document with apiVersion, kind, metadata and spec")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Half, A::Error> {
        let mut half = Half { kind: self.kind, metadata: None, spec: None };
        let (mut version_seen, mut spec_seen) = (false, false);
        while let Some(field) = map.next_key()? {
            match field {
                Field::ApiVersion => {
                    version_seen = true;
                    let version: String = map.next_value()?;
                    if version != API_VERSION {
                        return Err(A::Error::custom(format!("the apiVersion is not {API_VERSION}")));
                    }
                }
                Field::Kind => {
                    let name: String = map.next_value()?;
                    half.kind = Some(Kind::parse(&name).ok_or_else(|| A::Error::custom("there is no such kind"))?);
                }
                Field::Metadata => half.metadata = Some(map.next_value()?),
                Field::Spec => {
                    spec_seen = true;
                    if let Some(kind) = half.kind {
                        half.spec = Some(map.next_value_seed(SpecOf(kind))?);
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
            }
        }
        for (seen, field) in [
            (version_seen, "apiVersion"),
            (half.kind.is_some(), "kind"),
            (half.metadata.is_some(), "metadata"),
            (spec_seen, "spec"),
        ] {
            if !seen {
                return Err(A::Error::missing_field(field));
            }
        }
        Ok(half)
    }
}

/// The spec of a kind.
#[derive(Clone, Copy)]
pub(super) struct SpecOf(pub Kind);

impl<'de> DeserializeSeed<'de> for SpecOf {
    type Value = Spec;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Spec, D::Error> {
        Ok(match self.0 {
            Kind::Host => Spec::Host(Deserialize::deserialize(deserializer)?),
            Kind::Runtime => Spec::Runtime(Deserialize::deserialize(deserializer)?),
            Kind::Model => Spec::Model(Deserialize::deserialize(deserializer)?),
            Kind::Loadout => Spec::Loadout(Deserialize::deserialize(deserializer)?),
            Kind::Policy => Spec::Policy(Deserialize::deserialize(deserializer)?),
            Kind::Blueprint => Spec::Blueprint(Deserialize::deserialize(deserializer)?),
            Kind::Task => Spec::Task(Deserialize::deserialize(deserializer)?),
            Kind::Run => Spec::Run(Deserialize::deserialize(deserializer)?),
            Kind::GoldenSet => Spec::GoldenSet(Deserialize::deserialize(deserializer)?),
            Kind::Experiment => Spec::Experiment(Deserialize::deserialize(deserializer)?),
        })
    }
}
