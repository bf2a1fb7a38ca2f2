//! Finding runtimes that run already: where to look, what to ask, what the answers mean.
//!
//! [`place`] says where runtimes usually listen, [`question`] is the closed list of what may be asked of a stranger,
//! [`judge`] decides from the answers alone what it is, and [`look`] does the asking. What a runtime tells of itself
//! once it is recognized is read by its own adapter. How it is shown, and as which manifests, is left to `tell`.

pub mod judge;
pub mod look;
pub mod place;
pub mod program;
pub mod question;

pub use judge::{Recognized, Verdict, judge};
pub use look::{Found, Limits, Looked, Seen, look};
pub use place::{Place, USUAL_PORTS};
pub use program::Programs;
pub use question::{Answers, Heard, Question};
