//! Files are named by relative paths that stay inside the repository.

use super::super::code::BAD_PATH;
use super::super::document::Spec;
use super::super::kind::golden_set::Cases;
use super::super::path::Path;
use super::super::source::quoted;
use super::{Complaint, Subject, spec};

pub fn check(subject: &Subject<'_>, complaints: &mut Vec<Complaint>) {
    // A submitted task may name a file by its absolute path; the daemon decides which of those it may read.
    let absolute_is_fine = subject.submitted;
    let mut one = |path: Path, file: &str| {
        if let Some(flaw) = flaw(file).filter(|flaw| !(absolute_is_fine && *flaw == Flaw::Absolute)) {
            let message = format!("the path {} {}", quoted(file), flaw.words());
            complaints.push(
                Complaint::new(BAD_PATH, path, message)
                    .label("expected a path inside the repository")
                    .help("write it relative to the top of the repository, such as samples/packet.pdf"),
            );
        }
    };
    match subject.spec {
        Spec::Task(task) => {
            for (index, file) in task.inputs.files.iter().enumerate() {
                one(spec("inputs").key("files").index(index), file);
            }
        }
        Spec::Run(run) => {
            for (name, input) in &run.inputs {
                let path = spec("inputs").key(name);
                if let Some(file) = &input.file {
                    one(path.key("file"), file);
                }
                for (index, file) in input.files.iter().flatten().enumerate() {
                    one(path.key("files").index(index), file);
                }
            }
        }
        Spec::GoldenSet(set) => {
            if let Cases::File(file) = &set.cases {
                one(spec("cases"), file);
            }
        }
        Spec::Host(_)
        | Spec::Runtime(_)
        | Spec::Model(_)
        | Spec::Loadout(_)
        | Spec::Policy(_)
        | Spec::Blueprint(_)
        | Spec::Experiment(_) => {}
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    Empty,
    Absolute,
    Upwards,
    Strange,
}

impl Flaw {
    fn words(self) -> &'static str {
        match self {
            Self::Empty => "is empty",
            Self::Absolute => "is absolute",
            Self::Upwards => "leads upwards with `..`",
            Self::Strange => "holds a backslash or a control character",
        }
    }
}

fn flaw(file: &str) -> Option<Flaw> {
    if file.is_empty() {
        Some(Flaw::Empty)
    } else if file.contains(|c: char| c == '\\' || c.is_control()) {
        Some(Flaw::Strange)
    } else if file.split('/').any(|part| part == "..") {
        Some(Flaw::Upwards)
    } else if file.starts_with('/') || file.starts_with('~') {
        Some(Flaw::Absolute)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_that_stay_inside_pass() {
        for good in ["packet.pdf", "samples/a b.pdf", "a..b/c", "..a", "./x"] {
            assert_eq!(flaw(good), None, "{good}");
        }
        for (bad, expected) in [
            ("", Flaw::Empty),
            ("/etc/passwd", Flaw::Absolute),
            ("~/x", Flaw::Absolute),
            ("../x", Flaw::Upwards),
            ("a/../../x", Flaw::Upwards),
            ("/a/..", Flaw::Upwards),
            ("C:\\x", Flaw::Strange),
            ("a\nb", Flaw::Strange),
        ] {
            assert_eq!(flaw(bad), Some(expected), "{bad:?}");
        }
    }
}
