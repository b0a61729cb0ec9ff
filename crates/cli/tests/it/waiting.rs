//! Waiting for what another process does: never for ever.

use std::time::{Duration, Instant};

use taskgraft_testkit::LATE;
use taskgraft_testkit::proxy::Proxy;

/// Between two looks.
const GLANCE: Duration = Duration::from_millis(20);

/// Looks until there is something.
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < LATE, "waited in vain for {what}");
        std::thread::sleep(GLANCE);
    }
}

/// Waits for a request that is held; false if `ended` says that none will come.
pub(crate) fn held_before(proxy: &Proxy, mut ended: impl FnMut() -> bool) -> bool {
    let began = Instant::now();
    proxy.held(|| {
        assert!(began.elapsed() < LATE, "waited in vain for a request or the end");
        ended()
    })
}

/// Waits for a request that is held.
pub(crate) fn held(proxy: &Proxy) {
    held_before(proxy, || false);
}
