//! The colours of the style sheet against each other, light and dark: WCAG 2.2, 1.4.3 (text, 4.5 to 1) and 1.4.11
//! (edges of controls and marks, 3 to 1). The formula is the one of the recommendation (relative luminance of sRGB).

use std::collections::BTreeMap;

const CSS: &str = include_str!("../../../src/tell/web/static/style.css");

type Colours = BTreeMap<String, [f64; 3]>;

/// The variables of the light block and, over them, those of the dark one.
fn schemes() -> [(&'static str, Colours); 2] {
    let dark_at = CSS.find("prefers-color-scheme: dark").expect("there is a dark scheme");
    let light = colours(&CSS[..dark_at]);
    let end = dark_at + CSS[dark_at..].find("\n}").expect("it ends");
    let dark = colours(&CSS[dark_at..end]);
    assert_eq!(light.keys().collect::<Vec<_>>(), dark.keys().collect::<Vec<_>>(), "each colour has two values");
    [("light", light), ("dark", dark)]
}

fn colours(block: &str) -> Colours {
    let lines = block.lines().filter_map(|line| line.trim().strip_prefix("--")?.split_once(": #"));
    lines.map(|(name, hex)| (name.to_owned(), rgb(hex.trim_end_matches(';')))).collect()
}

fn rgb(hex: &str) -> [f64; 3] {
    [0, 2, 4].map(|at| f64::from(u8::from_str_radix(&hex[at..at + 2], 16).unwrap()) / 255.0)
}

fn luminance(rgb: [f64; 3]) -> f64 {
    let [r, g, b] = rgb.map(|c| if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) });
    0.2126 * r + 0.7152 * g + 0.0722 * b
}

fn contrast(a: [f64; 3], b: [f64; 3]) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

#[test]
fn the_formula_gives_the_published_extremes() {
    assert!((contrast(rgb("000000"), rgb("ffffff")) - 21.0).abs() < 1e-9);
    assert!((contrast(rgb("777777"), rgb("ffffff")) - 4.48).abs() < 0.01);
}

#[test]
fn every_text_colour_can_be_read_on_every_ground_it_stands_on() {
    let texts = ["ink", "muted", "link", "good", "bad", "warn", "unknown", "stale", "busy", "held", "quiet"];
    let washes = [("bad", "bad-wash"), ("warn", "warn-wash"), ("good", "good-wash"), ("unknown", "unknown-wash")];
    for (scheme, colours) in schemes() {
        let on_grounds = texts.iter().flat_map(|text| ["ground", "panel", "sunk"].map(|ground| (*text, ground)));
        let on_washes =
            ["ink", "link"].iter().flat_map(|text| ["bad-wash", "unknown-wash"].map(|ground| (*text, ground)));
        // Words on the bars of a timeline, and a manifest's line that a link leads to.
        let on_bars = ["busy-wash", "held-wash", "warn-wash"].map(|ground| ("ink", ground));
        for (text, ground) in on_grounds.chain(washes).chain(on_washes).chain(on_bars) {
            let ratio = contrast(colours[text], colours[ground]);
            assert!(ratio >= 4.5, "{scheme}: {text} on {ground} has {ratio:.2}");
        }
    }
}

/// A bar of a timeline is known by its edge and its pattern: against its own wash and against the ground it lies on.
#[test]
fn bars_of_a_timeline_stand_out_from_their_ground_and_their_patterns_from_their_wash() {
    let kinds = [("busy", "busy-wash"), ("held", "held-wash"), ("warn", "warn-wash"), ("quiet", "sunk")];
    for (scheme, colours) in schemes() {
        for (edge, wash) in kinds {
            for ground in ["panel", "ground", wash] {
                let ratio = contrast(colours[edge], colours[ground]);
                assert!(ratio >= 3.0, "{scheme}: {edge} on {ground} has {ratio:.2}");
            }
        }
    }
}

#[test]
fn edges_of_controls_and_the_focus_ring_can_be_seen() {
    for (scheme, colours) in schemes() {
        for (edge, ground) in
            ["edge", "focus"].iter().flat_map(|edge| ["ground", "panel", "sunk"].map(|on| (*edge, on)))
        {
            let ratio = contrast(colours[edge], colours[ground]);
            assert!(ratio >= 3.0, "{scheme}: {edge} on {ground} has {ratio:.2}");
        }
    }
}
