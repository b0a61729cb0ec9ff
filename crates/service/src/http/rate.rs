//! How often somebody may call: a bucket of tokens for each, refilled steadily.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// The most callers that are told apart.
const MOST: usize = 50_000;

/// Whose bucket it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Caller {
    /// Whoever calls from there. Of an IPv6 address the network counts: one host may use all of its addresses.
    Address(IpAddr),
    /// A Taskcluster client.
    Client(String),
}

impl Caller {
    pub(super) fn at(address: IpAddr) -> Self {
        Self::Address(match address {
            IpAddr::V6(address) => match address.to_ipv4_mapped() {
                Some(address) => IpAddr::V4(address),
                None => {
                    let bits = u128::from(address) >> 64 << 64;
                    IpAddr::V6(bits.into())
                }
            },
            IpAddr::V4(_) => address,
        })
    }
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

/// All buckets.
#[derive(Debug)]
pub(super) struct Rate {
    per_second: f64,
    burst: f64,
    most: usize,
    buckets: Mutex<HashMap<Caller, Bucket>>,
}

impl Rate {
    /// So many calls a minute for long, and a sixth of it at once.
    pub(super) fn new(per_minute: u32) -> Self {
        Self {
            per_second: f64::from(per_minute.max(1)) / 60.0,
            burst: (f64::from(per_minute) / 6.0).max(1.0),
            most: MOST,
            buckets: Mutex::default(),
        }
    }

    /// Takes a token.
    ///
    /// # Errors
    /// If there is none: in how many seconds there is one.
    pub(super) fn take(&self, caller: Caller, now: Instant) -> Result<(), u64> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= self.most && !buckets.contains_key(&caller) {
            // Who has not called for so long that the bucket is full again needs none.
            buckets.retain(|_, bucket| self.filled(*bucket, now) < self.burst);
            if buckets.len() >= self.most {
                return Err(1);
            }
        }
        let bucket = buckets.entry(caller).or_insert(Bucket { tokens: self.burst, at: now });
        *bucket = Bucket { tokens: self.filled(*bucket, now), at: now };
        if bucket.tokens < 1.0 {
            let seconds = ((1.0 - bucket.tokens) / self.per_second).ceil();
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "between 0 and 1 / per_second"
            )]
            return Err(seconds as u64);
        }
        bucket.tokens -= 1.0;
        Ok(())
    }

    fn filled(&self, bucket: Bucket, now: Instant) -> f64 {
        let passed = now.saturating_duration_since(bucket.at).as_secs_f64();
        (bucket.tokens + passed * self.per_second).min(self.burst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn caller(n: u8) -> Caller {
        Caller::at(IpAddr::from([10, 0, 0, n]))
    }

    #[test]
    fn a_burst_is_let_through_and_then_so_many_a_second() {
        let rate = Rate { burst: 3.0, ..Rate::new(120) };
        let start = Instant::now();
        for _ in 0..3 {
            assert_eq!(rate.take(caller(1), start), Ok(()));
        }
        assert_eq!(rate.take(caller(1), start), Err(1));
        assert_eq!(rate.take(caller(2), start), Ok(()), "somebody else");
        let later = start + Duration::from_millis(1000);
        assert_eq!(rate.take(caller(1), later), Ok(()));
        assert_eq!(rate.take(caller(1), later), Ok(()));
        assert_eq!(rate.take(caller(1), later), Err(1));
    }

    #[test]
    fn callers_are_bounded_and_the_idle_make_room() {
        let rate = Rate { most: 2, burst: 2.0, ..Rate::new(60) };
        let start = Instant::now();
        assert_eq!(rate.take(caller(1), start), Ok(()));
        assert_eq!(rate.take(caller(2), start), Ok(()));
        assert_eq!(rate.take(caller(3), start), Err(1));
        assert_eq!(rate.take(caller(3), start + Duration::from_secs(5)), Ok(()));
    }

    #[test]
    fn a_network_has_one_bucket() {
        let at = |text: &str| Caller::at(text.parse().unwrap());
        assert_eq!(at("2001:db8::1"), at("2001:db8::2"));
        assert_ne!(at("2001:db8::1"), at("2001:db8:0:1::1"));
        assert_eq!(at("::ffff:10.0.0.1"), at("10.0.0.1"));
        assert_ne!(at("::ffff:10.0.0.1"), at("::ffff:10.0.0.2"));
    }
}
