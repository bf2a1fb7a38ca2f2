//! What Tasks and Blueprints need is offered by some Runtime, and by the runtime or model that they name.

use crate::core::Kind;
use crate::core::text::nearest;
use crate::declare::manifest::Spec;
use crate::declare::manifest::kind::capability::{self, Ability};
use crate::declare::manifest::kind::model::ModelSpec;

use super::super::candidate::{Candidate, Subject};
use super::super::problem::Problem;
use super::super::{code, reference::AUTO};
use super::Report;

/// What a model is made for, by its manifest or, where that says nothing, by what its runtimes offer.
#[must_use]
pub fn can_do(world: &Candidate<'_>, model: &ModelSpec, capability: &str) -> bool {
    if model.capabilities.is_empty() {
        return runtimes_offer(world, model, capability);
    }
    model.capabilities.iter().any(|own| own == capability)
}

fn runtimes_offer(world: &Candidate<'_>, model: &ModelSpec, wanted: &str) -> bool {
    let mut runtimes = model.served_by.iter().filter_map(|served| world.runtime(served.runtime.as_str()));
    runtimes.any(|runtime| capability::offered_by(runtime).any(|offered| offered == wanted))
}

/// Remarks on what a Model promises and none of its runtimes offers.
pub fn model(subject: Subject<'_>, world: &Candidate<'_>, report: &mut Report) {
    let Spec::Model(spec) = &subject.document.spec else { return };
    if spec.served_by.iter().any(|served| world.runtime(served.runtime.as_str()).is_none()) {
        return;
    }
    for (i, promised) in spec.capabilities.iter().enumerate() {
        if !runtimes_offer(world, spec, promised) {
            let problem = Problem::at(
                format_args!("spec.capabilities[{i}]"),
                format_args!("no runtime that serves this model offers `{promised}`, so it is never used for that"),
            );
            report.warning(subject, &code::UNUSED_CAPABILITY, problem.help(remedy(world, spec, promised)));
        }
    }
}

/// What to do about a capability that no runtime of a model offers: to have it offered by one that can do it.
fn remedy(world: &Candidate<'_>, model: &ModelSpec, promised: &str) -> String {
    let (mut able, mut teachable) = (Vec::new(), Vec::new());
    for served in &model.served_by {
        let name = &served.runtime;
        match world.runtime(name.as_str()).map(capability::ability) {
            Some(ability) if ability.allows(promised) => able.push(format!("`{name}`")),
            Some(Ability::Options { option, .. }) => teachable.push(format!("`options.{option}` of `{name}`")),
            Some(Ability::Adapter(_) | Ability::Speech(_) | Ability::Unknown) | None => {}
        }
    }
    if !able.is_empty() {
        return format!("add `{promised}` to the capabilities of {}, or remove it here", able.join(" or "));
    }
    if !teachable.is_empty() {
        let where_to = teachable.join(" or ");
        return format!("say below {where_to} how it is done and add it to the capabilities there, or remove it here");
    }
    let doers: Vec<_> = capability::doers(promised).map(|adapter| format!("`{}`", adapter.as_str())).collect();
    let elsewhere = match doers.as_slice() {
        [] => "one with the adapter `comfyui` or `exec`, which can be told how".to_owned(),
        some => format!("one whose adapter does ({})", some.join(", ")),
    };
    format!("none of them can do it: have the model served by {elsewhere}, or remove it here")
}

/// Reports steps of a Blueprint that nothing can do, and models that cannot do the step they are named for.
pub fn blueprint(subject: Subject<'_>, world: &Candidate<'_>, report: &mut Report) {
    let Spec::Blueprint(spec) = &subject.document.spec else { return };
    for (i, node) in spec.nodes.iter().enumerate() {
        if !offered(subject, world, &format!("spec.nodes[{i}].capability"), &node.capability, report) {
            continue;
        }
        let named = node.model.as_deref().filter(|model| *model != AUTO);
        let Some((name, model)) = named.and_then(|name| Some((name, world.model(name)?))) else { continue };
        if !can_do(world, model, &node.capability) {
            let path = format!("spec.nodes[{i}].model");
            report.error(subject, &code::CANNOT_DO, cannot(world, &path, name, model, &[&node.capability]));
        }
    }
}

