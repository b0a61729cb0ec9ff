//! Memory for what is large: long bodies on their way in, and whole requests on their way out, share what there is.

use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::problem::{Kind, Problem};

/// What is not larger needs no room: as many of them as there may be connections are held at once.
const SMALL: usize = 64 * 1024;

/// All the room that there is.
#[derive(Debug, Clone)]
pub(super) struct Room {
    left: Arc<Semaphore>,
    bytes: usize,
}

/// Room that somebody has; it is free again when this is dropped.
#[derive(Debug, Default)]
pub(super) struct Held {
    permit: Option<OwnedSemaphorePermit>,
}

impl Room {
    pub(super) fn new(bytes: usize) -> Self {
        let bytes = bytes.min(Semaphore::MAX_PERMITS);
        Self { left: Arc::new(Semaphore::new(bytes)), bytes }
    }

    /// Has room held for `bytes` altogether. What is larger than all the room gets all of it.
    ///
    /// # Errors
    /// If others have it.
    pub(super) fn hold(&self, held: &mut Held, bytes: usize) -> Result<(), Problem> {
        self.hold_within(held, bytes, self.bytes)
    }

    /// The same for what anybody may ask for and what lasts: however large it is it leaves a quarter to others, though
    /// not to another as large.
    ///
    /// # Errors
    /// If others have it.
    pub(super) fn hold_most(&self, held: &mut Held, bytes: usize) -> Result<(), Problem> {
        self.hold_within(held, bytes, self.bytes / 4 * 3)
    }

    fn hold_within(&self, held: &mut Held, bytes: usize, most: usize) -> Result<(), Problem> {
        let needed = bytes.saturating_sub(SMALL).min(most);
        let more = needed.saturating_sub(held.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits));
        let full =
            || Problem::new(Kind::Overloaded, "what is large has to wait until other large calls are done").after(1);
        let more = u32::try_from(more).map_err(|_| full())?;
        if more == 0 {
            return Ok(());
        }
        let more = Arc::clone(&self.left).try_acquire_many_owned(more).map_err(|_| full())?;
        match &mut held.permit {
            Some(permit) => permit.merge(more),
            None => held.permit = Some(more),
        }
        Ok(())
    }
}

impl Held {
    /// Gives back what is more than `bytes` altogether need.
    pub(super) fn only(&mut self, bytes: usize) {
        let needed = bytes.saturating_sub(SMALL);
        if let Some(permit) = &mut self.permit {
            drop(permit.split(permit.num_permits().saturating_sub(needed)));
        }
    }

    /// A body that has the room until it was sent.
    pub(super) fn until_sent(self, bytes: Bytes) -> Body {
        if self.permit.is_none() {
            return bytes.into();
        }
        let sending = stream::unfold((Some(bytes), self), |(bytes, held)| async {
            bytes.map(|bytes| (Ok::<_, std::convert::Infallible>(bytes), (None, held)))
        });
        Body::from_stream(sending)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_large_shares_the_room_and_what_is_small_needs_none() {
        let room = Room::new(1000);
        let (mut one, mut other) = (Held::default(), Held::default());
        for bytes in [SMALL, SMALL + 100, SMALL + 400] {
            room.hold(&mut one, bytes).unwrap();
        }
        assert_eq!(room.left.available_permits(), 600);
        assert!(room.hold(&mut other, SMALL + 601).is_err());
        room.hold(&mut other, SMALL + 600).unwrap();
        room.hold(&mut Held::default(), SMALL).unwrap();
        drop((one, other));
        let mut all = Held::default();
        room.hold(&mut all, 1 << 40).unwrap();
        assert_eq!(room.left.available_permits(), 0);
        all.only(SMALL + 300);
        assert_eq!(room.left.available_permits(), 700);
        drop(all);
        let mut most = Held::default();
        room.hold_most(&mut most, 1 << 40).unwrap();
        assert!(room.hold_most(&mut Held::default(), 1 << 40).is_err());
        room.hold(&mut Held::default(), SMALL + 250).unwrap();
    }

    #[tokio::test]
    async fn an_answer_has_its_room_until_it_was_sent() {
        let room = Room::new(1000);
        let mut held = Held::default();
        room.hold(&mut held, SMALL + 1000).unwrap();
        let body = held.until_sent(Bytes::from_static(b"large"));
        assert!(room.hold(&mut Held::default(), SMALL + 1).is_err());
        assert_eq!(axum::body::to_bytes(body, 100).await.unwrap(), "large");
        room.hold(&mut Held::default(), SMALL + 1).unwrap();
    }
}
