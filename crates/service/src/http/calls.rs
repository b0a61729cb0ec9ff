//! Calls that are seen through: who wants something done may hang up, and what becomes of it is known all the same.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::sync::oneshot::error::RecvError;
use tokio::task::JoinSet;

/// Those that are not at their end.
#[derive(Debug, Default)]
pub(super) struct Calls(Mutex<JoinSet<()>>);

impl Calls {
    /// What `call` gives. Dropped before it is ready, `call` goes on.
    ///
    /// # Errors
    /// If it broke off, by a defect or because the service stops.
    pub(super) async fn to_its_end<T: Send + 'static>(
        &self,
        call: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, RecvError> {
        let (tell, told) = oneshot::channel();
        {
            let mut calls = self.lock();
            while calls.try_join_next().is_some() {}
            calls.spawn(async move {
                // The caller may have hung up.
                let _ = tell.send(call.await);
            });
        }
        told.await
    }

    /// Waits for the ends of all that there are; of those that take longer, it makes an end.
    pub(super) async fn end(&self, within: Duration) {
        let mut calls = std::mem::take(&mut *self.lock());
        let all = async { while calls.join_next().await.is_some() {} };
        if tokio::time::timeout(within, all).await.is_err() {
            tracing::warn!(calls = calls.len(), "some calls whose callers have hung up were cut off");
        }
        calls.shutdown().await;
    }

    fn lock(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::sync::Arc;

    use futures_util::poll;
    use taskgraft_testkit::LATE;

    use super::*;

    #[tokio::test]
    async fn a_call_goes_on_when_nobody_waits_for_it() {
        let calls = Calls::default();
        let (go, gone) = oneshot::channel::<()>();
        let (done, mut heard) = oneshot::channel();
        let call = async {
            gone.await.unwrap();
            done.send(()).unwrap();
        };
        {
            let mut waiting = Box::pin(calls.to_its_end(call));
            assert!(poll!(&mut waiting).is_pending());
        }
        assert!(heard.try_recv().is_err());
        go.send(()).unwrap();
        calls.end(LATE).await;
        heard.try_recv().unwrap();
        assert_eq!(calls.to_its_end(async { 7 }).await, Ok(7));
    }

    #[tokio::test]
    async fn what_does_not_end_is_cut_off() {
        let (calls, work) = (Calls::default(), Arc::new(()));
        let held = Arc::clone(&work);
        let call = async move {
            let _held = held;
            pending::<()>().await;
        };
        {
            let mut waiting = Box::pin(calls.to_its_end(call));
            assert!(poll!(&mut waiting).is_pending());
        }
        calls.end(Duration::ZERO).await;
        assert_eq!(Arc::strong_count(&work), 1);
    }
}
