//! Artifacts: what tasks made, each path recorded once, found by task, model, tag, type, capability and words.
//!
//! Bytes and readable names are the vault's; the lineage is the vault's JSON, of which this room reads `capability`,
//! `model`, `tags` and `prompt` to find artifacts by.

use std::collections::BTreeSet;

use rusqlite::types::Value;
use rusqlite::{Connection, Row, params, params_from_iter};

use crate::core::Digest;

use super::error::{Error, Trouble};
use super::handle::Store;
use super::page::{List, Listing, Page, Window};
use super::row::ArtifactRow;
use super::sql::{self, Columns};

const WHAT: &str = "artifact";
const COLUMNS: &str = "a.seq, a.sha256, a.bytes, a.kind, a.path, a.task, a.created_at, a.lineage";
/// How many words of a search are looked at.
const WORDS_MAX: usize = 16;
/// How much of a prompt can be searched, in characters.
const PROMPT_CHARS_MAX: usize = 4_000;
/// How many artifacts with the same content are given out at once.
const SAME_CONTENT_MAX: i64 = 500;

/// Which artifacts are wanted; what is absent does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArtifactFilter {
    pub task: Option<String>,
    pub capability: Option<String>,
    pub model: Option<String>,
    pub tag: Option<String>,
    /// Short type, such as `md`.
    pub kind: Option<String>,
    /// Words, each the beginning of one in the path, task, capability, model, tags or prompt.
    pub text: Option<String>,
}

impl Store {
    /// Artifacts, the newest recorded first.
    ///
    /// # Errors
    /// [`Error::BadCursor`]; else see [`Error`].
    pub async fn artifacts(&self, filter: ArtifactFilter, page: Page) -> Result<Listing<ArtifactRow>, Error> {
        let window = Window::of(List::Artifacts, &page)?;
        self.read(move |conn| {
            let (query, values) = query(&filter, window);
            Ok(window.listing(sql::all(conn, &query, params_from_iter(values), read)?))
        })
        .await
    }

    /// Every artifact with this content, newest first; at most 500.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn artifact(&self, sha256: Digest) -> Result<Vec<ArtifactRow>, Error> {
        self.read(move |conn| {
            let select = format!("SELECT {COLUMNS} FROM artifact a WHERE a.sha256 = ?1 ORDER BY a.seq DESC LIMIT ?2");
            let values = params![sha256.to_string(), SAME_CONTENT_MAX];
            sql::all(conn, &select, values, |row| read(row).map(|(_, artifact)| artifact))
        })
        .await
    }

    /// Records artifacts that were read back from the vault; those that are known stay as they are. Says how many were
    /// new.
    ///
    /// # Errors
    /// See [`Error`]; none is recorded then.
    pub async fn artifacts_restore(&self, rows: Vec<ArtifactRow>) -> Result<usize, Error> {
        self.write(move |conn| {
            let mut new = 0;
            for row in &rows {
                new += usize::from(insert(conn, row)?);
            }
            Ok(new)
        })
        .await
    }
}

/// Records what a task made. The same file twice is one artifact; another file under a path that is taken is refused.
pub(super) fn record(conn: &Connection, rows: &[ArtifactRow]) -> Result<(), Trouble> {
    for row in rows {
        if !insert(conn, row)? {
            let known = sql::first(conn, "SELECT sha256 FROM artifact WHERE path = ?1", [&row.path], |found| {
                Columns::of(WHAT, found).digest()
            })?;
            if known != Some(row.sha256) {
                return Err(Trouble::conflict(WHAT, &row.path, "is recorded already with another content"));
            }
        }
    }
    Ok(())
}

/// False when the path is recorded already.
fn insert(conn: &Connection, row: &ArtifactRow) -> Result<bool, Trouble> {
    let word = |key: &str| row.lineage.get(key).and_then(serde_json::Value::as_str);
    let (capability, model) = (word("capability"), word("model"));
    let insert = "INSERT INTO artifact (path, sha256, bytes, kind, task, capability, model, created_at, lineage)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (path) DO NOTHING";
    let values = params![
        row.path,
        row.sha256.to_string(),
        sql::int(WHAT, row.bytes)?,
        row.kind,
        row.task,
        capability,
        model,
        sql::time(row.created_at),
        sql::json(WHAT, &row.lineage)?,
    ];
    if sql::change(conn, insert, values)? == 0 {
        return Ok(false);
    }
    let seq = conn.last_insert_rowid();
    let tags = tags(conn, row)?;
    for tag in &tags {
        sql::change(conn, "INSERT INTO artifact_tag (tag, seq) VALUES (?1, ?2)", params![tag, seq])?;
    }
    let tags = tags.into_iter().collect::<Vec<_>>().join(" ");
    let prompt: String = word("prompt").unwrap_or_default().chars().take(PROMPT_CHARS_MAX).collect();
    let words = "INSERT INTO artifact_words (rowid, path, task, capability, model, tags, prompt)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    sql::change(conn, words, params![seq, row.path, row.task, capability, model, tags, prompt])?;
    Ok(true)
}