/// Reports what a Task asks for that nothing can do, or that the runtime or model it names cannot do.
pub fn task(subject: Subject<'_>, world: &Candidate<'_>, report: &mut Report) {
    let Spec::Task(spec) = &subject.document.spec else { return };
    let mut wanted: Vec<&str> = Vec::new();
    for (i, one) in spec.capability.0.iter().enumerate() {
        if offered(subject, world, &format!("spec.capability[{i}]"), one, report) {
            wanted.push(one);
        }
    }
    if wanted.is_empty() || !subject.reads_all_of("spec.capability") {
        return;
    }
    // The links of a chain may be done in different places: what is named must be of use for at least one.
    let named_runtime = spec.target.runtime.as_ref().and_then(|name| Some((name, world.runtime(name.as_str())?)));
    if let Some((name, runtime)) = named_runtime {
        let offers: Vec<_> = capability::offered_by(runtime).collect();
        if !wanted.iter().any(|one| offers.contains(one)) {
            let message = format!("Runtime `{name}` does not offer {}", quoted(&wanted));
            let problem =
                Problem::at("spec.target.runtime", message).label(format_args!("it offers {}", listed(&offers))).help(
                    format_args!("{} offers it; name that one, or leave the choice out", providers(world, wanted[0])),
                );
            report.error(subject, &code::CANNOT_DO, problem);
        }
    }
    let named = spec.target.model.as_deref().filter(|model| *model != AUTO);
    let Some((name, model)) = named.and_then(|name| Some((name, world.model(name)?))) else { return };
    if !wanted.iter().any(|one| can_do(world, model, one)) {
        report.error(subject, &code::CANNOT_DO, cannot(world, "spec.target.model", name, model, &wanted));
    }
    if let Some((runtime, _)) = named_runtime.filter(|(runtime, _)| !serves(model, runtime.as_str())) {
        let by: Vec<_> = model.served_by.iter().map(|served| served.runtime.as_str()).collect();
        let message = format!("Runtime `{runtime}` does not serve Model `{name}`");
        let problem = Problem::at("spec.target.model", message)
            .label(format_args!("served by {}", listed(&by)))
            .help("name one of these runtimes, or only the model or only the runtime");
        report.error(subject, &code::NOT_SERVED, problem);
    }
}

fn serves(model: &ModelSpec, runtime: &str) -> bool {
    model.served_by.iter().any(|served| served.runtime.as_str() == runtime)
}

/// That a model cannot do what it is named for.
pub(super) fn cannot(world: &Candidate<'_>, path: &str, name: &str, model: &ModelSpec, wanted: &[&str]) -> Problem {
    let label = if model.capabilities.is_empty() {
        "none of its runtimes offers it".to_owned()
    } else {
        format!("it is for {}", listed(&model.capabilities.iter().map(String::as_str).collect::<Vec<_>>()))
    };
    let mut able = world.names_for_help(Kind::Model);
    able.retain(|other| world.model(other).is_some_and(|spec| wanted.iter().any(|one| can_do(world, spec, one))));
    let help = match able.as_slice() {
        [] => "leave the model out, or write `auto`".to_owned(),
        some => format!("models that can: {}", listed(some)),
    };
    Problem::at(path, format_args!("Model `{name}` is not for {}", quoted(wanted))).label(label).help(help)
}

