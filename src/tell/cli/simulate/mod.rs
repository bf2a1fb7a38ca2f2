//! `arcology simulate`: what would have happened to recorded work under another policy, loadout or revision.
//!
//! [`compare`] turns two replays into one value; [`remarks`] says in words what would get better or worse; [`text`] and
//! [`markdown`] render it and add nothing, and JSON is the value itself.

pub mod compare;
pub mod markdown;
pub mod remarks;
#[cfg(test)]
mod samples;
pub mod text;

/// Milliseconds as a person says them: `850 ms`, `12.3 s`, `4 min 10 s`, `2 h 5 min`.
#[must_use]
pub fn lasting(ms: f64) -> String {
    let seconds = ms / 1_000.0;
    // Beyond a minute fractions say nothing any more; the casts are of small whole numbers.
    let whole = seconds.round() as u64;
    match whole {
        _ if seconds < 0.9995 => format!("{} ms", ms.round()),
        _ if seconds < 59.95 => format!("{seconds:.1} s"),
        ..3_600 if whole.is_multiple_of(60) => format!("{} min", whole / 60),
        ..3_600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => {
            let minutes = (seconds / 60.0).round() as u64;
            if minutes.is_multiple_of(60) {
                format!("{} h", minutes / 60)
            } else {
                format!("{} h {} min", minutes / 60, minutes % 60)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::lasting;

    #[test]
    fn lengths_of_time_read_as_people_say_them() {
        let all = [0.0, 850.0, 12_345.0, 59_960.0, 250_000.0, 7_500_000.0, 7_200_000.0].map(lasting);
        assert_eq!(all, ["0 ms", "850 ms", "12.3 s", "1 min", "4 min 10 s", "2 h 5 min", "2 h"]);
    }
}
