//! A workflow file of the repository under the real binary: read at the revision in force, and kept in the lineage.

use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::harness::{Place, eventually};
use crate::double::comfyui::{Has, start};

fn graph(steps: u32) -> String {
    json!({
        "3": {"class_type": "KSampler", "inputs": {"seed": 1, "steps": steps}},
        "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a cat"}},
        "9": {"class_type": "SaveImage", "inputs": {"images": ["3", 0]}},
    })
    .to_string()
}

fn task(name: &str) -> String {
    format!(
        "apiVersion: arcology/v1alpha1\nkind: Task\nmetadata: {{name: {name}}}\nspec: {{capability: image.gen, \
         inputs: {{text: a dog}}}}\n"
    )
}

#[test]
fn a_workflow_of_the_repository_is_run_as_it_is_in_force_and_recorded_with_its_seed() {
    let tokio = Runtime::new().unwrap();
    let (server, _app) = tokio.block_on(start(Has::new()));
    let place = Place::of_this_project();
    let runtime = format!(
        "apiVersion: arcology/v1alpha1\nkind: Host\nmetadata: {{name: studio}}\nspec: {{address: 127.0.0.1}}\n\
         ---\napiVersion: arcology/v1alpha1\nkind: Runtime\nmetadata: {{name: pictures}}\nspec: {{host: studio, \
         adapter: comfyui, endpoint: '{}', capabilities: [image.gen], observeEvery: 200ms, timeouts: {{connect: 2s}}, \
         options: {{workflows: {{image.gen: {{file: workflows/dog.json, inputs: {{prompt: 6.text, seed: 3.seed}}}}}}}}}}\n",
        server.endpoint()
    );
    place.write("manifests/pictures.yaml", &runtime);
    place.write("workflows/dog.json", &graph(20));
    place.write("manifests/first.yaml", &task("first"));
    place.commit("Paint a dog");
    let daemon = place.up();
    let seen = |name: &str, steps: u32| {
        let key = format!("Task/{name}");
        let lineage = eventually(&format!("{key} is done"), || {
            let tasks = daemon.json("/api/v1/tasks");
            let paths =
                tasks["items"].as_array().unwrap().iter().filter_map(|task| task["artifacts"][0]["path"].as_str());
            let read = |path| std::fs::read(place.state().join("vault").join(format!("{path}.lineage.json"))).unwrap();
            let mut all = paths.map(|path| serde_json::from_slice::<Value>(&read(path)).unwrap());
            all.find(|lineage| lineage["object"] == key.as_str()).ok_or_else(|| format!("{tasks:#}"))
        });
        let prompt: Value = serde_json::from_str(lineage["prompt"].as_str().unwrap()).unwrap();
        assert_eq!((&prompt["3"]["inputs"]["steps"], &prompt["6"]["inputs"]["text"]), (&json!(steps), &json!("a dog")));
        assert_eq!(prompt["3"]["inputs"]["seed"], lineage["seed"]);
        assert!(lineage["inputs"].as_array().unwrap().iter().any(|input| input["name"] == "workflows/dog.json"));
    };
    seen("first", 20);
    // Only the file changes; the manifests that name it do not.
    place.write("workflows/dog.json", &graph(30));
    place.write("manifests/second.yaml", &task("second"));
    place.commit("Take more steps");
    seen("second", 30);
}
