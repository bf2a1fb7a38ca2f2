//! Where things stand in a drawing of a GPU's time: lanes, bars, ticks, in pixels. Pure geometry; what the bars mean is told
//! by those who hand them in.
//!
//! The drawing has a fixed width and scrolls where the screen is narrower, so that its words keep their size.

use serde::Serialize;

use crate::core::Timestamp;
use crate::core::clock::millis_since;
use crate::core::text::shorten;

/// How wide the names of lanes are, in pixels.
const LABEL_WIDTH: f64 = 84.0;
/// How wide time is, in pixels.
const PLOT_WIDTH: f64 = 876.0;
const LANE_HEIGHT: f64 = 24.0;
const LANE_GAP: f64 = 6.0;
/// The height of the axis above the lanes.
const AXIS_HEIGHT: f64 = 24.0;
/// The narrowest bar: what is shorter can still be seen.
const BAR_WIDTH_MIN: f64 = 2.0;
/// Bars that are narrower bear no words.
const WORDS_WIDTH_MIN: f64 = 56.0;
/// About how wide a letter of a bar's words is.
const LETTER_WIDTH: f64 = 6.8;
/// How far labels of the axis are apart at least, in pixels.
const LABEL_APART: f64 = 34.0;
/// The most lanes of each kind; what overlaps beyond them shares the last one.
const LANES_MAX: usize = 8;
/// The most ticks, and the steps between them, in seconds.
const TICKS_MAX: u64 = 9;
const TICK_STEPS_S: [u64; 9] = [60, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 28_800];

/// The part of time that is drawn. `from < now < to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub from: Timestamp,
    pub now: Timestamp,
    pub to: Timestamp,
}

impl Window {
    /// The last `past_s` seconds, and a third as many that are to come.
    #[must_use]
    pub fn around(now: Timestamp, past_s: i64) -> Self {
        let shifted = |seconds: i64| {
            let second = now.as_second().saturating_add(seconds);
            Timestamp::from_second(second).unwrap_or(if seconds < 0 { Timestamp::MIN } else { Timestamp::MAX })
        };
        Self { from: shifted(-past_s), now, to: shifted(past_s / 3) }
    }

    fn x(&self, at: Timestamp) -> f64 {
        let whole = millis_since(self.from, self.to).max(1);
        let part = millis_since(self.from, at.clamp(self.from, self.to));
        #[expect(clippy::cast_precision_loss, reason = "days in milliseconds are far below 2^53")]
        let share = part as f64 / whole as f64;
        tenths(LABEL_WIDTH + share * PLOT_WIDTH)
    }
}

/// In which lanes a stretch may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The whole GPU: one lane.
    Whole,
    /// A shared slot.
    Slot,
    Lease,
}

/// A stretch of time in which somebody holds something, or is expected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    pub place: Place,
    /// The class by which it is painted: `shared`, `draining`, `exclusive`, `lease`.
    pub kind: &'static str,
    pub from: Timestamp,
    /// The end of what has been; none for what has not begun.
    pub held_to: Option<Timestamp>,
    pub to_come: ToCome,
    pub words: String,
    /// All of it in one sentence.
    pub title: String,
}

/// What is expected of a stretch after now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToCome {
    /// It is over.
    Over,
    Until(Timestamp),
    /// It goes on, or will begin, and nobody knows until when.
    Unsure,
}

