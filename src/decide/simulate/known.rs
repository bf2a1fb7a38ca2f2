//! Seeds that once broke an invariant, each with what it found. The generator has changed since for some of them; they are
//! run all the same, with every run of the tests.

/// A seed and what it found.
pub const KNOWN: &[(u64, &str)] = &[
    (1, "the load of a displaced model came before the end of the lease that had displaced it"),
    (
        65,
        "a model that took more than its manifest says was unloaded and loaded without end for the task that needs it",
    ),
    (132, "a load that failed was taken for undone although its runtime had said that it goes on"),
    (228, "an action whose end could not be written stood open in the journal until the next start"),
    (274, "a committed Task held back by a policy was not looked at when the policy changed"),
    (361, "an unload that was said to be done, and was seen not to be, freed memory that was not free"),
    (565, "a lease that waited was granted at a start before the one that held the GPU was known"),
    (873, "a task that came while its dependency's failure was being written waited for it for ever"),
    (2530, "a task whose dependency failed while a start took everything up waited for it for ever"),
    (3213, "an entry that stood open at a start was forgotten when its load could not be begun anew on a full disk"),
    (3346, "a model whose manifest went away while it was loading was in no sum, and was loaded over"),
    (3610, "a backoff grew by an hour when the wall clock was set back while the failure was being written"),
    (4191, "an older task that does not fit took over a younger one's drain, and gave it back, without end"),
    (10554, "a model that was let go right after it was loaded was taken for gone until the next resync"),
    (12319, "a backoff grew by an hour when the wall clock was set back while the program was away"),
    (13105, "the end of a load from the last run was taken for the end of the one that followed it"),
    (14834, "a drain waited for the word of a runtime that was no longer declared"),
    (16609, "two exclusive tasks that cannot run were polite in turn, and said another reason every half minute"),
    (17273, "what was loaded counted as gone when another load of it failed, and its memory was given away"),
    (18504, "a task whose failure could not be written down waited for no stated reason"),
    (29402, "an action that was refused stood open in the journal from an earlier try"),
    (31318, "a grant that the disk did not take was written once the lease had run out and another had the GPU"),
    (44128, "what a loadout had loaded when its manifest went away, on a full disk, was forgotten"),
    (44756, "what a loadout was loading when its manifest went away and the program ended was forgotten"),
    (111_855, "a model of unknown size was loaded every five minutes on a card that was over already, without end"),
    (126_243, "the checker held an unload against a policy that came into force after it was decided"),
    (132_371, "what the planner was loading although it was there was sent away meanwhile"),
    (139_292, "the checker took a model for one that made way although its unload could not be written down"),
    (167_409, "a model that an earlier manifest had asked for was seen to be there, and taken back a minute later"),
    (174_905, "the memory of a model that the planner was loading anew was given away when it was seen to be gone"),
];
