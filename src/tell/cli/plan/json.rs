//! The plan for scripts: the report as it is, its keys a contract.

use super::report::Report;

/// The report as indented JSON with a line end.
#[must_use]
pub fn render(report: &Report) -> String {
    let mut text = serde_json::to_string_pretty(report).expect("a report holds nothing that JSON cannot say");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::super::samples;

    #[test]
    fn the_keys_that_scripts_use_are_there() {
        let report: serde_json::Value = serde_json::from_str(&super::render(&samples::report())).unwrap();
        assert_eq!(report["version"], 1);
        assert_eq!(report["would_change"], true);
        assert_eq!(report["intents"][0]["object"], "Loadout/desk");
        assert_eq!(report["intents"][0]["verb"], "unload");
        assert_eq!(report["intents"][1]["cost"]["expected_ms"], serde_json::Value::Null);
        assert_eq!(report["changes"][2]["change"], "changed");
        assert_eq!(report["quarantined"][1]["last_good"], false);
    }
}