/// Reports a capability that no runtime offers; false when it did.
fn offered(subject: Subject<'_>, world: &Candidate<'_>, path: &str, wanted: &str, report: &mut Report) -> bool {
    let offers = world.offers();
    if offers.contains_key(wanted) {
        return true;
    }
    let help = match near(world, wanted) {
        Some(near) => format!("{} offers `{near}`; or add `{wanted}` to what a Runtime offers", providers(world, near)),
        None => format!("add `{wanted}` to the capabilities of a Runtime that can do it"),
    };
    let label = match offers.keys().copied().collect::<Vec<_>>().as_slice() {
        [] => "no runtime offers anything".to_owned(),
        some => format!("on offer: {}", listed(some)),
    };
    let problem = Problem::at(path, format_args!("no runtime offers `{wanted}`")).label(label).help(help);
    report.error(subject, &code::NOT_OFFERED, problem);
    false
}

/// The capability on offer that is most like `wanted`: by its letters, else of the same family.
fn near<'w>(world: &'w Candidate<'_>, wanted: &str) -> Option<&'w str> {
    let offers = world.offers();
    let family = wanted.split_once('.').map(|(family, _)| family);
    let same_family = |name: &&str| name.split_once('.').map(|(family, _)| family) == family;
    nearest(wanted, offers.keys().copied()).or_else(|| offers.keys().copied().find(same_family))
}

/// `Runtime `swap``, with how many more there are.
fn providers(world: &Candidate<'_>, capability: &str) -> String {
    match world.offers().get(capability).map(Vec::as_slice) {
        Some([one]) => format!("Runtime `{one}`"),
        Some([first, more @ ..]) => format!("Runtime `{first}` (and {} more)", more.len()),
        Some([]) | None => "no Runtime".to_owned(),
    }
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" or ")
}

