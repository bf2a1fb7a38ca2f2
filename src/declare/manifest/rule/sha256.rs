//! A model's `sha256` is one.

use super::super::code::BAD_SHA256;
use super::super::document::Spec;
use super::super::source::quoted;
use super::{Complaint, Subject, spec};

/// The digits of a SHA-256 in hex.
const DIGITS: usize = 64;

pub fn check(subject: &Subject<'_>, complaints: &mut Vec<Complaint>) {
    let Spec::Model(model) = subject.spec else { return };
    let Some(text) = &model.sha256 else { return };
    if is_sha256(text) {
        return;
    }
    let mended = text.trim().trim_start_matches("sha256:").to_ascii_lowercase();
    let complaint = Complaint::new(BAD_SHA256, spec("sha256"), format!("{} is not a SHA-256", quoted(text)))
        .label(format!("expected {DIGITS} hex digits in lower case"));
    complaints.push(if is_sha256(&mended) {
        complaint.help(format!("write `{mended}`"))
    } else {
        complaint.help(format!("it has {} characters; `sha256sum FILE` prints the right ones", text.chars().count()))
    });
}

fn is_sha256(text: &str) -> bool {
    text.len() == DIGITS && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
