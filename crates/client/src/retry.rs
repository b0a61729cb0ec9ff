//! When to try again: the one place that decides it.

use std::time::Duration;

/// Patience with transient failures: exponential backoff with full jitter, bounded by tries and by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// The most tries of one call, the first included.
    pub tries: u32,
    /// No try starts later than this after the first.
    pub within: Duration,
    /// The longest pause after the first failure; doubled with each further one.
    pub base: Duration,
    /// No pause is longer, unless the service asks for it with Retry-After.
    pub cap: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            tries: 6,
            within: Duration::from_secs(120),
            base: Duration::from_millis(200),
            cap: Duration::from_secs(30),
        }
    }
}

impl Retry {
    /// One try only.
    #[must_use]
    pub fn never() -> Self {
        Self { tries: 1, ..Self::default() }
    }

    /// The pause before the next try, or nothing when it is time to give up.
    ///
    /// `made` tries were made in `elapsed`; `luck` is uniform in 0..1; `asked` is the service's own wish (Retry-After),
    /// which is a lower bound.
    pub(crate) fn pause(&self, made: u32, elapsed: Duration, luck: f64, asked: Option<Duration>) -> Option<Duration> {
        if made >= self.tries {
            return None;
        }
        let doubled = self.base.saturating_mul(1 << (made.saturating_sub(1)).min(20));
        let jittered = doubled.min(self.cap).mul_f64(luck.clamp(0.0, 1.0));
        let pause = jittered.max(asked.unwrap_or_default());
        (elapsed.saturating_add(pause) <= self.within).then_some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RETRY: Retry =
        Retry { tries: 5, within: Duration::from_secs(60), base: Duration::from_secs(1), cap: Duration::from_secs(5) };

    #[test]
    fn pauses_double_up_to_the_cap_and_are_jittered_in_full() {
        let longest = |made| RETRY.pause(made, Duration::ZERO, 1.0, None);
        let seconds = |n| Some(Duration::from_secs(n));
        assert_eq!([longest(1), longest(2), longest(3), longest(4)], [seconds(1), seconds(2), seconds(4), seconds(5)]);
        assert_eq!(RETRY.pause(3, Duration::ZERO, 0.0, None), Some(Duration::ZERO));
        assert_eq!(RETRY.pause(3, Duration::ZERO, 0.5, None), seconds(2));
    }

    #[test]
    fn it_gives_up_after_its_tries_and_after_its_time() {
        assert_eq!(RETRY.pause(5, Duration::ZERO, 1.0, None), None);
        assert_eq!(RETRY.pause(1, Duration::from_secs(60), 1.0, None), None);
    }

    #[test]
    fn the_service_may_ask_for_a_longer_pause_but_not_for_one_beyond_the_time() {
        let asked = |seconds| RETRY.pause(1, Duration::ZERO, 0.0, Some(Duration::from_secs(seconds)));
        assert_eq!(asked(20), Some(Duration::from_secs(20)));
        assert_eq!(asked(61), None);
    }

    #[test]
    fn many_tries_do_not_overflow() {
        let patient = Retry { tries: u32::MAX, ..RETRY };
        assert_eq!(patient.pause(1_000_000, Duration::ZERO, 1.0, None), Some(Duration::from_secs(5)));
    }
}