/// Names for a sentence; `nothing` when there are none.
pub(super) fn listed(names: &[&str]) -> String {
    /// More names than this are only counted.
    const NAMES_LISTED_MAX: usize = 8;
    match names {
        [] => "nothing".to_owned(),
        some if some.len() <= NAMES_LISTED_MAX => some.join(", "),
        many => format!("{} and {} more", many[..NAMES_LISTED_MAX].join(", "), many.len() - NAMES_LISTED_MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::fixture::{manifest, told};

    #[test]
    fn what_a_blueprint_needs_and_nobody_offers_is_told_with_what_is_near() {
        insta::assert_snapshot!(told(&[manifest(
            "Blueprint",
            "b",
            "nodes: [{id: a, capability: text.summarize}, {id: b, capability: audio.tts, from: [a]}, {id: c, capability: text.embed, model: lead}, {id: d, capability: ocr.pdf}]"
        ),]), @r#"
error ARC317 Blueprint/b at `audio.tts`: no runtime offers `audio.tts`
  ^ on offer: doc.extract, text.embed, text.generate, text.stats, text.summarize
  = add `audio.tts` to the capabilities of a Runtime that can do it
error ARC318 Blueprint/b at `lead`: Model `lead` is not for `text.embed`
  ^ it is for text.summarize
  = models that can: large, qwen
error ARC317 Blueprint/b at `ocr.pdf`: no runtime offers `ocr.pdf`
  ^ on offer: doc.extract, text.embed, text.generate, text.stats, text.summarize
  = add `ocr.pdf` to the capabilities of a Runtime that can do it
"#);
    }

    #[test]
    fn what_a_task_needs_and_its_target_cannot_do_is_told() {
        insta::assert_snapshot!(told(&[
            manifest("Task", "a", "capability: [ocr.pdf, text.summarize]"),
            manifest("Task", "b", "capability: text.stats, target: {runtime: swap}"),
            manifest("Task", "c", "capability: text.embed, target: {model: lead}"),
            manifest("Task", "d", "capability: text.summarize, target: {runtime: swap, model: lead}"),
        ]), @r#"
error ARC317 Task/a at `ocr.pdf`: no runtime offers `ocr.pdf`
  ^ on offer: doc.extract, text.embed, text.generate, text.stats, text.summarize
  = add `ocr.pdf` to the capabilities of a Runtime that can do it
error ARC318 Task/b at `swap`: Runtime `swap` does not offer `text.stats`
  ^ it offers text.generate, text.summarize, text.embed
  = Runtime `inside` offers it; name that one, or leave the choice out
error ARC318 Task/c at `lead`: Model `lead` is not for `text.embed`
  ^ it is for text.summarize
  = models that can: large, qwen
error ARC319 Task/d at `lead`: Runtime `swap` does not serve Model `lead`
  ^ served by inside
  = name one of these runtimes, or only the model or only the runtime
"#);
    }

    #[test]
    fn what_a_model_promises_and_its_runtimes_do_not_offer_is_remarked() {
        insta::assert_snapshot!(told(&[manifest(
            "Model",
            "m",
            "type: tts, servedBy: [{runtime: swap}, {runtime: inside}], capabilities: [text.summarize, audio.tts, ocr.pdf]"
        ),]), @r#"
warning ARC324 Model/m at `audio.tts`: no runtime that serves this model offers `audio.tts`, so it is never used for that
  = none of them can do it: have the model served by one whose adapter does (`openai`, `tts-webui`), or remove it here
warning ARC324 Model/m at `ocr.pdf`: no runtime that serves this model offers `ocr.pdf`, so it is never used for that
  = none of them can do it: have the model served by one with the adapter `comfyui` or `exec`, which can be told how, or remove it here
"#);
    }

    #[test]
    fn what_a_model_promises_is_to_be_added_only_where_it_can_be_done() {
        let voices = |name: &str, server: &str| {
            let endpoint = "host: desk, adapter: tts-webui, endpoint: 'http://127.0.0.1:7778'";
            manifest("Runtime", name, &format!("{endpoint}, capabilities: [audio.tts], options: {{server: {server}}}"))
        };
        let pictures = "host: desk, adapter: comfyui, endpoint: 'http://127.0.0.1:8188'";
        let model = |name: &str, by: &str| {
            manifest("Model", name, &format!("type: asr, servedBy: [{by}], capabilities: [audio.transcribe]"))
        };
        insta::assert_snapshot!(told(&[
            voices("kokoro", "kokoro"),
            voices("speaches", "speaches"),
            manifest("Runtime", "pictures", pictures),
            model("a", "{runtime: kokoro}, {runtime: pictures}, {runtime: speaches}"),
            model("b", "{runtime: kokoro}, {runtime: pictures}"),
            model("c", "{runtime: kokoro}"),
        ]), @r#"
warning ARC324 Model/a at `audio.transcribe`: no runtime that serves this model offers `audio.transcribe`, so it is never used for that
  = add `audio.transcribe` to the capabilities of `speaches`, or remove it here
warning ARC324 Model/b at `audio.transcribe`: no runtime that serves this model offers `audio.transcribe`, so it is never used for that
  = say below `options.workflows` of `pictures` how it is done and add it to the capabilities there, or remove it here
warning ARC324 Model/c at `audio.transcribe`: no runtime that serves this model offers `audio.transcribe`, so it is never used for that
  = none of them can do it: have the model served by one whose adapter does (`llama-server`, `openai`, `tts-webui`, `vllm`), or remove it here
"#);
    }

    #[test]
    fn what_is_offered_is_offered_by_the_built_in_runtime_too() {
        let nothing = told(&[
            manifest("Task", "a", "capability: [doc.extract, text.summarize, text.stats]"),
            manifest("Task", "b", "capability: text.generate, target: {runtime: swap, model: qwen}"),
            manifest("Task", "c", "capability: text.generate, target: {model: auto}"),
            manifest(
                "Blueprint",
                "b",
                "nodes: [{id: a, capability: text.summarize, model: lead}, {id: b, capability: text.embed, model: auto}]",
            ),
        ]);
        assert_eq!(nothing, "");
    }
}
