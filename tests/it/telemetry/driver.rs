//! NVML in every state: none of them is a crash, and each is told in words.

use std::time::{Duration, Instant};

use arcology::act::telemetry::card::{Card, Figures};
use arcology::act::telemetry::nvml::Driver;
use arcology::act::telemetry::probe::{NoAnswer, Probe};
use arcology::decide::host_view::GpuProcess;

use super::fake::FakeNvml;

const GB: u64 = 1 << 30;
/// The first pause after a failed try, short so that nobody waits for it.
const SOON: Duration = Duration::from_millis(5);

fn driver(fake: &FakeNvml) -> Driver {
    Driver::with_first_retry(Some(fake.library()), SOON)
}

/// Looks until `wanted` gives something; every try is bounded by the driver's own pauses.
fn until<T>(driver: &mut Driver, what: &str, wanted: impl Fn(&Result<Vec<Card>, String>) -> Option<T>) -> T {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let seen = driver.look().map_err(|fault| fault.why);
        if let Some(found) = wanted(&seen) {
            return found;
        }
        assert!(Instant::now() < end, "{what}; last seen: {seen:?}");
        std::thread::yield_now();
    }
}

fn why(card: &Card) -> &str {
    &card.figures.as_ref().unwrap_err().why
}

fn process(pid: u32, name: Option<&str>, used_gb: Option<f64>) -> GpuProcess {
    GpuProcess { pid, name: name.map(str::to_owned), used_gb }
}

#[test]
fn cards_are_told_with_their_figures_and_who_holds_memory() {
    let fake = FakeNvml::new("present");
    let cards = driver(&fake).look().unwrap();
    let first = Figures {
        total_bytes: 32 * GB,
        // What the driver keeps for itself cannot be allocated, so it is not free.
        free_bytes: 22 * GB + GB / 2,
        util_pct: Some(63.0),
        temperature_c: Some(61.0),
        processes: vec![
            process(4712, Some("llama-server"), Some(8.0)),
            process(4711, Some("Xorg"), Some(0.5)),
            process(99, None, None),
        ],
    };
    assert_eq!(cards[0].figures.as_ref(), Ok(&first));
    assert_eq!((cards[0].index, cards[0].uuid.as_deref()), (0, Some("GPU-11111111-aaaa")));
    assert_eq!((cards[1].index, cards[1].name.as_deref()), (1, Some("Fake RTX 3060")));
    let second = cards[1].figures.as_ref().unwrap();
    assert_eq!((second.util_pct, second.total_bytes), (None, 12 * GB), "what a card cannot tell is absent");
    assert!(second.processes.is_empty());
}

#[test]
fn one_that_looks_again_and_again_opens_the_library_once() {
    let fake = FakeNvml::new("present");
    let mut driver = driver(&fake);
    for _ in 0..5 {
        driver.look().unwrap();
    }
    assert_eq!(fake.inits(), 1);
}

#[test]
fn no_card_a_driver_that_is_not_loaded_and_one_that_refuses_are_told_apart() {
    for (state, told) in [
        ("unloaded", "NVIDIA's driver is not loaded; nvidia-smi says more"),
        ("forbidden", "this user may not ask the driver; look at the modes of /dev/nvidia*"),
        ("crowded", "the driver counts more than 64 cards, which cannot be true"),
    ] {
        let fake = FakeNvml::new(state);
        assert_eq!(driver(&fake).look().unwrap_err().why, told);
    }
    let none = FakeNvml::new("none");
    assert_eq!(driver(&none).look(), Ok(Vec::new()));
}

#[test]
fn a_driver_that_is_loaded_later_is_found_and_one_that_is_unloaded_is_noticed() {
    let fake = FakeNvml::new("unloaded");
    let mut driver = driver(&fake);
    driver.look().unwrap_err();
    fake.set("present");
    until(&mut driver, "the driver is found", |seen| seen.as_ref().ok().map(Vec::len));
    fake.set("unloaded");
    assert!(driver.look().unwrap_err().why.starts_with("the driver does not answer properly"));
    fake.set("present");
    until(&mut driver, "the driver is found again", |seen| seen.as_ref().ok().map(Vec::len));
}

