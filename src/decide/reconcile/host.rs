//! Hosts: in force by being declared; how healthy they are follows from what was measured of them.
//!
//! A declaration is never out of sync here: what does not agree with the hardware is a matter of health, because no
//! action of this program could mend it.

use crate::core::text::count;
use crate::core::unit::gigabytes;
use crate::core::{Name, Reading};
use crate::decide::host_view::{GpuView, HostView};
use crate::declare::manifest::kind::host::{GpuSpec, HostSpec};
use crate::declare::world::Object;

use super::inputs::Inputs;
use super::plan::ObjectPlan;
use super::planner::blank_status;
use super::status::{Health, Sync};

/// What one part of a host makes of the whole: how healthy it is, its figures, and what is wrong.
struct Part {
    health: Health,
    figures: Option<String>,
    wrong: Option<String>,
}

/// The plan of one host: nothing is done for it.
#[must_use]
pub fn plan(inputs: &Inputs<'_>, object: &Object, spec: &HostSpec) -> ObjectPlan {
    let mut status = blank_status(object);
    let name = &object.document.key.name;
    let seen = inputs.hosts.get(name);
    let machine = match seen.map(|seen| seen.read(inputs.now)) {
        None => Part::unknown("it was not measured yet"),
        Some(reading) => machine(&reading),
    };
    let parts: Vec<Part> =
        std::iter::once(machine).chain(spec.gpus.iter().map(|declared| gpu(inputs, name, declared))).collect();
    status.sync = Sync::InSync;
    status.health = worst(&parts);
    status.desired = format!("{} with {}", spec.address, count(spec.gpus.len(), "GPU"));
    let figures: Vec<String> = parts.iter().filter_map(|part| part.figures.clone()).collect();
    status.observed = if figures.is_empty() { "in force; not measured".to_owned() } else { figures.join(", ") };
    let mut wrong: Vec<String> = parts.into_iter().filter_map(|part| part.wrong).collect();
    wrong.dedup();
    status.reason =
        if wrong.is_empty() { "its declaration is in force, and it is measured".to_owned() } else { wrong.join("; ") };
    status.source = seen.map_or("arcology", |seen| seen.source()).to_owned();
    status.observed_at = seen.and_then(|seen| seen.at());
    ObjectPlan { status, intents: Vec::new(), bookkeeping: Vec::new() }
}

/// What is known for certain to be half-working comes first, then what is not known.
fn worst(parts: &[Part]) -> Health {
    let any = |health| parts.iter().any(|part| part.health == health);
    if any(Health::Degraded) {
        Health::Degraded
    } else if any(Health::Unknown) {
        Health::Unknown
    } else {
        Health::Healthy
    }
}

impl Part {
    fn unknown(why: impl Into<String>) -> Self {
        Self { health: Health::Unknown, figures: None, wrong: Some(why.into()) }
    }

    fn stale(what: &str, problem: Option<&str>) -> Self {
        let wrong = format!("{what}: {}", problem.unwrap_or("not looked at for too long"));
        Self { health: Health::Degraded, figures: None, wrong: Some(wrong) }
    }
}

fn machine(reading: &Reading<'_, HostView>) -> Part {
    match reading {
        Reading::Unknown { why } => Part::unknown(*why),
        Reading::Stale { problem, .. } => Part::stale("processor and memory", *problem),
        Reading::Fresh { value, .. } => {
            let cpu = value.cpu_util_pct.map(|pct| format!("CPU {pct:.0} %, ")).unwrap_or_default();
            let (used, total) = (gigabytes(value.ram_used_gb), gigabytes(value.ram_total_gb));
            Part { health: Health::Healthy, figures: Some(format!("{cpu}RAM {used} of {total} GB")), wrong: None }
        }
    }
}

fn gpu(inputs: &Inputs<'_>, host: &Name, declared: &GpuSpec) -> Part {
    let id = &declared.id;
    let Some(seen) = inputs.gpus.get(&(host.clone(), id.clone())) else {
        return Part::unknown(format!("{id} was not measured yet"));
    };
    match seen.read(inputs.now) {
        // What is so for the whole host is said once.
        Reading::Unknown { why } if inputs.hosts.get(host).and_then(|seen| seen.problem()) == Some(why) => {
            Part::unknown(why)
        }
        Reading::Unknown { why } => Part::unknown(format!("{id}: {why}")),
        Reading::Stale { problem, .. } => Part::stale(id.as_str(), problem),
        Reading::Fresh { value, .. } => Part {
            health: if value.note.is_none() { Health::Healthy } else { Health::Degraded },
            figures: Some(gpu_figures(id, value)),
            wrong: value.note.as_ref().map(|note| format!("{id}: {note}")),
        },
    }
}

fn gpu_figures(id: &Name, view: &GpuView) -> String {
    let simulated = if view.simulated { ", simulated" } else { "" };
    format!("{id} {} of {} GB{simulated}", gigabytes(view.used_gb), gigabytes(view.total_gb))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::core::{Observed, Timestamp};

    fn now() -> Timestamp {
        Timestamp::from_second(1_000).unwrap()
    }

    fn seen() -> Observed<HostView> {
        let view = HostView { cpu_util_pct: Some(27.6), ram_used_gb: 38.04, ram_total_gb: 96.0, ..HostView::default() };
        Observed::seen(view, "operating system", now(), Duration::from_secs(15))
    }

    #[test]
    fn a_machine_is_healthy_only_while_its_figures_are_fresh() {
        let fresh = machine(&seen().read(now()));
        assert_eq!((fresh.health, fresh.figures.as_deref()), (Health::Healthy, Some("CPU 28 %, RAM 38 of 96 GB")));
        let failed = machine(&seen().failed("no answer").read(now()));
        assert_eq!(
            (failed.health, failed.wrong.as_deref()),
            (Health::Degraded, Some("processor and memory: no answer"))
        );
        let unknown = machine(&Observed::unknown("agent", "not local").read(now()));
        assert_eq!((unknown.health, unknown.figures), (Health::Unknown, None));
    }

    #[test]
    fn what_half_works_outweighs_what_is_not_known_and_that_outweighs_what_works() {
        let part = |health| Part { health, figures: None, wrong: None };
        let (good, bad, unknown) = (Health::Healthy, Health::Degraded, Health::Unknown);
        for (parts, all) in [(vec![good], good), (vec![good, unknown], unknown), (vec![unknown, bad, good], bad)] {
            assert_eq!(worst(&parts.into_iter().map(part).collect::<Vec<_>>()), all);
        }
    }

    #[test]
    fn a_simulated_gpu_says_so_in_its_figures() {
        let id = Name::new("sim0").unwrap();
        let view = GpuView { used_gb: 7.8, total_gb: 24.0, simulated: true, ..GpuView::default() };
        assert_eq!(gpu_figures(&id, &view), "sim0 7.8 of 24 GB, simulated");
    }
}
