//! Taking a request's builds back.

use serde_json::json;

use super::master::moved;
use super::report::Place;
use super::{Error, Forced, Master, Wanted, answers};

impl Master {
    /// Cancels what has not ended of a request's builds, and says what is cancelled now: that, and what an earlier call has
    /// cancelled since the request was last tried. What was `coming` is waited for.
    ///
    /// # Errors
    /// If the master does not answer; if it refuses any, once all were tried.
    pub async fn cancel(&self, wanted: &Wanted, coming: &[Place<'_>]) -> Result<Vec<Forced>, Error> {
        let mut found = self.look(wanted, coming).await?;
        found.retain(|forced| forced.ended.is_none() || (forced.is_cancelled() && forced.undone == wanted.undone));
        let (mut refusals, mut open) = (Vec::new(), 0);
        for forced in found.iter().filter(|forced| forced.ended.is_none()) {
            open += 1;
            refusals.extend(self.cancel_one(wanted, forced).await?);
        }
        let kept = refusals.len();
        match refusals.into_iter().next() {
            Some((status, why)) => Err(Error::Kept { kept, of: open, status, why }),
            None => Ok(found),
        }
    }

    /// Tells the master to cancel a build; the status and words of its refusal, if it refuses.
    async fn cancel_one(&self, wanted: &Wanted, forced: &Forced) -> Result<Option<(u16, String)>, Error> {
        let call = json!({
            "jsonrpc": "2.0", "method": "cancel", "id": 1,
            "params": {"reason": format!("taskgraft request {} is cancelled", wanted.request)},
        });
        let reply = self.post("cancel", &["api", "v2", "buildrequests", &forced.request.to_string()], &call).await?;
        match reply.status.as_u16() {
            200..=299 => Ok(None),
            300..=399 => Err(moved("cancel", &reply)),
            status @ (429 | 502..=504) => Err(Error::away("cancel", status)),
            status => Ok(Some((status, answers::words(&reply.body)))),
        }
    }
}
