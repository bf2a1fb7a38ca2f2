//! The options of an adapter are those that it has, with values that it can use. Adapters that are not driven yet are not
//! looked at.

use super::super::code::ADAPTER_OPTION;
use super::super::document::Spec;
use super::super::kind::options;
use super::{Complaint, Subject, spec};
use crate::core::text::nearest;

pub fn check(subject: &Subject<'_>, complaints: &mut Vec<Complaint>) {
    let Spec::Runtime(runtime) = subject.spec else { return };
    if runtime.options.is_empty() {
        return;
    }
    let Some(known) = options::find(runtime.adapter) else { return };
    let (adapter, names) = (runtime.adapter.as_str(), known.names());
    for (option, value) in &runtime.options {
        let path = spec("options").key(option);
        if !names.contains(option) {
            let help = match nearest(option, names.iter().map(String::as_str)) {
                Some(name) => format!("did you mean `{name}`?"),
                None if names.is_empty() => format!("`{adapter}` takes no options"),
                None => format!("`{adapter}` takes {}", names.join(", ")),
            };
            let message = format!("the adapter `{adapter}` has no option {}", super::super::source::quoted(option));
            complaints.push(
                Complaint::new(ADAPTER_OPTION, path, message)
                    .follows_from(spec("adapter"))
                    .at_key()
                    .label("unknown option")
                    .help(help),
            );
        } else if let Err(why) = (known.check)(option, value) {
            let message = format!("the option `{option}` of `{adapter}` cannot be used");
            complaints.push(
                Complaint::new(ADAPTER_OPTION, path, message)
                    .follows_from(spec("adapter"))
                    .label(why)
                    .help(format!("`arcology schema runtime` tells what it takes; so does docs/adapters/{adapter}.md")),
            );
        }
    }
}
