//! The queue of reconciliations: which object is looked at when, and never two looks at one object at once.
