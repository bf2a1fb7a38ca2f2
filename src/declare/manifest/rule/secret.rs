//! No token stands where only the name of one belongs, nor in settings that are handed on.

use serde_json::Value;

use super::super::code::SECRET;
use super::super::document::Spec;
use super::super::path::Path;
use super::super::secret::looks_like_token;
use super::{Complaint, Subject, spec};

pub fn check(subject: &Subject<'_>, complaints: &mut Vec<Complaint>) {
    if let Spec::Runtime(runtime) = subject.spec
        && let Some(auth) = &runtime.auth
    {
        one(spec("auth").key("tokenFrom").key("file"), auth.token_from.file.as_str(), complaints);
    }
    for field in ["options", "params"] {
        if let Some(value) = subject.spec_json.get(field) {
            inside(&spec(field), value, complaints);
        }
    }
    for (part, texts) in [("labels", &subject.metadata.labels), ("annotations", &subject.metadata.annotations)] {
        for (key, text) in texts {
            one(Path::new("metadata").key(part).key(key), text, complaints);
        }
    }
}

/// Every text below a value. The depth is bounded by that of a document.
fn inside(path: &Path, value: &Value, complaints: &mut Vec<Complaint>) {
    match value {
        Value::String(text) => one(path.clone(), text, complaints),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                inside(&path.index(index), item, complaints);
            }
        }
        Value::Object(fields) => {
            for (key, field) in fields {
                inside(&path.key(key), field, complaints);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn one(path: Path, text: &str, complaints: &mut Vec<Complaint>) {
    if looks_like_token(text) {
        let message = format!("`{path}` looks like a token, and manifests are in Git");
        complaints.push(Complaint::new(SECRET, path, message).label("a name belongs here, never a value").help(
            "put the token into a file under the daemon's credentials folder and name that file; revoke this one",
        ));
    }
}
