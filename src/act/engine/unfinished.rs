//! Journal entries that stand open although nothing is under way: a crash, an overtaken call or a store that failed left
//! them.
//!
//! What they wanted is planned again under the same id, or it is seen to be so, and then they are done, or seen not to be
//! so, and nobody wants it any more. What cannot be seen yet stays open.

use std::time::Duration;

use crate::core::clock::after;
use crate::core::{ObjectKey, Timestamp};
use crate::decide::reconcile::unfinished::{Seen, seen};
use crate::decide::reconcile::{Intent, Target, Verb};
use crate::remember::store::AuditEntry;
use crate::remember::store::row::InventoryRow;

use super::carry_out::{Trouble, believe, effects, held};
use super::shared::Shared;

/// How long undoing what a removed object made may take; past it the page says that it is overdue.
const DELETION_DEADLINE: Duration = Duration::from_secs(600);

/// By when what an object made should be undone that is removed now.
pub(super) fn undo_by(now: Timestamp) -> Timestamp {
    after(now, DELETION_DEADLINE)
}

/// Whether an object that is gone is forgotten.
pub(super) enum Buried {
    ForGood,
    /// It may have made something that was not known: that is looked at.
    NotYet,
}

/// Forgets an object that is gone and holds nothing. What an action that stands open may have made is held from now on, and so
/// undone if it is there; where what it made is left alone, the action is given up.
pub(super) async fn bury(shared: &Shared, key: &ObjectKey) -> Result<Buried, Trouble> {
    let now = shared.now();
    let is_undone = shared.memory().removed.contains_key(key);
    let made = if is_undone { shared.memory().maybe_made(key) } else { Vec::new() };
    for target in &made {
        let deadline = undo_by(now);
        let held = held(shared, key, target, now);
        let row = InventoryRow { deleting_since: Some(now), deadline: Some(deadline), ..held };
        let result = shared.store.adopt(row).await;
        shared.note_store(&result);
        result?;
        shared.memory().hold_to_undo(key, target.clone(), now, deadline);
    }
    if !made.is_empty() {
        return Ok(Buried::NotYet);
    }
    shared.memory().bury(key);
    settle(shared, key, &[]).await?;
    Ok(Buried::ForGood)
}

/// Ends the journal entries of an object that stand open, as far as it can be seen what became of them.
pub(super) async fn settle(shared: &Shared, key: &ObjectKey, intents: &[Intent]) -> Result<(), Trouble> {
    let open = shared.memory().open_of(key);
    for row in open {
        let Ok(target) = serde_json::from_str::<Target>(&row.target) else { continue };
        let Some(verb) = Verb::from_word(&row.verb) else { continue };
        let wanted = intents.iter().any(|intent| intent.verb == verb && intent.target == target);
        if wanted {
            continue;
        }
        let found = seen(&shared.memory().inputs(shared.now()), verb, &target);
        let result = match found {
            // An object that is forgotten will not be looked at again.
            Seen::Unknown if shared.memory().answers_for(key) => continue,
            Seen::Done => {
                let effects = effects(shared, key, &row.verb, &target);
                let audit = AuditEntry {
                    at: shared.now(),
                    actor: "arcology".into(),
                    verb: row.verb.clone(),
                    object: key.to_string(),
                    reason: format!("{} (seen to be so after an interruption)", row.reason),
                    result: "ok".into(),
                    before: None,
                    after: Some(target.to_string()),
                    revision: row.revision.clone(),
                };
                let result = shared.store.journal_finish(&row.id, Ok(()), effects, audit).await;
                if result.is_ok() {
                    believe(shared, key, &row.verb, &target);
                }
                result
            }
            Seen::NotDone | Seen::Unknown => {
                shared.store.journal_abandon(&row.id, "overtaken: what is so was observed afresh").await
            }
        };
        shared.note_store(&result);
        shared.memory().note_closed(&result?);
    }
    Ok(())
}