/// The tags of the lineage and, where the task is known, of the task.
fn tags(conn: &Connection, row: &ArtifactRow) -> Result<BTreeSet<String>, Trouble> {
    let select = "SELECT g.tag FROM task t CROSS JOIN task_tag g ON g.seq = t.seq WHERE t.id = ?1";
    let mut tags: BTreeSet<String> =
        sql::all(conn, select, [&row.task], |found| Ok(found.get(0)?))?.into_iter().collect();
    let own = row.lineage.get("tags").and_then(serde_json::Value::as_array);
    tags.extend(own.into_iter().flatten().filter_map(serde_json::Value::as_str).map(str::to_owned));
    Ok(tags)
}

/// As for tasks, one filter finds the rows in the order of the list and the others thin them out.
pub(super) fn query(filter: &ArtifactFilter, window: Window) -> (String, Vec<Value>) {
    let words = filter.text.as_deref().map(match_all).filter(|words| !words.is_empty());
    let tag = filter.tag.as_deref();
    let mut values = Vec::new();
    let mut select = match (&words, tag) {
        (Some(words), _) => {
            values.push(Value::from(words.clone()));
            format!(
                "SELECT {COLUMNS} FROM artifact_words w CROSS JOIN artifact a ON a.seq = w.rowid
                WHERE artifact_words MATCH ? AND w.rowid < ?"
            )
        }
        (None, Some(tag)) => {
            values.push(Value::from(tag.to_owned()));
            format!(
                "SELECT {COLUMNS} FROM artifact_tag g CROSS JOIN artifact a ON a.seq = g.seq WHERE g.tag = ? AND g.seq < ?"
            )
        }
        (None, None) => format!("SELECT {COLUMNS} FROM artifact a WHERE a.seq < ?"),
    };
    values.push(Value::from(window.before));
    let mut found = words.is_some() || tag.is_some();
    if let Some(tag) = tag.filter(|_| words.is_some()) {
        select.push_str(" AND EXISTS (SELECT 1 FROM artifact_tag x WHERE x.tag = ? AND x.seq = a.seq)");
        values.push(Value::from(tag.to_owned()));
    }
    let columns =
        [("task", &filter.task), ("model", &filter.model), ("capability", &filter.capability), ("kind", &filter.kind)];
    for (column, wanted) in columns {
        if let Some(wanted) = wanted {
            let plus = if found { "+" } else { "" };
            select.push_str(&format!(" AND {plus}a.{column} = ?"));
            values.push(Value::from(wanted.clone()));
            found = true;
        }
    }
    let order = match (&words, tag) {
        (Some(_), _) => "w.rowid",
        (None, Some(_)) => "g.seq",
        (None, None) => "a.seq",
    };
    select.push_str(&format!(" ORDER BY {order} DESC LIMIT ?"));
    values.push(Value::from(window.fetch()));
    (select, values)
}

/// The words of a person as a full-text query: every one of them, each as a beginning. Quoting takes away whatever else
/// they could mean there.
fn match_all(text: &str) -> String {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).take(WORDS_MAX);
    words.map(|word| format!("\"{word}\"*")).collect::<Vec<_>>().join(" AND ")
}

fn read(row: &Row<'_>) -> Result<(i64, ArtifactRow), Trouble> {
    let mut columns = Columns::of(WHAT, row);
    let seq = columns.get()?;
    let artifact = ArtifactRow {
        sha256: columns.digest()?,
        bytes: columns.count()?,
        kind: columns.get()?,
        path: columns.get()?,
        task: columns.get()?,
        created_at: columns.time()?,
        lineage: columns.json()?,
    };
    Ok((seq, artifact))
}

#[cfg(test)]
mod tests {
    use super::match_all;

    #[test]
    fn a_search_is_words_and_nothing_else() {
        assert_eq!(match_all("board packet"), "\"board\"* AND \"packet\"*");
        assert_eq!(match_all("project:Acme \" OR *"), "\"project\"* AND \"Acme\"* AND \"OR\"*");
        assert_eq!(match_all(" -*\" "), "");
    }
}
