//! The command line: one file a verb, all output through one place.