#[test]
fn while_a_driver_is_missing_it_is_tried_at_growing_pauses_and_not_at_each_look() {
    let fake = FakeNvml::new("unloaded");
    let mut driver = Driver::with_first_retry(Some(fake.library()), Duration::from_secs(3_600));
    for _ in 0..50 {
        driver.look().unwrap_err();
    }
    assert_eq!(fake.inits(), 1);
}

#[test]
fn a_card_that_falls_off_the_bus_costs_itself_alone_and_is_read_again_when_it_is_back() {
    let fake = FakeNvml::new("present");
    let mut driver = driver(&fake);
    driver.look().unwrap();
    fake.set("lost");
    let cards = driver.look().unwrap();
    assert!(cards[0].figures.is_ok(), "the other card is not touched");
    assert!(why(&cards[1]).starts_with("the card fell off the bus"), "{cards:?}");
    fake.set("present");
    // Its handle stays bad until the library is opened anew: without that it would be lost for ever.
    until(&mut driver, "the card is back", |seen| seen.as_ref().ok()?[1].figures.as_ref().ok().map(drop));
    let silent = FakeNvml::new("silent");
    let cards = self::driver(&silent).look().unwrap();
    assert_eq!((cards[1].uuid.as_deref(), why(&cards[1]).starts_with("the card fell off")), (None, true));
}

#[test]
fn an_old_driver_says_that_it_is_old() {
    let fake = FakeNvml::old("present");
    let cards = driver(&fake).look().unwrap();
    assert_eq!(why(&cards[0]), "the driver is too old to tell memory use; version 510 and newer do");
    assert_eq!(cards[0].name.as_deref(), Some("Fake RTX 5090"));
}

#[test]
fn figures_that_cannot_be_true_are_not_believed_and_cost_no_memory() {
    let fake = FakeNvml::new("absurd");
    let cards = driver(&fake).look().unwrap();
    assert_eq!(why(&cards[0]), "the driver's memory figures cannot be true");
    assert!(!cards[0].name.as_deref().unwrap().contains(char::is_control));
    let second = cards[1].figures.as_ref().unwrap();
    assert_eq!((second.temperature_c, &second.processes), (None, &Vec::new()));
}

#[test]
fn what_this_machine_really_has_is_told_and_nothing_breaks() {
    match Driver::new(None).look() {
        Ok(cards) => assert!(cards.iter().all(|card| card.figures.is_ok() || !why(card).is_empty()), "{cards:?}"),
        Err(fault) => assert!(fault.why.starts_with("there is no NVML library") || fault.reopen, "{fault:?}"),
    }
    let text = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(text.path(), "this is no library").unwrap();
    let fault = Driver::new(Some(text.path().to_owned())).look().unwrap_err();
    assert!(fault.why.starts_with("there is no NVML library"), "{fault:?}");
}

#[tokio::test]
async fn a_driver_that_hangs_is_late_and_is_believed_again_when_it_answers() {
    let fake = FakeNvml::new("hang");
    let library = fake.library();
    let deadline = Duration::from_millis(200);
    let mut probe = Probe::new("nvml", deadline, move || {
        let mut driver = Driver::new(Some(library.clone()));
        move || driver.look()
    });
    for _ in 0..2 {
        assert_eq!(probe.look().await, Err(NoAnswer::Late(deadline)));
    }
    fake.set("present");
    let end = Instant::now() + Duration::from_secs(60);
    while probe.look().await.is_err() {
        assert!(Instant::now() < end, "it answers again");
    }
    assert_eq!(fake.inits(), 1, "one thread, one library");
    probe.end().await;
}