/// The drawing.
#[derive(Clone, Debug, Serialize)]
pub struct Drawing {
    pub width: f64,
    pub height: f64,
    pub lanes: Vec<Lane>,
    pub ticks: Vec<Tick>,
    pub bars: Vec<Bar>,
    pub now_x: f64,
    pub plot_x: f64,
    /// Whether more overlaps than there are lanes.
    pub crowded: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Lane {
    pub name: String,
    pub y: f64,
    pub height: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tick {
    pub x: f64,
    /// Empty too near to `now`.
    pub text: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Bar {
    pub x: f64,
    pub y: f64,
    pub width: f64,
    pub height: f64,
    pub kind: &'static str,
    /// `held`, `expected` or `unsure`.
    pub surety: &'static str,
    pub words: Option<String>,
    pub title: String,
}

/// Draws the stretches that reach into the window. `slots` lanes are there even when nobody is in them.
#[must_use]
pub fn draw(window: Window, slots: u32, stretches: &[Stretch]) -> Drawing {
    let mut seen: Vec<&Stretch> = stretches.iter().filter(|stretch| stretch.reaches_into(window)).collect();
    seen.sort_by_key(|stretch| (stretch.place, stretch.from));
    let mut crowded = false;
    let mut lanes_of = |place: Place, least: usize| {
        let here: Vec<&Stretch> = seen.iter().copied().filter(|stretch| stretch.place == place).collect();
        let (lanes, over) = share_out(window, &here, if place == Place::Whole { 1 } else { LANES_MAX });
        crowded |= over && place != Place::Whole;
        let used = lanes.iter().map(|lane| lane + 1).max().unwrap_or(0);
        (used.max(least), here.into_iter().zip(lanes).collect::<Vec<_>>())
    };
    let least_slots = usize::try_from(slots).unwrap_or(LANES_MAX).clamp(1, LANES_MAX);
    let (whole, shared, leases) =
        (lanes_of(Place::Whole, 1), lanes_of(Place::Slot, least_slots), lanes_of(Place::Lease, 0));
    let mut drawing = Drawing {
        width: LABEL_WIDTH + PLOT_WIDTH,
        height: 0.0,
        lanes: Vec::new(),
        ticks: ticks(window),
        bars: Vec::new(),
        now_x: window.x(window.now),
        plot_x: LABEL_WIDTH,
        crowded,
    };
    for (name, (count, placed)) in [("whole GPU", whole), ("slot", shared), ("lease", leases)] {
        let first = drawing.lanes.len();
        for n in 0..count {
            let name = if count == 1 { name.to_owned() } else { format!("{name} {}", n + 1) };
            drawing.lanes.push(Lane { name, y: lane_y(first + n), height: LANE_HEIGHT });
        }
        drawing.bars.extend(placed.into_iter().flat_map(|(stretch, lane)| stretch.bars(window, lane_y(first + lane))));
    }
    drawing.height = lane_y(drawing.lanes.len());
    drawing
}

fn lane_y(lane: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "there are at most a few lanes")]
    let lane = lane as f64;
    AXIS_HEIGHT + lane * (LANE_HEIGHT + LANE_GAP)
}

/// A lane for each stretch, in their order: the first that is free again. And whether some had to share the last one.
fn share_out(window: Window, stretches: &[&Stretch], lanes_max: usize) -> (Vec<usize>, bool) {
    let mut free_at: Vec<Timestamp> = Vec::new();
    let mut crowded = false;
    let lanes = stretches
        .iter()
        .map(|stretch| {
            let free = free_at.iter().position(|end| *end <= stretch.from);
            let lane = free.unwrap_or_else(|| {
                if free_at.len() < lanes_max {
                    free_at.push(stretch.from);
                } else {
                    crowded = true;
                }
                free_at.len() - 1
            });
            free_at[lane] = free_at[lane].max(stretch.end(window));
            lane
        })
        .collect();
    (lanes, crowded)
}

impl Stretch {
    fn end(&self, window: Window) -> Timestamp {
        match self.to_come {
            ToCome::Over => self.held_to.unwrap_or(self.from),
            ToCome::Until(at) => at.max(self.held_to.unwrap_or(self.from)),
            ToCome::Unsure => window.to,
        }
    }

    fn reaches_into(&self, window: Window) -> bool {
        self.from < window.to && self.end(window) > window.from
    }

    /// What has been, and what is expected.
    fn bars(&self, window: Window, y: f64) -> Vec<Bar> {
        let bar = |from: Timestamp, to: Timestamp, surety: &'static str, words: bool| {
            let (x, end) = (window.x(from), window.x(to));
            let width = tenths((end - x).max(BAR_WIDTH_MIN));
            Bar {
                x,
                y,
                width,
                height: LANE_HEIGHT,
                kind: self.kind,
                surety,
                words: (words && width >= WORDS_WIDTH_MIN).then(|| shorten(&self.words, letters(width))),
                title: self.title.clone(),
            }
        };
        let held = self.held_to.map(|to| bar(self.from, to, "held", true));
        let begin = self.held_to.unwrap_or(self.from);
        // The words stand in the wider part, which is what has been as soon as it is wide enough.
        let worded = held.as_ref().is_none_or(|held| held.words.is_none());
        let ahead = match self.to_come {
            ToCome::Over => None,
            ToCome::Until(at) => (at > begin && begin < window.to).then(|| bar(begin, at, "expected", worded)),
            ToCome::Unsure => (begin < window.to).then(|| bar(begin, window.to, "unsure", worded)),
        };
        held.into_iter().chain(ahead).collect()
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a width in pixels is small and positive")]
fn letters(width: f64) -> usize {
    ((width - 8.0) / LETTER_WIDTH).max(1.0) as usize
}

fn ticks(window: Window) -> Vec<Tick> {
    let whole_s = millis_since(window.from, window.to) / 1_000;
    let step = TICK_STEPS_S.into_iter().find(|step| whole_s / step <= TICKS_MAX).unwrap_or(86_400);
    let step = i64::try_from(step).unwrap_or(i64::MAX);
    let first = window.from.as_second().div_euclid(step).saturating_add(1).saturating_mul(step);
    let seconds = std::iter::successors(Some(first), |second| second.checked_add(step));
    let inside = seconds.map_while(|second| Timestamp::from_second(second).ok()).take_while(|at| *at < window.to);
    // The word `now` stands where a label would be too near to it.
    let text = |x: f64, at: Timestamp| match (x - window.x(window.now)).abs() < LABEL_APART {
        true => String::new(),
        false => at.strftime("%H:%M").to_string(),
    };
    inside.map(|at| (window.x(at), at)).map(|(x, at)| Tick { x, text: text(x, at) }).collect()
}

fn tenths(pixels: f64) -> f64 {
    (pixels * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_795_255_200 + second).unwrap()
    }

