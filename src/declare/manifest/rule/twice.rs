//! What is told apart by a name within one object is listed once.

use std::collections::HashMap;

use super::super::code::TWICE;
use super::super::document::Spec;
use super::super::kind::golden_set::Cases;
use super::super::path::Path;
use super::super::source::quoted;
use super::{Complaint, Subject, spec};

pub fn check(subject: &Subject<'_>, complaints: &mut Vec<Complaint>) {
    match subject.spec {
        Spec::Host(host) => {
            let list = spec("gpus");
            let gpus = || host.gpus.iter().enumerate();
            unique("GPU", &list, "id", gpus().map(|(at, gpu)| (at, gpu.id.to_string())), complaints);
            let indices = gpus().filter_map(|(at, gpu)| Some((at, gpu.index?.to_string())));
            unique("GPU index", &list, "index", indices, complaints);
            let uuids = gpus().filter_map(|(at, gpu)| Some((at, gpu.uuid.clone()?)));
            unique("GPU uuid", &list, "uuid", uuids, complaints);
        }
        Spec::Loadout(loadout) => {
            let models = loadout.models.iter().enumerate().map(|(at, entry)| (at, entry.model.to_string()));
            unique("model", &spec("models"), "model", models, complaints);
        }
        Spec::Blueprint(blueprint) => {
            let nodes = blueprint.nodes.iter().enumerate().map(|(at, node)| (at, node.id.to_string()));
            unique("step", &spec("nodes"), "id", nodes, complaints);
        }
        Spec::GoldenSet(set) => {
            if let Cases::Inline(cases) = &set.cases {
                let ids = cases.iter().enumerate().map(|(at, case)| (at, case.id.clone()));
                unique("case", &spec("cases"), "id", ids, complaints);
            }
        }
        Spec::Runtime(_) | Spec::Model(_) | Spec::Policy(_) | Spec::Task(_) | Spec::Run(_) | Spec::Experiment(_) => {}
    }
}

fn unique(
    what: &str,
    list: &Path,
    field: &str,
    items: impl Iterator<Item = (usize, String)>,
    complaints: &mut Vec<Complaint>,
) {
    let mut seen = HashMap::new();
    for (index, name) in items {
        if let Some(first) = seen.get(&name) {
            let message = format!("the {what} {} is listed twice", quoted(&name));
            let help = format!("it stands first at `{}`; keep one of the two", list.index(*first));
            let path = list.index(index).key(field);
            complaints.push(Complaint::new(TWICE, path, message).label("listed again").help(help));
        } else {
            seen.insert(name, index);
        }
    }
}
