//! A master that doesn't answer: so that not everybody who wants something of it finds that out by waiting.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use super::Error;

/// After how long somebody looks whether it is back.
const PAUSE: Duration = Duration::from_secs(5);

/// When a master was last found not to answer, and how; nothing while it answers.
#[derive(Debug, Default)]
pub(super) struct Outage(Mutex<Option<(Timestamp, Error)>>);

impl Outage {
    /// Whether to ask the master now. While it is away, one at a time is let through after each pause.
    ///
    /// # Errors
    /// What whoever asked last heard, or didn't.
    pub(super) fn check(&self, now: Timestamp) -> Result<(), Error> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match last.as_mut() {
            Some((at, error)) if now.duration_since(*at).unsigned_abs() < PAUSE => Err(error.clone()),
            Some((at, _)) => {
                *at = now;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// How asking went.
    pub(super) fn learn<T>(&self, now: Timestamp, answer: &Result<T, Error>) {
        let away = answer.as_ref().err().filter(|error| error.passes()).map(|error| (now, error.clone()));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = away;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_asks_a_master_that_is_away() {
        let (outage, at) = (Outage::default(), |seconds| Timestamp::from_second(seconds).unwrap());
        let away: Result<(), Error> = Err(Error::Unreadable { call: "builders", why: "it is HTML".to_owned() });
        assert!(outage.check(at(0)).is_ok());
        outage.learn(at(0), &away);
        assert!(outage.check(at(4)).is_err());
        assert!(outage.check(at(5)).is_ok() && outage.check(at(6)).is_err());
        outage.learn(at(7), &Ok(()));
        assert!(outage.check(at(7)).is_ok());
        outage.learn(at(8), &Err::<(), _>(Error::NoScheduler("force".to_owned())));
        assert!(outage.check(at(8)).is_ok(), "it answers");
    }
}
