//! Programs of this machine that `adapter: exec` can do work with. Looks at files only; starts nothing.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

/// The programs that are looked for.
pub const WANTED: &[&str] = &["espeak-ng", "ffmpeg", "pdftoppm", "piper", "tesseract"];

/// Programs that are there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Programs(Vec<(&'static str, PathBuf)>);

impl Programs {
    /// Those of the folders in `path`, which is written as the variable `PATH` is. Relative folders are passed over: what
    /// they hold depends on where one stands.
    #[must_use]
    pub fn on(path: &OsStr) -> Self {
        let folders: Vec<PathBuf> = std::env::split_paths(path).filter(|folder| folder.is_absolute()).collect();
        let executable = |path: &PathBuf| {
            path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
        };
        let find = |name: &&'static str| {
            let found = folders.iter().map(|folder| folder.join(name)).find(executable)?;
            Some((*name, found))
        };
        Self(WANTED.iter().filter_map(find).collect())
    }

    #[must_use]
    pub fn find(&self, name: &str) -> Option<&PathBuf> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, path)| path)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &PathBuf)> {
        self.0.iter().map(|(name, path)| (*name, path))
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_executable_files_of_absolute_folders_count() {
        let folder = tempfile::tempdir().unwrap();
        for (name, mode) in [("tesseract", 0o755), ("ffmpeg", 0o644)] {
            let file = folder.path().join(name);
            std::fs::write(&file, "").unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
        }
        std::fs::create_dir(folder.path().join("piper")).unwrap();
        let found = Programs::on(&std::env::join_paths([std::path::Path::new("bin"), folder.path()]).unwrap());
        assert_eq!(found.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["tesseract"]);
        assert_eq!(found.find("tesseract"), Some(&folder.path().join("tesseract")));
        assert!(Programs::on(OsStr::new("")).is_empty());
    }
}
