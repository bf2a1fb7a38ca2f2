//! The bounds of untrusted manifests. Each is far above what a person writes and far below what hurts.

/// The largest file that is read, in bytes.
pub const FILE_BYTES_MAX: usize = 1 << 20;
/// The most documents in a file.
pub const FILE_DOCUMENTS_MAX: usize = 1_000;
/// The most lists and mappings inside one another, in a document.
pub const DEPTH_MAX: usize = 32;
/// The most values (scalars, lists, mappings and keys) in a document.
pub const NODES_MAX: usize = 20_000;
/// The most diagnostics of a file. A broken document beyond them still keeps its first one.
pub const DIAGNOSTICS_MAX: usize = 100;
/// The most characters of a source line that a diagnostic carries.
pub const LINE_CHARS_MAX: usize = 240;
/// How many characters before the caret are kept of a longer line.
pub const LINE_CHARS_BEFORE: usize = 120;
/// The most characters of a value that a message repeats.
pub const VALUE_CHARS_MAX: usize = 80;
/// The most characters of a message, label or help text.
pub const MESSAGE_CHARS_MAX: usize = 1_000;
/// The most characters of a key that a path repeats.
pub const KEY_CHARS_MAX: usize = 100;
/// How many characters before and behind the caret are looked at for secrets, when a line is longer.
pub const LINE_CHARS_SEARCHED: usize = 4_096;
/// The most names that a help text lists.
pub const NAMES_SHOWN_MAX: usize = 24;
