//! Ports of this machine on which nobody listens yet, or not any more.
//!
//! One that the system hands out (`:0`) and that is let go again may be taken a moment later: by the next server that asks for
//! one, or by any connection that goes out. These lie below the range of both, and none is given twice in one run.

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// Below what Linux hands out by itself (`net.ipv4.ip_local_port_range`, from 32768 unless it is set otherwise).
const FIRST: u16 = 12_000;
const COUNT: u16 = 20_000;

/// An address that is free now and stays so until somebody listens at just it.
pub fn free() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Runs side by side begin at different places.
    let begin = std::process::id() % u32::from(COUNT);
    for _ in 0..COUNT {
        let step = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        let offset = u16::try_from((begin + step) % u32::from(COUNT)).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], FIRST + offset));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
    panic!("no port from {FIRST} on is free")
}