    fn window() -> Window {
        Window::around(at(0), 3_600)
    }

    fn stretch(place: Place, from: i64, held_to: Option<i64>, to_come: ToCome) -> Stretch {
        let (words, title) = ("task-1".to_owned(), "a title".to_owned());
        Stretch { place, kind: "shared", from: at(from), held_to: held_to.map(at), to_come, words, title }
    }

    #[test]
    fn time_runs_from_left_to_right_and_what_is_outside_stands_at_the_edge() {
        let window = window();
        let xs = [at(-9_999), at(-3_600), at(0), at(1_200), at(9_999)].map(|time| window.x(time));
        assert_eq!(xs, [84.0, 84.0, 741.0, 960.0, 960.0]);
    }

    #[test]
    fn what_overlaps_stands_in_lanes_of_its_own_and_what_follows_takes_a_free_one() {
        let slot = |from, to| stretch(Place::Slot, from, Some(to), ToCome::Over);
        let drawing = draw(window(), 1, &[slot(-900, -600), slot(-800, -500), slot(-550, -400), slot(-100, -50)]);
        let names: Vec<_> = drawing.lanes.iter().map(|lane| lane.name.as_str()).collect();
        assert_eq!(names, ["whole GPU", "slot 1", "slot 2"]);
        let ys: Vec<_> = drawing.bars.iter().map(|bar| bar.y).collect();
        assert_eq!(ys, [54.0, 84.0, 54.0, 54.0]);
        assert!(!drawing.crowded);
    }

    #[test]
    fn lanes_are_bounded_and_it_is_said_when_they_are_not_enough() {
        let many: Vec<_> = (0..50).map(|n| stretch(Place::Slot, -900 + n, Some(0), ToCome::Unsure)).collect();
        let drawing = draw(window(), 64, &many);
        assert_eq!((drawing.lanes.len(), drawing.crowded, drawing.bars.len()), (1 + LANES_MAX, true, 100));
    }

    #[test]
    fn what_holds_now_has_a_past_and_an_expected_end_and_what_is_not_known_goes_on_to_the_edge() {
        let drawing = draw(
            window(),
            1,
            &[
                stretch(Place::Whole, -600, Some(0), ToCome::Until(at(600))),
                stretch(Place::Slot, -600, Some(0), ToCome::Unsure),
                stretch(Place::Lease, 300, None, ToCome::Unsure),
                stretch(Place::Slot, -9_000, Some(-8_000), ToCome::Over),
            ],
        );
        let told: Vec<_> = drawing.bars.iter().map(|bar| (bar.surety, bar.x, tenths(bar.x + bar.width))).collect();
        let (begun, now, soon, late, edge) = (631.5, 741.0, 795.8, 850.5, 960.0);
        assert_eq!(
            told,
            [
                ("held", begun, now),
                ("expected", now, late),
                ("held", begun, now),
                ("unsure", now, edge),
                ("unsure", soon, edge)
            ]
        );
        assert_eq!(drawing.bars.iter().filter(|bar| bar.words.is_some()).count(), 3, "each bears its words once");
    }

    #[test]
    fn the_shortest_can_be_seen_and_words_fit_their_bar() {
        let window = window();
        let short = draw(window, 1, &[stretch(Place::Slot, -60, Some(-60), ToCome::Until(at(-59)))]);
        assert!(short.bars.iter().all(|bar| bar.width >= BAR_WIDTH_MIN && bar.words.is_none()), "{short:?}");
        let mut long = stretch(Place::Slot, -600, Some(-200), ToCome::Over);
        long.words = "x".repeat(500);
        let words = draw(window, 1, &[long]).bars[0].words.clone().unwrap();
        assert!(words.chars().count() < 12 && words.ends_with('…'), "{words}");
    }

    #[test]
    fn ticks_are_few_and_stand_on_whole_times() {
        for (past_s, first, count) in
            [(900, "09:50", 3), (3_600, "09:10", 7), (21_600, "05:00", 7), (86_400, "12:00", 8)]
        {
            let ticks = ticks(Window::around(at(0), past_s));
            assert_eq!((ticks[0].text.as_str(), ticks.len()), (first, count), "{past_s}: {ticks:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_is_ever_drawn_outside(parts in proptest::collection::vec((-9_000i64..3_000, 0i64..5_000, 0u8..3), 0..60)) {
            let stretches: Vec<_> = parts
                .into_iter()
                .map(|(from, length, kind)| {
                    let place = [Place::Whole, Place::Slot, Place::Lease][usize::from(kind)];
                    let held = (from < 0).then(|| (from + length).min(0));
                    stretch(place, from, held, if from + length > 0 { ToCome::Until(at(from + length)) } else { ToCome::Over })
                })
                .collect();
            let drawing = draw(window(), 2, &stretches);
            for bar in &drawing.bars {
                proptest::prop_assert!(bar.x >= LABEL_WIDTH && bar.x + bar.width <= drawing.width + BAR_WIDTH_MIN);
                proptest::prop_assert!(bar.y >= AXIS_HEIGHT && bar.y + bar.height <= drawing.height);
            }
        }
    }
}
