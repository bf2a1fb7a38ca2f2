//! An adapter without options.

use schemars::JsonSchema;
use serde::Deserialize;

/// This adapter takes no options.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoOptions {}
