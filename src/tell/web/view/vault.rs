//! The vault: searching artifacts, and one artifact with a preview and its lineage both ways.

use serde::Serialize;

use crate::core::Digest;
use crate::remember::store::row::ArtifactRow;
use crate::tell::web::api::artifact::inputs_of;
use crate::tell::web::facts::Facts;

use super::frame::Frame;
use super::href;
use super::part::{Empty, Link, size};
use super::task::ArtifactLine;

/// How many artifacts a page shows when nothing else is asked for.
pub const ROWS_DEFAULT: usize = 50;

/// What is searched for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VaultQuery {
    pub text: Option<String>,
    pub capability: Option<String>,
    pub model: Option<String>,
    pub tag: Option<String>,
    pub kind: Option<String>,
    pub task: Option<String>,
}

impl VaultQuery {
    fn address(&self, limit: usize, cursor: Option<&str>) -> String {
        let limit = (limit != ROWS_DEFAULT).then(|| limit.to_string());
        href::with_query(
            "/vault",
            [
                ("text", self.text.as_deref()),
                ("capability", self.capability.as_deref()),
                ("model", self.model.as_deref()),
                ("tag", self.tag.as_deref()),
                ("type", self.kind.as_deref()),
                ("task", self.task.as_deref()),
                ("limit", limit.as_deref()),
                ("cursor", cursor),
            ],
        )
    }
}

/// The search and what it found.
#[derive(Clone, Debug, Serialize)]
pub struct ListPage {
    pub frame: Frame,
    pub rows: Vec<ArtifactLine>,
    pub next: Option<String>,
    pub fields: Vec<Field>,
    pub filtered: bool,
    pub empty: Option<Empty>,
}

/// A field of the search form.
#[derive(Clone, Debug, Serialize)]
pub struct Field {
    pub name: &'static str,
    pub label: &'static str,
    pub hint: &'static str,
    pub value: String,
}

/// One page of artifacts, the newest first, as the store gave them.
#[must_use]
pub fn list(
    facts: &Facts,
    query: &VaultQuery,
    rows: &[ArtifactRow],
    limit: usize,
    (cursor, next): (Option<&str>, Option<&str>),
) -> ListPage {
    let filtered = *query != VaultQuery::default() || cursor.is_some();
    ListPage {
        frame: Frame::new(facts, "Vault", "/vault", query.address(limit, cursor)),
        rows: rows.iter().map(|row| ArtifactLine::of(row, facts.now)).collect(),
        next: next.map(|cursor| query.address(limit, Some(cursor))),
        fields: fields(query),
        filtered,
        empty: rows.is_empty().then(|| match filtered {
            true => Empty::new("No artifact matches this search.", None),
            false => Empty::new(
                "The vault is empty: no task has made anything yet.",
                Some("arcology submit - --wait <<< '{\"capability\": \"text.stats\", \"inputs\": {\"text\": \"hello\"}}'"),
            ),
        }),
    }
}

fn fields(query: &VaultQuery) -> Vec<Field> {
    let field = |name, label, hint, value: &Option<String>| Field {
        name,
        label,
        hint,
        value: value.clone().unwrap_or_default(),
    };
    vec![
        field("text", "Text", "name or lineage", &query.text),
        field("capability", "Capability", "text.summarize", &query.capability),
        field("model", "Model", "qwen2.5-7b-q4", &query.model),
        field("tag", "Tag", "project:Acme", &query.tag),
        field("type", "Type", "md", &query.kind),
        field("task", "Task", "task-…", &query.task),
    ]
}

/// What can be shown of an artifact's bytes.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Preview {
    /// Text as it is, or JSON indented. `cut` when only the beginning is shown.
    Text {
        text: String,
        cut: bool,
    },
    Image {
        src: String,
    },
    Audio {
        src: String,
    },
    Video {
        src: String,
    },
    /// Nothing to show in the page; it can be downloaded.
    Download,
    /// The record is there, the bytes are not.
    Gone {
        why: String,
    },
}

/// One artifact.
#[derive(Clone, Debug, Serialize)]
pub struct Page {
    pub frame: Frame,
    pub name: String,
    pub kind: String,
    pub checksum: String,
    pub size: String,
    pub raw: String,
    pub preview: Preview,
    /// Each task that made exactly these bytes, the newest first.
    pub made_by: Vec<ArtifactLine>,
    /// The newest lineage, indented.
    pub lineage: String,
    /// What it was made from.
    pub inputs: Vec<Link>,
    /// What was made from it.
    pub used_by: Vec<ArtifactLine>,
    /// False when there are more artifacts than were looked through.
    pub searched_all: bool,
}

/// The page of one artifact; none when no task is known to have made it.
#[must_use]
pub fn page(
    facts: &Facts,
    digest: Digest,
    rows: &[ArtifactRow],
    (used_by, searched_all): (&[ArtifactRow], bool),
    preview: Preview,
) -> Option<Page> {
    let newest = rows.iter().max_by_key(|row| row.created_at)?;
    let hex = digest.hex();
    let mut newest_first: Vec<_> = rows.iter().collect();
    newest_first.sort_by_key(|row| std::cmp::Reverse(row.created_at));
    let line = ArtifactLine::of(newest, facts.now);
    Some(Page {
        frame: Frame::new(facts, format!("Artifact {}", line.name), "/vault", format!("/artifacts/{hex}")),
        name: line.name,
        kind: line.kind,
        checksum: digest.to_string(),
        size: size(newest.bytes),
        raw: format!("/artifacts/{hex}/raw"),
        preview,
        made_by: newest_first.into_iter().map(|row| ArtifactLine::of(row, facts.now)).collect(),
        lineage: serde_json::to_string_pretty(&newest.lineage).unwrap_or_default(),
        inputs: inputs_of(&newest.lineage).iter().map(input).collect(),
        used_by: used_by.iter().map(|row| ArtifactLine::of(row, facts.now)).collect(),
        searched_all,
    })
}

fn input(digest: &Digest) -> Link {
    let hex = digest.hex();
    Link::new(format!("sha256:{}…", &hex[..12]), format!("/artifacts/{hex}"))
}
