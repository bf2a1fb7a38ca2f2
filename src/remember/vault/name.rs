//! File names from names that others chose: no way out of the folder, nothing invisible, nothing too long.

/// The longest file name in bytes. File systems allow 255; the sidecar's ending and a number must fit behind it.
const NAME_BYTES_MAX: usize = 120;
/// The longest ending in bytes that is kept when a name is shortened.
const ENDING_BYTES_MAX: usize = 16;
/// What every sidecar's name ends with.
pub(super) const SIDECAR_ENDING: &str = ".lineage.json";

/// `name` as a file name. Fit names stay as they are.
pub(super) fn file_name(name: &str) -> String {
    let clean: String = name.chars().map(|c| if is_fit(c) { c } else { '_' }).collect();
    // A leading dot hides a file, a leading dash reads as an option; trailing dots and blanks get lost on other systems.
    let clean = clean.trim_start_matches(['.', '-', ' ']).trim_end_matches(['.', ' ']);
    let mut clean = shorten(clean);
    if clean.is_empty() {
        clean = "artifact".to_owned();
    }
    match clean.to_ascii_lowercase().strip_suffix(SIDECAR_ENDING) {
        Some(stem) => format!("{}_lineage.json", &clean[..stem.len()]),
        None => clean,
    }
}

/// `brief.md` → `brief-2.md`.
pub(super) fn numbered(name: &str, number: u32) -> String {
    let (stem, ending) = split(name);
    format!("{stem}-{number}{ending}")
}

/// The short type that a name's ending says; `bin` where it has none.
pub(super) fn kind(name: &str) -> String {
    let ending = split(name).1.trim_start_matches('.').to_ascii_lowercase();
    if ending.is_empty() { "bin".to_owned() } else { ending }
}

/// True for a task id that can be a folder as it stands.
pub(super) fn is_folder(task: &str) -> bool {
    let fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !task.is_empty() && task.len() <= NAME_BYTES_MAX && task.chars().all(fit) && !task.starts_with(['.', '-'])
}

fn is_fit(c: char) -> bool {
    let separates = matches!(c, '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|');
    // Invisible characters and those that turn the direction of writing make one name look like another.
    let deceives = matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
    !c.is_control() && !separates && !deceives
}

/// Stem and ending, the ending with its dot; a name that only has a dot at its start has no ending.
fn split(name: &str) -> (&str, &str) {
    match name.rfind('.') {
        Some(dot) if dot > 0 && name.len() - dot <= ENDING_BYTES_MAX => name.split_at(dot),
        _ => (name, ""),
    }
}

fn shorten(name: &str) -> String {
    if name.len() <= NAME_BYTES_MAX {
        return name.to_owned();
    }
    let (stem, ending) = split(name);
    let stem = &stem[..stem.floor_char_boundary(NAME_BYTES_MAX - ending.len())];
    format!("{stem}{ending}").trim_end_matches(['.', ' ']).to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hostile_names_become_harmless_and_good_ones_stay() {
        for (hostile, harmless) in [
            ("brief.md", "brief.md"),
            ("Zusammenfassung für Ökonomen.pdf", "Zusammenfassung für Ökonomen.pdf"),
            ("../../etc/passwd", "_.._etc_passwd"),
            ("..", "artifact"),
            ("", "artifact"),
            (".bashrc", "bashrc"),
            ("-rf", "rf"),
            ("a/b\\c:d", "a_b_c_d"),
            ("nul\0byte\n.txt", "nul_byte_.txt"),
            ("gnp\u{202e}.exe", "gnp_.exe"),
            ("x.md.lineage.json", "x.md_lineage.json"),
            ("x.md.Lineage.JSON", "x.md_lineage.json"),
            ("name. . ", "name"),
        ] {
            assert_eq!(file_name(hostile), harmless, "{hostile:?}");
        }
    }

    #[test]
    fn a_long_name_keeps_its_ending() {
        let name = file_name(&format!("{}.tar.zst", "é".repeat(300)));
        assert!(name.len() <= NAME_BYTES_MAX && name.ends_with(".zst"), "{name}");
    }

    #[test]
    fn numbers_go_before_the_ending_and_kinds_come_from_it() {
        assert_eq!(numbered("brief.md", 2), "brief-2.md");
        assert_eq!(numbered("LICENSE", 3), "LICENSE-3");
        for (name, is) in [("a.MD", "md"), ("a.tar.gz", "gz"), ("LICENSE", "bin"), ("a.b c d e f g h i j k l", "bin")] {
            assert_eq!(kind(name), is);
        }
    }

    #[test]
    fn a_task_id_that_leads_elsewhere_is_no_folder() {
        for (task, fit) in [("task-1", true), ("..", false), ("a/b", false), ("", false), (".git", false), ("é", false)]
        {
            assert_eq!(is_folder(task), fit, "{task}");
        }
    }

    proptest! {
        #[test]
        fn whatever_the_name_the_file_stays_in_its_folder(name in "\\PC{0,40}|[./\\\\\u{0}\u{202e}a-c-]{0,20}|.{0,300}") {
            let made = file_name(&name);
            let path = std::path::Path::new("folder").join(&made);
            prop_assert_eq!(path.parent(), Some(std::path::Path::new("folder")));
            prop_assert_eq!(path.file_name().and_then(|name| name.to_str()), Some(made.as_str()));
            prop_assert!(made.len() <= NAME_BYTES_MAX && !made.to_ascii_lowercase().ends_with(SIDECAR_ENDING));
            prop_assert!(!made.starts_with(['.', '-']) && !made.chars().any(char::is_control));
            prop_assert_eq!(file_name(&made), made);
        }
    }
}
