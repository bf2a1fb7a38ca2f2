//! A Runtime's GPU is one of its host's, and its adapter is one that this version can drive.

use crate::core::text::nearest;
use crate::declare::manifest::Spec;
use crate::declare::manifest::kind::host::HostSpec;
use crate::declare::manifest::kind::options;
use crate::declare::manifest::kind::runtime::AdapterKind;

use super::super::candidate::{Candidate, Subject};
use super::super::code;
use super::super::problem::Problem;
use super::Report;

/// The adapters that this version drives, as a help text lists them.
fn driven() -> String {
    let names: Vec<&str> = options::all().iter().map(|options| options.adapter.as_str()).collect();
    format!("driven today: {}", names.join(", "))
}

/// Reports a GPU that the host does not have.
pub fn gpu(subject: Subject<'_>, world: &Candidate<'_>, report: &mut Report) {
    let Spec::Runtime(spec) = &subject.document.spec else { return };
    let (Some(wanted), Some(host)) = (&spec.gpu, world.host(spec.host.as_str())) else { return };
    if host.gpus.iter().any(|gpu| gpu.id == *wanted) || !subject.reads("spec.host") {
        return;
    }
    let near = nearest(wanted.as_str(), host.gpus.iter().map(|gpu| gpu.id.as_str()));
    let help = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("add it to spec.gpus of Host/{}, or leave `gpu` out for a runtime without one", spec.host),
    };
    let problem = Problem::at("spec.gpu", format_args!("Host `{}` has no GPU `{wanted}`", spec.host));
    report.error(subject, &code::UNKNOWN_GPU, problem.label(gpus(host)).help(help));
}

fn gpus(host: &HostSpec) -> String {
    if host.gpus.is_empty() {
        return "this host has no GPU".to_owned();
    }
    let ids: Vec<_> = host.gpus.iter().map(|gpu| gpu.id.as_str()).collect();
    format!("its GPUs: {}", ids.join(", "))
}

/// Remarks that nothing will happen with an adapter that is only validated.
pub fn adapter(subject: Subject<'_>, _: &Candidate<'_>, report: &mut Report) {
    let Spec::Runtime(spec) = &subject.document.spec else { return };
    if !spec.adapter.is_driven() {
        let name = AdapterKind::as_str(spec.adapter);
        let message = format!("this version reads `{name}` runtimes but does not drive them yet");
        let problem = Problem::at("spec.adapter", message).label("not driven yet").help(format_args!(
            "it will be shown as not driven: nothing is observed, loaded or run on it; {}",
            driven()
        ));
        report.warning(subject, &code::NOT_DRIVEN, problem);
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::fixture::{manifest, told};

    #[test]
    fn a_gpu_that_the_host_does_not_have_is_told() {
        insta::assert_snapshot!(told(&[
            manifest("Runtime", "a", "host: desk, gpu: gpu1, adapter: builtin"),
            manifest("Runtime", "b", "host: attic, gpu: gpu0, adapter: builtin"),
        ]), @r#"
error ARC304 Runtime/a at `gpu1`: Host `desk` has no GPU `gpu1`
  ^ its GPUs: gpu0
  = did you mean `gpu0`?
error ARC304 Runtime/b at `gpu0`: Host `attic` has no GPU `gpu0`
  ^ this host has no GPU
  = add it to spec.gpus of Host/attic, or leave `gpu` out for a runtime without one
"#);
    }

    #[test]
    fn an_adapter_that_is_not_driven_yet_is_said_so_and_is_no_error() {
        insta::assert_snapshot!(told(&[manifest(
            "Runtime",
            "pictures",
            "host: desk, gpu: gpu0, adapter: ray, endpoint: 'http://127.0.0.1:8265', capabilities: [image.gen]"
        ),]), @r#"
warning ARC323 Runtime/pictures at `ray`: this version reads `ray` runtimes but does not drive them yet
  ^ not driven yet
  = it will be shown as not driven: nothing is observed, loaded or run on it; driven today: builtin, comfyui, exec, llama-server, llama-swap, ollama, openai, textgen-webui, tts-webui, vllm
"#);
    }
}
