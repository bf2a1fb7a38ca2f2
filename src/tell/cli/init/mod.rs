//! What `arcology init` writes. The manifests are this repository's own, so that they are always tried and valid.

/// The schema that the manifests' first lines point at, relative to their folders.
pub const SCHEMA_PATH: &str = "schemas/manifest.json";

/// Every file but the schema: its path in the new repository, and its text.
pub const FILES: &[(&str, &str)] = &[
    ("README.md", include_str!("README.md")),
    (".gitignore", include_str!("gitignore")),
    (".github/workflows/arcology.yaml", include_str!("workflow.yaml")),
    ("manifests/host.yaml", include_str!("../../../../manifests/host.yaml")),
    ("manifests/runtime.yaml", include_str!("../../../../manifests/runtime.yaml")),
    ("manifests/models.yaml", include_str!("../../../../manifests/models.yaml")),
    ("manifests/loadout.yaml", include_str!("../../../../manifests/loadout.yaml")),
    ("manifests/task.yaml", include_str!("../../../../manifests/task.yaml")),
    ("policies/default.yaml", include_str!("../../../../policies/default.yaml")),
    ("blueprints/brief.yaml", include_str!("../../../../blueprints/brief.yaml")),
    ("goldensets/summaries.yaml", include_str!("../../../../goldensets/summaries.yaml")),
    ("goldensets/summaries.jsonl", include_str!("../../../../goldensets/summaries.jsonl")),
    ("samples/minutes.txt", include_str!("../../../../samples/minutes.txt")),
];
